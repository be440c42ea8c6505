"""What is read of the configured servers, and the passwords that are good for a time."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path

import pytest

from appliance.config import IceServer
from appliance.media.ice_servers import GOOD_FOR_S, Server, read, time_limited


def test_each_address_is_a_server_with_what_it_wants(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("open sesame\n")
    configured = (
        IceServer(("stun:stun.example", "stun:198.18.0.9:1234")),
        IceServer(
            ("turn:turn.example", "turn:turn.example?transport=tcp", "turns:turn.example:443"),
            "front-door",
            str(password),
        ),
    )
    stun, other, udp, tcp, tls = read(configured, "front-door")
    assert stun == Server("stun.example", 3478)
    assert other == Server("198.18.0.9", 1234)
    assert [(one.transport, one.tls, one.port) for one in (udp, tcp, tls)] == [
        ("udp", False, 3478),
        ("tcp", False, 3478),
        ("tcp", True, 443),
    ]
    assert {one.login(0) for one in (udp, tcp, tls)} == {("front-door", "open sesame")}
    assert str(tls) == "turns:turn.example:443"


def test_a_shared_secret_makes_a_name_that_says_until_when_and_its_hmac(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("north\n")
    [server] = read((IceServer(("turn:t",), secret_file=str(secret)),), "front-door")
    username, password = server.login(1_000_000.9)
    assert username == f"{1_000_000 + GOOD_FOR_S}:front-door"
    assert password is not None
    digest = hmac.new(b"north", username.encode(), hashlib.sha1).digest()
    assert base64.b64decode(password) == digest
    assert server.login(1_000_001)[1] != password
    assert "north" not in f"{server}"


def test_the_words_of_another_implementation() -> None:
    """Made with `printf 1795252800:door | openssl dgst -sha1 -hmac north -binary | base64`."""
    told = time_limited(b"north", "door", 1_795_252_800)
    assert told == ("1795252800:door", "um8XxG2u71AWUQQwpr/xHaec9/c=")


@pytest.mark.parametrize(
    "url",
    ["http://turn.example", "stuns:x", "turns:x?transport=udp", "turn:x?transport=sctp", "turn:"],
)
def test_what_is_no_server_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read((IceServer((url,)),), "door")


def test_a_file_that_is_not_there_is_told() -> None:
    with pytest.raises(FileNotFoundError):
        read((IceServer(("turn:t",), secret_file="/nowhere"),), "door")
