"""What the configuration settled: the rules of a run."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from appliance.actions import Action
from appliance.messages import Address
from appliance.model import AudioMode, CallSettings, CameraFacing, Gesture, Receiver, Right


class ContactPolicy(Struct, frozen=True):
    """A uid that this device knows."""

    name: str | None
    may: frozenset[Right]


class GroupPolicy(Struct, frozen=True):
    """Uids that are rung together: the first accept takes the call, or all may come in."""

    members: tuple[str, ...]
    first_takes_it: bool = True


class Policy(Struct, frozen=True):
    """The rules of a run; the contacts are those of now."""

    uid: str
    name: str
    endpoint: str = "main"
    contacts: Mapping[str, ContactPolicy] = field(default_factory=dict)
    groups: Mapping[str, GroupPolicy] = field(default_factory=dict)
    receiver: Receiver | None = None
    ring_timeout_s: float = 30
    auto_answer: frozenset[str] = frozenset()
    settings: CallSettings = field(default_factory=CallSettings)
    buttons: Mapping[tuple[str, Gesture], Action] = field(default_factory=dict)
    hold_to_hang_up: bool = False
    """A button that leaves a running call is to be held."""
    max_viewers: int = 4
    """How many may look through the camera at once without a call,"""
    view_limit_s: float = 3600
    """and each for how long; 0 is without limit."""
    max_presses: int = 20
    """How often a button may be pressed within `calls.pressing.WINDOW_S`; 0 is no limit."""
    privacy: bool = False
    """There is an LED that is lit whenever microphone or camera may be open."""
    exits: Mapping[str, str] = field(default_factory=dict)
    """Exit buttons, and the relay that each opens."""
    left_open_s: Mapping[str, float] = field(default_factory=dict)
    """Door contacts, and after how long an open door is told."""
    relays: frozenset[str] = frozenset()
    relay_digits: Mapping[str, str] = field(default_factory=dict)
    """Keypad digits, and the relay that they open for a participant who may."""
    invite_receiver: Receiver | None = None
    chat_messages: tuple[str, ...] = ()
    cameras: frozenset[CameraFacing] = frozenset({CameraFacing.FRONT})
    audio_modes: tuple[AudioMode, ...] = (AudioMode.SPEAKER,)
    has_screen: bool = False
    token_key: bytes = b""
    """Signs the tokens of this run."""

    @property
    def address(self) -> Address:
        """This device, as the others name it."""
        return Address(self.uid, self.endpoint)

    def may(self, uid: str, right: Right) -> bool:
        """Whether the uid is a contact with that right."""
        contact = self.contacts.get(uid)
        return contact is not None and right in contact.may

    def name_of(self, uid: str) -> str | None:
        """The contact's name, if it has one."""
        contact = self.contacts.get(uid)
        return contact.name if contact else None

    @property
    def films(self) -> bool:
        """Whether this device has a camera, and calls may have video."""
        return bool(self.cameras) and not self.settings.audio_only
