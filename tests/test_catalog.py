"""The catalog is the vocabulary that other programs were written against, name by name.

It is spelled out here, so that a change of a class's name or field does not go unnoticed.
"""

from __future__ import annotations

import json
import re

import pytest

from appliance.catalog import catalog

EVENTS = {
    "SessionStatusListener": """
        session_joined(session_id,call_id) session_left(session_id,call_id,reason)
        session_timed_out(session_id,idle_s) connection_lost(session_id)
        connection_restored(session_id,outage_s) connection_closed(session_id)
        session_state_changed(reason,error_code,extended_data) error(code,message,where,count)
    """,
    "ParticipantEventListener": """
        participant_joined(participant) participant_left(participant,reason)
        participant_list_changed(participants) participant_audio_muted(participant,muted_by)
        participant_audio_unmuted(participant) participant_video_paused(participant)
        participant_video_resumed(participant) participant_hand_raised(participant)
        participant_hand_lowered(participant) participant_started_screen_share(participant)
        participant_stopped_screen_share(participant) participant_started_recording(participant)
        participant_stopped_recording(participant) dominant_speaker_changed(participant)
    """,
    "MediaEventsListener": """
        audio_muted() audio_unmuted() video_paused() video_resumed() recording_started(path)
        recording_stopped(path,duration_s,bytes) screen_share_started() screen_share_stopped()
        audio_mode_changed(mode,available) camera_facing_changed(facing)
        audio_session_toggled(active) local_camera_exception(type,message)
        local_microphone_exception(type,message) remote_camera_exception(participant,type,message)
        remote_microphone_exception(participant,type,message)
    """,
    "ButtonClickListener": """
        leave_session_button_clicked(button,gesture) toggle_audio_button_clicked(button,gesture)
        toggle_video_button_clicked(button,gesture) switch_camera_button_clicked(button,gesture)
        raise_hand_button_clicked(button,gesture) share_invite_button_clicked(button,gesture)
        change_layout_button_clicked(button,gesture) participant_list_button_clicked(button,gesture)
        chat_button_clicked(button,gesture) recording_toggle_button_clicked(button,gesture)
        incoming_call_accept_button_pressed(button,gesture)
        incoming_call_decline_button_pressed(button,gesture)
        outgoing_call_cancel_button_pressed(button,gesture) call_button_clicked(button,gesture)
        input_changed(input,kind,on)
    """,
    "LayoutListener": """
        call_layout_changed(layout) participant_list_visible() participant_list_hidden()
        picture_in_picture_layout_enabled() picture_in_picture_layout_disabled()
    """,
    "CallListener": """
        incoming_call_received(call) incoming_call_accepted(call)
        incoming_call_declined(call,reason) incoming_call_cancelled(call,reason,custom_data)
        incoming_call_timeout(call) outgoing_call_started(call) outgoing_call_accepted(call,callee)
        outgoing_call_rejected(call,callee,reason,custom_data) outgoing_call_timeout(call,callees)
        invitation_user_state_changed(call,callees) call_ended(call,reason,kicked_by,duration_s)
        call_back_requested(call) hold_toggled(call,on_hold) dtmf(digits,participant)
        group_toggled(call,grouped) call_switched_to_video(requested_by,accepted_by)
        switch_to_video_requested(requested_by,request_id) do_not_disturb_changed(on,until)
        push_registration_updated(token) custom(name,body) chat_message(participant,text)
    """,
}

COMMANDS = """
    initiate_call(receiver,receiver_type,type,timeout_s,custom_data) accept_call(call_id)
    reject_call(call_id,reason,custom_data) end_call() leave_session()
    generate_token(session_id,uid,expires_s) start_session(token,settings) mute_audio(muted)
    pause_video(paused) switch_camera() set_audio_mode(mode) switch_to_video_call()
    start_recording() stop_recording() enter_picture_in_picture() exit_picture_in_picture()
    set_layout(layout) show_participant_list(visible) raise_hand(raised) share_screen(sharing)
    invite(receiver) send_chat_message(text) hold_call(on_hold) send_dtmf(digits) call_back()
    merge_calls() split_call(uid) kick_participant(uid) mute_participant(uid,muted)
    answer_request(request_id,accepted) set_volume(output,percent) set_do_not_disturb(on,until)
    send_custom_event(name,body) unlock(relay)
"""

