"""Coverage-guided fuzzing of the parsers that anybody reaches, where atheris is installed.

`pip install atheris` (Linux on x86-64), then `python -m tests.fuzz.guided messages -max_total_time=60`;
what follows the name are libFuzzer's own settings. It ends at the first input that is neither understood
nor refused by its own error. The property tests ask the same without looking at which lines are reached.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable
from typing import Any


def targets() -> dict[str, Callable[[bytes], None]]:
    """By their names; imported under the eyes of atheris, so that it sees which lines are reached."""
    from appliance.firewall.blocked import Blocked
    from appliance.firewall.candidates import check_candidate
    from appliance.firewall.descriptions import check_description
    from appliance.signaling import orders
    from appliance.signaling.rejected import Rejected
    from appliance.signaling.wire import decode
    from appliance.trust.jws import Untrusted, peek

    def messages(data: bytes) -> None:
        with contextlib.suppress(Rejected):
            decode("appliance/call/door/alice", data)

    def commands(data: bytes) -> None:
        with contextlib.suppress(Rejected):
            orders.decode("unlock", "door", data)

    def signatures(data: bytes) -> None:
        with contextlib.suppress(Untrusted):
            peek(data)

    def descriptions(data: bytes) -> None:
        from aiortc.sdp import SessionDescription

        sdp = data.decode(errors="replace")
        try:
            check_description(sdp, "offer", "the offer")
        except Blocked:
            return
        SessionDescription.parse(sdp)

    def candidates(data: bytes) -> None:
        with contextlib.suppress(Blocked):
            check_candidate(data.decode(errors="replace"), "it")

    return {one.__name__: one for one in (messages, commands, signatures, descriptions, candidates)}


def main(arguments: list[str]) -> None:
    """Fuzz the target that is named first."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["appliance.firewall", "appliance.signaling"]):
        known = targets()
    name, *rest = arguments or [""]
    if name not in known:
        sys.exit(f"name one of {', '.join(known)}")
    atheris.Setup([sys.argv[0], *rest], known[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
