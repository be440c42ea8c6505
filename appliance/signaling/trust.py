"""Whether a payload is believed to be its sender's, and how what is sent is made to be believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, Protocol

from appliance.signaling.rejected import Rejected
from appliance.trust.contacts import Contacts
from appliance.trust.jws import Untrusted, is_sealed, seal, unseal
from appliance.trust.keys import DeviceKey, PublicKey

Unsigned = Literal["refuse", "allow"]
NO_KEYS: Mapping[str, PublicKey] = {}


class Opened(NamedTuple):
    """The JSON that somebody has written, and the key that signed it, if one did."""

    payload: bytes
    kid: str | None = None


class Trust(Protocol):
    """Takes a payload out of its signature, and puts one into it."""

    def open(
        self, sender: str, payload: bytes, listed: Mapping[str, PublicKey] = NO_KEYS
    ) -> Opened:
        """The JSON that `sender` is believed to have written; raises `Rejected`.

        `listed` are the keys that hosts have told of it, each by its thumbprint.
        """

    def seal(self, receiver: str, payload: bytes, *, listed: bool = False) -> bytes:
        """The JSON as `receiver` will believe it; raises `Rejected` if it would not.

        `listed`: a host has told of a key of it.
        """

    @property
    def kid(self) -> str | None:
        """The name of the key that signs here, if there is one."""

    @property
    def public_key(self) -> str | None:
        """Its public half in base64url."""

    def key_text(self, uid: str, kid: str) -> str | None:
        """The key of that name of a contact, in base64url; None if it has it no more."""

    def may_be_there(self, uid: str, kid: str | None) -> bool:
        """Whether an endpoint of that uid which says that it signs by `kid` is taken for online."""


class PlainTrust:
    """Without keys: plain JSON is taken where `[security] unsigned` allows it, and nothing else."""

    kid: str | None = None
    public_key: str | None = None

    def __init__(self, unsigned: Unsigned) -> None:
        self._allowed = unsigned == "allow"

    def open(
        self, sender: str, payload: bytes, listed: Mapping[str, PublicKey] = NO_KEYS
    ) -> Opened:
        """The payload itself, if plain JSON is allowed."""
        if is_sealed(payload):
            raise Rejected("unverifiable", f"{sender} signed this, with no key that is known here")
        if not self._allowed:
            raise _unsigned(sender)
        return Opened(payload)

    def seal(self, receiver: str, payload: bytes, *, listed: bool = False) -> bytes:
        """The payload itself, if plain JSON is allowed."""
        if not self._allowed:
            raise _keyless(receiver)
        return payload

    def key_text(self, uid: str, kid: str) -> str | None:
        """None: there are no keys."""
        return None

    def may_be_there(self, uid: str, kid: str | None) -> bool:
        """Yes: there are no keys."""
        return True


class KeyTrust:
    """Signatures: of others by the own contacts first, and of who is none by the hosts' lists.

    Laws: the message never chooses its key; a key that was revoked is believed through no list either;
    and who once had a key is written to in signed messages only, though it may have lost it.
    """

    def __init__(self, key: DeviceKey | None, contacts: Contacts, unsigned: Unsigned) -> None:
        """`key` is None where this device has none that can be used; then nothing is signed."""
        self._key = key
        self._contacts = contacts
        self._allowed = unsigned == "allow"
        self._had_keys: set[str] = set()

    @property
    def kid(self) -> str | None:
        """The name of this device's key."""
        return self._key.kid if self._key else None

    @property
    def public_key(self) -> str | None:
        """The public half of this device's key."""
        return self._key.public if self._key else None

    def open(
        self, sender: str, payload: bytes, listed: Mapping[str, PublicKey] = NO_KEYS
    ) -> Opened:
        """What a key of `sender` has signed; plain JSON where that is allowed."""
        if self._contacts.barred(sender):
            raise Rejected("revoked", f"{sender} was revoked, and is believed by nobody's word")
        if not is_sealed(payload):
            if not self._allowed:
                raise _unsigned(sender)
            return Opened(payload)
        known = sender in self._contacts
        if known and self._contacts.keys_of(sender):
            self._had_keys.add(sender)
        keys = self._contacts.keys_of(sender) if known else self._still(listed)
        try:
            return Opened(*unseal(payload, keys))
        except Untrusted as fault:
            raise Rejected(fault.code, f"{sender} is not believed: {fault}") from None

    def seal(self, receiver: str, payload: bytes, *, listed: bool = False) -> bytes:
        """Signed for who has a key, else plain where that is allowed."""
        if listed or self._contacts.keys_of(receiver):
            self._had_keys.add(receiver)
        if receiver in self._had_keys:
            if self._key is None:
                raise Rejected(
                    "no_device_key", f"{receiver} wants signatures, and this device has no key"
                )
            return seal(payload, self._key)
        if not self._allowed:
            raise _keyless(receiver)
        return payload

    def key_text(self, uid: str, kid: str) -> str | None:
        """As the contacts have it now."""
        key = self._contacts.keys_of(uid).get(kid)
        return key.text if key else None

    def may_be_there(self, uid: str, kid: str | None) -> bool:
        """As the contacts have it now; where only signatures count, who has keys names one of them."""
        if kid is not None and self._contacts.revoked(kid):
            return False
        keys = self._contacts.keys_of(uid)
        return self._allowed or not keys or kid in keys

    def _still(self, listed: Mapping[str, PublicKey]) -> Mapping[str, PublicKey]:
        return {kid: key for kid, key in listed.items() if not self._contacts.revoked(kid)}


def _unsigned(sender: str) -> Rejected:
    return Rejected("unsigned", f"{sender} did not sign this, and [security] unsigned is refuse")


def _keyless(receiver: str) -> Rejected:
    return Rejected(
        "unsigned", f"{receiver} has no key, and [security] unsigned is refuse: not sent"
    )
