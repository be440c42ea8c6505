"""What is counted as written: what is new of a file that grows, all of one that takes a place."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from appliance.whole_file import write_whole
from tests.bench.writes import _counted


def test_whoever_writes_is_named_with_what_it_wrote(tmp_path: Path) -> None:
    log, state = tmp_path / "log", tmp_path / "state"
    state.mkdir()
    log.write_bytes(b"before")
    (state / "grows").write_bytes(bytes(1000))
    write_whole(state / "replaced", bytes(300))

    def write() -> None:
        with (state / "grows").open("ab") as file:
            file.write(bytes(50))
        write_whole(state / "replaced", bytes(300))
        (state / "new").write_bytes(bytes(7))
        with log.open("ab") as file:
            file.write(b"line\n")

    writing = threading.Timer(0.2, write)
    writing.start()
    written, in_log, _, seconds = _counted(state, log, os.getpid(), 0.6)
    writing.join()
    assert written == {"grows": 50, "replaced": 300, "new": 7}
    assert in_log == 5
    assert seconds > 30
