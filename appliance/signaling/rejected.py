"""The one error of this folder: a message that is not believed, or cannot be sent."""

from __future__ import annotations

from appliance.errors import ApplianceError


class Rejected(ApplianceError):
    """A message breaks a rule: `code` says which, the sentence what was wrong and where.

    Codes: oversized, malformed, unsupported_version, unknown_type, misaddressed, unsigned, bad_header,
    unverifiable, forged, revoked, no_device_key, retained, flooded, unknown_sender, wrong_epoch,
    replayed, outdated, memory_full; of commands also not_plain and not_allowed; and those
    of the firewall (`firewall/blocked.py`).
    """

    def __init__(self, code: str, sentence: str, *, call_id: str | None = None) -> None:
        """Keep the code and, as far as it could be read, the call beside the sentence."""
        super().__init__(sentence)
        self.code = code
        self.call_id = call_id
