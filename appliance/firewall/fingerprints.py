"""By which certificate the media is bound to what was signed (RFC 8122, RFC 8827 section 6.5).

Law: every media section has the same set of fingerprints, at least one, each of SHA-256 or longer, and of
each algorithm one, since there is one certificate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from appliance.firewall.blocked import Blocked

OCTETS = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
"""The algorithms that are taken, and how long what they make is."""


def check_fingerprints(
    head: Sequence[str], sections: Mapping[str, Sequence[str]], where: str
) -> None:
    """Raise Blocked unless the values of `a=fingerprint` are as the law has it.

    `head` are those before all sections, which count where a section has none; `sections` are those
    that are in use, by their names.
    """
    agreed = _set_of(head, f"{where}, before the sections") if head else None
    for name, values in sections.items():
        if not values and agreed is None:
            raise Blocked("no_fingerprint", f"{where}, {name} has no fingerprint of a certificate")
        found = _set_of(values, f"{where}, {name}") if values else agreed
        if agreed is not None and found != agreed:
            raise Blocked(
                "mixed_fingerprints", f"{where}, {name} has other fingerprints than the one before"
            )
        agreed = found


def _set_of(values: Sequence[str], where: str) -> frozenset[tuple[str, str]]:
    pairs = []
    for value in values:
        algorithm, _, digits = value.lower().partition(" ")
        if algorithm not in OCTETS:
            raise Blocked("weak_fingerprint", f"{where} has a fingerprint of {algorithm[:16]}")
        if digits.count(":") + 1 != OCTETS[algorithm]:
            raise Blocked("malformed", f"{where} has a fingerprint of another length than its hash")
        pairs.append((algorithm, digits))
    if len({algorithm for algorithm, _ in pairs}) < len(pairs):
        raise Blocked("mixed_fingerprints", f"{where} has two fingerprints of one algorithm")
    return frozenset(pairs)
