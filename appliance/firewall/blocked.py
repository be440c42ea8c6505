"""The one error of this folder: what came from outside and must not reach a media stack."""

from __future__ import annotations

from appliance.errors import ApplianceError


class Blocked(ApplianceError):
    """A description or candidate breaks a rule: `code` says which, the sentence what and where.

    Codes: oversized (it, or a line of it), malformed (not as its standard has it), too_many
    (candidates, sections, payload types, lines of one kind), host_name (one that would be looked up),
    forbidden_address (a candidate that no other device can have), no_fingerprint, weak_fingerprint,
    mixed_fingerprints (RFC 8122), unencrypted (media without DTLS).
    """

    def __init__(self, code: str, sentence: str) -> None:
        """Keep the code beside the sentence."""
        super().__init__(sentence)
        self.code = code
