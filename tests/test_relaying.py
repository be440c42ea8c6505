"""Which servers a page is told, and what lets it in."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path

from appliance.config import IceServer
from appliance.relaying import GOOD_FOR_S, secret_of, time_limited, told

NOW_S = 1_795_252_800.9


def test_a_name_that_is_good_for_a_day_and_its_hmac(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("north\n")
    urls = ("turn:relay.example:3478", "turns:relay.example", "stun:relay.example")
    asked, relays = told([IceServer(urls, secret_file=str(file))], "alice", NOW_S)
    assert asked == {"urls": ["stun:relay.example"]}
    assert relays["urls"] == ["turn:relay.example:3478", "turns:relay.example"]
    name = f"{int(NOW_S) + GOOD_FOR_S}:alice"
    assert relays["username"] == name
    digest = hmac.digest(b"north", name.encode(), hashlib.sha1)
    assert relays["credential"] == base64.b64encode(digest).decode()
    assert time_limited(b"north", "alice", int(NOW_S) + GOOD_FOR_S) == (name, relays["credential"])
    assert secret_of(file) == "north"
    assert "north" not in str(relays)


def test_a_password_that_lasts_is_told_to_nobody(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("lasting")
    lasting = IceServer(("turn:relay.example",), username="door", credential_file=str(file))
    unreadable = IceServer(("turn:other.example",), secret_file=str(tmp_path / "none"))
    assert told([lasting, unreadable, IceServer(("turn:plain.example",))], "alice", NOW_S) == []
    assert told([], "alice", NOW_S) == []