SETTINGS = {
    "audio_only": False,
    "start_with_audio_muted": False,
    "start_with_video_paused": False,
    "default_audio_mode": "speaker",
    "layout": "spotlight",
    "start_recording_on_call_start": False,
    "main_video": "dominant_speaker",
    "main_video_container": {
        "fit": "contain",
        "name_label": True,
        "full_screen_button": True,
        "zoom_button": True,
    },
    "avatar_mode": "circle",
    "enable_video_tile_drag": True,
    "enable_video_tile_click": True,
    "call_waiting": False,
    "accept_video": "auto",
    "quiet_hours": "",
    "enabled_controls": [
        "leave",
        "switch_camera",
        "toggle_audio",
        "toggle_video",
        "audio_mode",
        "switch_to_video",
    ],
    "idle_timeout_s": 60,
}

ENUMS = {
    "audio_mode": """
        speaker earpiece bluetooth headphones
    """,
    "avatar_mode": """
        circle square fullscreen
    """,
    "call_end_reason": """
        local_hang_up remote_hang_up kicked_out cancelled rejected busy timed_out answered_elsewhere
        rejected_elsewhere connection_closed idle failed untrusted device_restart
    """,
    "call_state": """
        idle incoming outgoing connecting connected reconnecting ended
    """,
    "call_type": """
        audio video
    """,
    "callee_state": """
        inviting ringing accepted rejected busy timed_out cancelled offline left
    """,
    "camera_facing": """
        front rear
    """,
    "cancel_reason": """
        cancelled timed_out answered_elsewhere rejected_elsewhere
    """,
    "device_exception": """
        unknown generic invalid_id permission_not_granted zero_capture_fps device_occupied
        device_unplugged reboot_required media_services_were_lost siri_is_recording
        sound_level_too_low magnetic_case audio_session_deactivate audio_session_category_change
        interruption in_background multi_foreground_app by_system_pressure
    """,
    "gesture": """
        press double_press hold
    """,
    "layout": """
        tile spotlight single
    """,
    "participant_left_reason": """
        left connection_lost kicked_out
    """,
    "receiver_type": """
        user group
    """,
    "reject_reason": """
        rejected busy
    """,
    "session_state_reason": """
        logging_in logged_in login_failed reconnecting reconnected reconnect_failed kicked_out
        logged_out logout_failed
    """,
}


def spelled(text: str) -> dict[str, list[str]]:
    """`name(field,field)` words as name to fields."""
    words = re.findall(r"(\w+)\(([\w,]*)\)", text)
    return {name: [field for field in fields.split(",") if field] for name, fields in words}


def test_every_event_has_its_name_family_and_data() -> None:
    events = catalog()["events"]
    assert len(events) == 78
    for family, text in EVENTS.items():
        found = {each["name"]: each["data"] for each in events if each["family"] == family}
        assert found == spelled(text), family
    assert {each["family"] for each in events} == EVENTS.keys()


def test_every_command_has_its_name_and_arguments() -> None:
    commands = catalog()["commands"]
    assert len(commands) == 34
    assert {each["name"]: each["args"] for each in commands} == spelled(COMMANDS)


def test_every_setting_has_its_default() -> None:
    assert {each["name"]: each["default"] for each in catalog()["settings"]} == SETTINGS


def test_there_are_the_fifteen_enumerations_of_the_vocabulary() -> None:
    assert len(ENUMS) == 15
    assert catalog()["enums"] == {name: text.split() for name, text in ENUMS.items()}


@pytest.mark.parametrize("key", ["events", "commands", "settings", "enums"])
def test_the_catalog_is_plain_json(key: str) -> None:
    part = catalog()[key]
    assert json.loads(json.dumps(part)) == part
