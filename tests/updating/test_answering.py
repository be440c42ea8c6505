"""Requests for an update at a socket, by root and by others, and whatever else comes there."""

from __future__ import annotations

import io
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from appliance import __version__
from appliance.errors import Refused
from appliance.updating import installing
from appliance.updating.answering import Answers, answer, peer_is_root, where
from tests.updating import bundles
from tests.updating.conftest import Device, Published


def answered(
    line: bytes, configured: str | None = None, *, root: bool = False
) -> list[Mapping[str, Any]]:
    stream = io.BytesIO()
    answer(line, Answers(stream), configured, root=root)
    return [msgspec.json.decode(each) for each in stream.getvalue().splitlines()]


def asked(**request: Any) -> bytes:
    return msgspec.json.encode(request)


def refusal(answers: list[Mapping[str, Any]]) -> str:
    (only,) = answers
    return str(only["error"]["message"])


def test_whether_there_is_one(device: Device, published: Published) -> None:
    expected = [{"done": {"version": "9.0", "runs": __version__, "given_up": False}}]
    assert answered(asked(what="check", source=str(published.good))) == expected
    assert answered(asked(what="check"), str(published.good)) == expected
    assert "[update] url" in refusal(answered(asked(what="check")))


def test_how_it_goes_is_told_and_then_that_it_restarts(
    device: Device, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installing, "install", lambda source, say, older: say(f"{source} {older}"))
    source = str(published.good)
    assert answered(asked(what="install", source=source)) == [
        {"say": f"{source} False"}, {"done": {"restarts": True}},
    ]  # fmt: skip
    monkeypatch.setattr(installing, "resume", lambda say: say("once more"))
    assert answered(asked(what="resume")) == [{"say": "once more"}, {"done": {"restarts": True}}]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(28, "No space left on device", "/persistent/rauc/before.json"), "before.json"),
        (RuntimeError(), "RuntimeError()"),
    ],
)
def test_whatever_fails_is_told_to_who_asked_and_to_the_journal(
    monkeypatch: pytest.MonkeyPatch, error: Exception, sentence: str
) -> None:
    def fails(say: Callable[[str], None]) -> None:
        say("it is whole")
        raise error

    monkeypatch.setattr(installing, "resume", fails)
    stream = io.BytesIO()
    with pytest.raises(type(error)):
        answer(asked(what="resume"), Answers(stream), None, root=False)
    told, last = map(msgspec.json.decode, stream.getvalue().splitlines())
    assert told == {"say": "it is whole"}
    assert sentence in last["error"]["message"]


def test_what_is_older_is_roots(device: Device, published: Published, tmp_path: Path) -> None:
    old = bundles.bundle(tmp_path / "old.raucb", published.keys, version="0.0.1")
    request = asked(what="check", source=str(old), older=True)
    assert "root's" in refusal(answered(request))
    assert answered(request, root=True)[0]["done"]["version"] == "0.0.1"


@pytest.mark.parametrize(
    "source",
    [
        "good.raucb",
        "http://example/a.raucb",
        "file:///a.raucb",
        "/etc/shadow",
        "--conf=/a.raucb",
        "",
    ],
)
def test_what_is_neither_a_file_of_that_ending_nor_https(source: str) -> None:
    with pytest.raises(Refused):
        where(source)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="there is no file"):
        where(str(tmp_path / "none.raucb"))
    assert where("https://example/a") == "https://example/a"


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=200))
@example(b"")
@example(b"[" * 8000)
@example(b'{"what": "check", "source": 3}')
@example(b'{"what": "erase"}')
@example(b'{"what": "check", "source": "\\u0000.raucb"}')
@example(b'{"what": "check", "source": "/\\ud800.raucb"}')
@example(b'{"what": "check", "source": "/\\u0000.raucb"}')
@example(b'{"what": "check", "more": 1}')
def test_whatever_comes_is_refused_in_a_sentence(line: bytes) -> None:
    (only,) = answered(line)
    assert only["error"]["message"]


def test_who_goes_away_is_no_reason_to_stop() -> None:
    class Gone(io.RawIOBase):
        def write(self, _data: object) -> int:
            raise BrokenPipeError

    Answers(Gone()).say("it is written")  # type: ignore[arg-type]


def test_who_is_at_the_other_end() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert peer_is_root(one.fileno()) is (os.geteuid() == 0)
    reading, writing = os.pipe()
    try:
        assert not peer_is_root(reading)
    finally:
        os.close(reading)
        os.close(writing)
