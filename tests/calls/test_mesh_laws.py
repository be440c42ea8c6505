"""Up to four in a session, over a bad network: when it heals, all agree; when all leave, nothing is left.

The door is the host, the gate a device with the same core; alice and bob have pages on paper, written
from the document. Messages are lost, doubled and overtaken; connections are cut and mended.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from msgspec.structs import replace

from appliance.calls.policy import ContactPolicy, Policy
from appliance.commands import (
    AcceptCall,
    GenerateToken,
    Invite,
    KickParticipant,
    LeaveSession,
    MuteAudio,
    RaiseHand,
    StartSession,
)
from appliance.model import CallSettings, CallState, Participant, Right
from tests.parts.meshnet import MeshNet, Node
from tests.parts.papercore import PaperCore
from tests.parts.paperpage import PaperPage

EVERYONE = {"front-door": "main", "gate": "main", "alice": "phone", "bob": "phone"}
SESSION = "5" * 32
HEALED_S, CONNECTED_S, GONE_S = 15, 45, 45


def policy_of(uid: str) -> Policy:
    others = {one: ContactPolicy(one, frozenset(Right)) for one in EVERYONE if one != uid}
    return Policy(
        uid=uid,
        name=uid,
        contacts=others,
        settings=CallSettings(idle_timeout_s=600),
        token_key=uid.encode(),
    )


guests = st.sampled_from(["gate", "alice", "bob"])
pairs = st.sets(st.sampled_from(list(EVERYONE)), min_size=2, max_size=2).map(frozenset)
flags = st.booleans()
which = st.integers(0, 200)


class Mesh(RuleBasedStateMachine):
    """What people and networks do, in whatever order."""

    def __init__(self) -> None:
        super().__init__()
        self.net = MeshNet()
        self.door = self._device("front-door")
        self.gate = self._device("gate")
        self.pages = {uid: PaperPage(uid, self.net) for uid in ("alice", "bob")}
        nodes: list[Node] = [self.door, self.gate, *self.pages.values()]
        for node in nodes:
            self.net.enter(node)
        self._opens()

    def _device(self, uid: str) -> PaperCore:
        online = {one: [endpoint] for one, endpoint in EVERYONE.items() if one != uid}
        return PaperCore(policy_of(uid), self.net, online)

    def _opens(self) -> None:
        self.door.orders(StartSession(token=self._token("front-door", SESSION)))

    def _token(self, uid: str, session_id: str) -> str:
        reply = self.door.orders(GenerateToken(session_id=session_id, uid=uid))
        assert reply is not None
        return str(reply.result["token"])

    @initialize(uids=st.lists(guests, unique=True), tokens=flags)
    def some_are_there_from_the_beginning(self, uids: list[str], tokens: bool) -> None:
        for uid in uids:
            if tokens:
                self.somebody_comes_with_a_token(uid)
            else:
                self.door.orders(Invite(receiver=uid))
                self.net.deliver_all()
                self.somebody_answers(uid)
            self.net.wait(1, calm=True)

    # -------------------- people

    @precondition(lambda self: self.door.call is None)
    @rule()
    def the_door_opens_a_session(self) -> None:
        self._opens()

    @rule(uid=guests)
    def the_door_invites(self, uid: str) -> None:
        self.door.orders(Invite(receiver=uid))

    @rule(uid=guests)
    def somebody_answers(self, uid: str) -> None:
        if uid == "gate":
            if self.gate.play.state.incoming is not None:
                self.gate.orders(AcceptCall())
        elif self.pages[uid].rings and not self.pages[uid].busy:
            self.pages[uid].answer()

    @precondition(lambda self: self.door.call is not None)
    @rule(uid=guests)
    def somebody_comes_with_a_token(self, uid: str) -> None:
        assert self.door.call is not None
        if uid == "gate":
            if self.gate.call is None:
                self.gate.orders(StartSession(token=self._token(uid, self.door.call.session_id)))
        elif not self.pages[uid].busy and not self.pages[uid].rings:
            self.pages[uid].come_in(self._token(uid, self.door.call.session_id))

    @rule(uid=st.sampled_from(list(EVERYONE)), on=flags, hand=flags)
    def somebody_mutes_or_raises_a_hand(self, uid: str, on: bool, hand: bool) -> None:
        if uid in self.pages:
            if self.pages[uid].lines:
                self.pages[uid].set_flag("hand_raised" if hand else "audio_muted", on)
        else:
            device = self.gate if uid == "gate" else self.door
            device.orders(RaiseHand(raised=on) if hand else MuteAudio(muted=on))

    @rule(uid=guests)
    def a_guest_leaves(self, uid: str) -> None:
        self._leaves(uid)

    @rule(uid=guests)
    def the_door_kicks(self, uid: str) -> None:
        self.door.orders(KickParticipant(uid=uid))

    def _leaves(self, uid: str) -> None:
        if uid in self.pages:
            if self.pages[uid].busy:
                self.pages[uid].hang_up()
            return
        (self.gate if uid == "gate" else self.door).orders(LeaveSession())

    # -------------------- the network

    @precondition(lambda self: self.net.flying)
    @rule(at=which, double=flags)
    def a_message_arrives(self, at: int, double: bool) -> None:
        self.net.deliver(at % len(self.net.flying), double=double)

    @precondition(lambda self: self.net.flying)
    @rule(at=which)
    def a_message_is_lost(self, at: int) -> None:
        self.net.lose(at % len(self.net.flying))

    @precondition(lambda self: self.net.flying)
    @rule()
    def all_messages_are_lost(self) -> None:
        self.net.flying.clear()

    @rule()
    def all_messages_arrive(self) -> None:
        self.net.deliver_all()

    @rule(pair=pairs)
    def a_connection_is_cut(self, pair: frozenset[str]) -> None:
        self.net.cut.add(pair)

    @rule()
    def connections_are_mended(self) -> None:
        self.net.cut.clear()

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0, 12.0, 25.0]))
    def time_passes(self, seconds: float) -> None:
        self.net.wait(seconds)

    @rule(seconds=st.sampled_from([1.0, 3.0]))
    def a_calm_time_passes(self, seconds: float) -> None:
        self.net.wait(seconds, calm=True)

    # -------------------- what holds in the end

    def teardown(self) -> None:
        self.net.cut.clear()
        self.net.wait(HEALED_S, calm=True)
        self._all_have_one_list()
        self.net.wait(CONNECTED_S, calm=True)
        self._all_have_one_list()
        self._all_hear_each_other()
        for uid in ("alice", "front-door", "gate", "bob"):
            self._leaves(uid)
        self.net.wait(GONE_S, calm=True)
        self._nothing_is_left()

    def _lists(self) -> Iterator[tuple[str, tuple[Participant, ...]]]:
        for device in (self.door, self.gate):
            if device.call is not None and device.call.state is not CallState.INCOMING:
                yield device.address.uid, device.listed
        for uid, page in self.pages.items():
            if page.busy:
                yield uid, page.listed

    def _all_have_one_list(self) -> None:
        lists = {uid: [plain(one) for one in listed] for uid, listed in self._lists()}
        if self.door.call is None:
            assert not lists, "the host is gone, and somebody is still there"
            return
        here = lists["front-door"]
        for uid, listed in lists.items():
            assert listed == here, f"{uid} has another list than the host"
        assert {one.uid for one in here} == set(lists), "who is listed is there"
        for one in here:
            assert (one.audio_muted, one.hand_raised) == self._true_flags(one.uid), one.uid

    def _true_flags(self, uid: str) -> tuple[bool, bool]:
        if uid in self.pages:
            said = self.pages[uid].flags
            return said["audio_muted"], said["hand_raised"]
        device = self.gate if uid == "gate" else self.door
        assert device.call is not None
        return device.play.state.audio_muted, device.call.hand_raised

    def _all_hear_each_other(self) -> None:
        here = [uid for uid, _ in self._lists()]
        for one in here:
            for other in here:
                assert one == other or self.net.connected(one, other), (one, other)
        for device in (self.door, self.gate):
            call = device.call
            if call is not None and call.answered:
                assert {one.uid for one in call.participants} == set(here) - {device.address.uid}
                assert call.state is CallState.CONNECTED

    def _nothing_is_left(self) -> None:
        assert not list(self._lists())
        assert not any(self.net.legs.values()), "a connection is left open"
        assert self.net.waiting() == 0, "a message is still repeated"
        for page in self.pages.values():
            assert len(page.ends) == page.begun, "each call ends once, for one reason"
            assert all(page.ends)
        for device in (self.door, self.gate):
            assert not [one for one in device.play.timers if one.kind not in ("errors", "ring")]
            assert not device.play.laws.capturing


def plain(one: Participant) -> Participant:
    """Without what each sees for itself: how well it is connected, since when, under which name."""
    return replace(one, name=None, joined_at=None, state=Participant("", None, "").state)


TestMesh = Mesh.TestCase
TestMesh.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
