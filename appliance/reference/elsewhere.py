"""What settings, values and decisions are called elsewhere: the names that no event or command has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

DOCUMENTS: Mapping[str, str] = {
    "v5": "CometChat v5",
    "v4": "CometChat v4",
    "ringing": "CometChat ringing",
    "zego": "ZEGOCLOUD",
    "callkit": "CallKit",
}
"""The five interfaces whose names are known here, by the prefix that marks a name as theirs."""

SETTINGS: Mapping[str, tuple[str, ...]] = {
    "audio_only": ("v4:setAudioOnlyCall", "v4:setIsAudioOnly"),
    "start_with_audio_muted": ("v4:startWithAudioMuted",),
    "start_with_video_paused": ("v4:startWithVideoMuted",),
    "default_audio_mode": ("v4:setDefaultAudioMode",),
    "layout": ("v4:setMode",),
    "start_recording_on_call_start": ("v4:startRecordingOnCallStart",),
    "main_video": (),
    "main_video_container": ("v4:setMainVideoContainerSetting",),
    "avatar_mode": ("v4:setAvatarMode",),
    "enable_video_tile_drag": ("v4:enableVideoTileDrag",),
    "enable_video_tile_click": ("v4:enableVideoTileClick",),
    "call_waiting": (),
    "accept_video": ("v4:CallSwitchRequestInfo",),
    "quiet_hours": (),
    "enabled_controls": (
        "v4:enableDefaultLayout",
        "v4:defaultLayout",
        "v4:showEndCallButton",
        "v4:showSwitchCameraButton",
        "v4:showMuteAudioButton",
        "v4:showPauseVideoButton",
        "v4:showAudioModeButton",
        "v4:showSwitchToVideoCallButton",
        "v4:showCallRecordButton",
    ),
    "idle_timeout_s": ("v5:onSessionTimedOut",),
}

ENUMERATIONS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "audio_mode": {
        "speaker": ("v5:AudioMode.speaker", "v4:AUDIO_MODE_SPEAKER"),
        "earpiece": ("v5:AudioMode.earpiece", "v4:AUDIO_MODE_EARPIECE"),
        "bluetooth": ("v5:AudioMode.bluetooth", "v4:AUDIO_MODE_BLUETOOTH"),
        "headphones": ("v4:AUDIO_MODE_HEADPHONES",),
    },
    "avatar_mode": {
        "circle": ("v4:AVATAR_MODE_CIRCLE",),
        "square": ("v4:AVATAR_MODE_SQUARE",),
        "fullscreen": ("v4:AVATAR_MODE_FULLSCREEN",),
    },
    "call_end_reason": {
        "local_hang_up": ("zego:ZegoCallEndReason.localHangUp",),
        "remote_hang_up": ("zego:ZegoCallEndReason.remoteHangUp",),
        "kicked_out": ("zego:ZegoCallEndReason.kickOut",),
    },
    "call_type": {
        "audio": ("ringing:CALL_TYPE_AUDIO",),
        "video": ("ringing:CALL_TYPE_VIDEO", "ringing:CometChatCallType.video", "zego:isVideoCall"),
    },
    "camera_facing": {
        "front": ("v5:CameraFacing.front", "zego:isFronted = true"),
        "rear": ("v5:CameraFacing.rear", "zego:isFronted = false"),
    },
    "cancel_reason": {"cancelled": ("ringing:CALL_STATUS_CANCELLED",)},
    "device_exception": {
        "unknown": ("zego:unknown",),
        "generic": ("zego:generic",),
        "invalid_id": ("zego:invalidId",),
        "permission_not_granted": ("zego:permissionNotGranted",),
        "zero_capture_fps": ("zego:zeroCaptureFps",),
        "device_occupied": ("zego:deviceOccupied",),
        "device_unplugged": ("zego:deviceUnplugged",),
        "reboot_required": ("zego:rebootRequired",),
        "media_services_were_lost": ("zego:mediaServicesWereLost",),
        "siri_is_recording": ("zego:siriIsRecording",),
        "sound_level_too_low": ("zego:soundLevelTooLow",),
        "magnetic_case": ("zego:magneticCase",),
        "audio_session_deactivate": ("zego:audioSessionDeactivate",),
        "audio_session_category_change": ("zego:audioSessionCategoryChange",),
        "interruption": ("zego:interruption",),
        "in_background": ("zego:inBackground",),
        "multi_foreground_app": ("zego:multiForegroundApp",),
        "by_system_pressure": ("zego:bySystemPressure",),
    },
    "layout": {
        "tile": ("v5:LayoutType.tile", "v4:MODE_DEFAULT"),
        "spotlight": ("v5:LayoutType.spotlight", "v4:MODE_SPOTLIGHT"),
        "single": ("v4:MODE_SINGLE",),
    },
    "receiver_type": {
        "user": ("ringing:RECEIVER_TYPE_USER", "ringing:CometChatReceiverType.user"),
        "group": ("ringing:RECEIVER_TYPE_GROUP",),
    },
    "reject_reason": {
        "rejected": ("ringing:CALL_STATUS_REJECTED", "zego:onOutgoingCallDeclined"),
        "busy": ("ringing:CALL_STATUS_BUSY", "zego:onOutgoingCallRejectedCauseBusy"),
    },
    "session_state_reason": {
        "logging_in": ("zego:ZegoRoomStateChangedReason.Logining",),
        "logged_in": ("zego:ZegoRoomStateChangedReason.Logined",),
        "login_failed": ("zego:ZegoRoomStateChangedReason.LoginFailed",),
        "reconnecting": ("zego:ZegoRoomStateChangedReason.Reconnecting",),
        "reconnected": ("zego:ZegoRoomStateChangedReason.Reconnected",),
        "reconnect_failed": ("zego:ZegoRoomStateChangedReason.ReconnectFailed",),
        "kicked_out": ("zego:ZegoRoomStateChangedReason.KickOut",),
        "logged_out": ("zego:ZegoRoomStateChangedReason.Logout",),
        "logout_failed": ("zego:ZegoRoomStateChangedReason.LogoutFailed",),
    },
}
"""By enumeration and value; one that is not here has a name only with us."""

DECISIONS: Mapping[str, tuple[str, ...]] = {
    "hang_up_confirmation": ("zego:onHangUpConfirmation",),
    "call_end_default_action": ("zego:onCallEnd.defaultAction",),
}


def by_document(names: Iterable[str]) -> list[str]:
    """Names with a prefix, one cell for each document: what it calls the thing, or nothing."""
    cells: dict[str, list[str]] = {document: [] for document in DOCUMENTS}
    for document, _, name in (one.partition(":") for one in names):
        if document in cells:
            cells[document].append(f"`{name}`")
    return [" ".join(found) for found in cells.values()]


def in_words(names: Iterable[str]) -> str:
    """Names with a prefix, in one cell: each with the document that has it."""
    cells = zip(DOCUMENTS.values(), by_document(names), strict=True)
    return ", ".join(f"{document} {found}" for document, found in cells if found)
