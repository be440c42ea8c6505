"""What the screen is to show, of all that the state says."""

from __future__ import annotations

from appliance.calls.call import LiveCall
from appliance.calls.moment import Moment
from appliance.calls.policy import Policy
from appliance.calls.situation import situation
from appliance.calls.state import State
from appliance.calls.telling import notice_of
from appliance.calls.turn import Turn
from appliance.model import CallType, Tile, View


def view_of(policy: Policy, state: State, now: Moment) -> View:
    """The view of this moment."""
    call = state.active
    tiles = _tiles(Turn(policy, state, now), call) if call is not None else ()
    settings = call.settings if call is not None else policy.settings
    return View(
        situation=situation(state),
        layout=state.layout,
        participant_list_visible=state.participant_list_visible,
        picture_in_picture=state.picture_in_picture,
        call=call.public(now) if call is not None else None,
        tiles=tiles,
        main=_main(call, tiles) if call is not None else None,
        avatar_mode=settings.avatar_mode,
        container=settings.main_video_container,
        tile_click=settings.enable_video_tile_click,
        tile_drag=settings.enable_video_tile_drag,
        do_not_disturb=state.do_not_disturb is not None,
        missed_calls=len(state.missed),
        notice=notice_of(policy, state),
    )


def _tiles(turn: Turn, call: LiveCall) -> tuple[Tile, ...]:
    tiles: list[Tile] = []
    video = call.type is CallType.VIDEO
    for member in call.members:
        one = member.participant
        if one.screen_sharing:
            tiles.append(Tile(one, screen=True))
        tiles.append(Tile(one, video=video and not one.video_paused and not one.on_hold))
    me = turn.myself(call)
    filmed = video and turn.policy.films and not me.video_paused and not call.on_hold
    return (*tiles, Tile(me, own=True, video=filmed))


def _main(call: LiveCall, tiles: tuple[Tile, ...]) -> int:
    """A shared screen, else whom the settings want, else who speaks, else the first."""
    wanted = call.settings.main_video
    speaker = call.speaker
    ranks = [
        0
        if tile.screen
        else 1
        if tile.participant.uid == wanted
        else 2
        if speaker is not None
        and (tile.participant.uid, tile.participant.endpoint) == (speaker.uid, speaker.endpoint)
        else 3
        for tile in tiles
    ]
    return ranks.index(min(ranks))
