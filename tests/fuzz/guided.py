"""Coverage-guided fuzzing of the parsers that anybody reaches, where atheris is installed.

`FUZZ=guided make fuzz` gets it (the extra `fuzz`; Linux on x86-64) and plays N seconds of each, or for one
`python -m tests.fuzz.guided messages -max_total_time=60`; behind the name are libFuzzer's own settings.
It ends at the first input that is neither understood nor refused by its own error. The property tests ask
the same without looking at which lines are reached.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.fuzz.table import Outcome


def targets() -> dict[str, Callable[[bytes], None]]:
    """By their names; imported under the eyes of atheris, so that it sees which lines are reached."""
    from appliance.errors import Refused
    from appliance.firewall.blocked import Blocked
    from appliance.firewall.candidates import check_candidate
    from appliance.firewall.descriptions import check_description
    from appliance.media.annexb import parameter_sets, picture_size
    from appliance.media.sections import Description
    from appliance.reporting.asking import _read
    from appliance.signaling import orders, presence
    from appliance.signaling.rejected import Rejected
    from appliance.signaling.wire import decode
    from appliance.trust.jws import Untrusted, peek
    from appliance.trust.keys import PublicKey
    from appliance.web.players import candidates_of

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

    def presences(data: bytes) -> None:
        with contextlib.suppress(Rejected):
            presence.Presence().told("alice", "phone-1", data)

    def plain_commands(data: bytes) -> None:
        with contextlib.suppress(ValueError, Refused):
            _read("unlock", data)

    def keys(data: bytes) -> None:
        with contextlib.suppress(ValueError):
            PublicKey.read(data.decode(errors="replace"))

    def fragments(data: bytes) -> None:
        with contextlib.suppress(Refused):
            candidates_of(data.decode(errors="replace"))

    def sections(data: bytes) -> None:
        found = Description.parse(data.decode(errors="replace"))
        found.together(range(len(found.sections)))
        assert Description.parse(found.text).text == found.text

    def pictures(data: bytes) -> None:
        picture_size(parameter_sets(data))

    over_the_broker = (messages, commands, plain_commands, signatures, presences, keys)
    about_media = (descriptions, candidates, fragments, sections, pictures)
    return {one.__name__: one for one in (*over_the_broker, *about_media)}


def seeds() -> dict[str, list[bytes]]:
    """What a target begins with, by its name: what is right, of which it then spoils this and that."""
    from appliance.signaling.listed import Reach
    from appliance.signaling.wire import encode
    from tests.parts.sdp import sdp
    from tests.signaling.envelopes import MESSAGES, envelope

    described = [sdp().encode(), sdp("answer").encode()]
    said = [encode(envelope(one), lambda uid, endpoint: Reach()) for one in MESSAGES]
    return {"messages": said, "descriptions": described, "sections": described}


MISSING = (
    "atheris is not installed: `FUZZ=guided make fuzz` gets it (the extra `fuzz`; Linux on x86-64); "
    "the property tests ask the same without it"
)


def is_there() -> bool:
    """Whether atheris is."""
    return importlib.util.find_spec("atheris") is not None


def run(lasts_s: int, seed: int) -> Outcome:
    """Each target for so long, in a process of its own: libFuzzer ends the one that it is in."""
    outcome = Outcome(f"Guided by coverage, {lasts_s} s for each parser", seed)
    if not is_there():
        outcome.figures[MISSING] = "left out"
        return outcome
    for name in targets():
        with tempfile.TemporaryDirectory(prefix="guided-") as folder:
            for number, one in enumerate(seeds().get(name, [])):
                (Path(folder) / str(number)).write_bytes(one)
            settings = [f"-max_total_time={lasts_s}", f"-seed={seed}", "-max_len=32768"]
            command = [sys.executable, "-m", "tests.fuzz.guided", name, *settings, folder]
            played = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        done = re.search(r"Done (\d+) runs", played.stderr)
        number = int(done[1]) if done else 0
        outcome.sent += number
        outcome.counts[name] = number
        outcome.expect(played.returncode == 0 and number > 0, f"{name} took whatever came")
        if played.returncode:
            print(played.stderr[-4000:], file=sys.stderr)
    return outcome


def main(arguments: list[str]) -> None:
    """Fuzz the target that is named first."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["appliance"]):
        known = targets()
    name, *rest = arguments or [""]
    if name not in known:
        sys.exit(f"name one of {', '.join(known)}")
    atheris.Setup([sys.argv[0], *rest], known[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
