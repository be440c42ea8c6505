"""Who may ask: the server's own names and addresses, and the origins that are let in."""

from __future__ import annotations

import pytest

from appliance.config import Http
from appliance.web.guard import Guard, is_loopback, security_headers

LOOPBACK = Guard.of(Http(host="127.0.0.1", origins=("https://ha.example:8123/",)), 8080, tls=False)
EVERYWHERE = "0.0.0.0"  # noqa: S104 - that is what is tested
OPEN = Guard.of(Http(host=EVERYWHERE), 443, tls=True)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:8080", None),
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("LOCALHOST:8080", "http://localhost:8080"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("localhost:8080", "https://ha.example:8123"),
        ("ha.example:8123", "https://ha.example:8123"),
    ],
)
def test_own_names_and_configured_origins_are_let_in(host: str, origin: str | None) -> None:
    assert LOOPBACK.refusal(host, origin, "127.0.0.1") is None


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        (None, None),
        ("evil.example:8080", None),
        ("evil.example", "http://evil.example"),
        ("localhost", None),
        ("localhost:8081", None),
        ("localhost:8080", "http://evil.example"),
        ("localhost:8080", "http://localhost:3000"),
        ("localhost:8080", "https://localhost:8080"),
        ("localhost:8080", "null"),
        ("localhost:8080.evil.example", None),
        ("ha.example", None),
        ("localhost.:8080", None),
        ("[::ffff:127.0.0.1]:8080", None),
        ("127.1:8080", None),
        ("0:8080", None),
        ("user@localhost:8080", None),
        ("localhost:8080", ""),
        ("localhost:8080", "http://localhost:8080/"),
        ("localhost:8080", "http://localhost:8080.evil.example"),
        ("localhost:8080", "http://localhost:8080@evil.example"),
    ],
)
def test_everybody_else_is_refused_in_a_sentence(host: str | None, origin: str | None) -> None:
    refusal = LOOPBACK.refusal(host, origin, "127.0.0.1")
    assert refusal is not None
    assert "http.origins" in refusal


def test_beyond_loopback_the_address_that_was_reached_is_a_name_too() -> None:
    assert OPEN.refusal("192.168.1.20", "https://192.168.1.20", "192.168.1.20") is None
    assert OPEN.refusal("192.168.1.20:443", None, "192.168.1.20") is None
    assert OPEN.refusal("[fe80::1]", None, "fe80::1%eth0") is None
    assert OPEN.refusal("192.168.1.99", None, "192.168.1.20") is not None
    assert OPEN.refusal("localhost", None, "192.168.1.20") is not None


@pytest.mark.parametrize(
    ("host", "only_here"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost", True),
        (EVERYWHERE, False),
        ("::", False),
        ("192.168.1.20", False),
        ("door.local", False),
        ("localhost.evil.example", False),
    ],
)
def test_what_loopback_is(host: str, only_here: bool) -> None:
    assert is_loopback(host) is only_here


def test_a_name_is_this_machines_own_or_that_of_who_stands_before_it() -> None:
    assert LOOPBACK.names_this_machine("LocalHost:8080", "127.0.0.1")
    assert not LOOPBACK.names_this_machine("ha.example:8123", "127.0.0.1")
    assert not LOOPBACK.names_this_machine(None, "127.0.0.1")
    assert LOOPBACK.lets_in("https://HA.example:8123")
    assert not LOOPBACK.lets_in("http://localhost:8080")
    assert not LOOPBACK.lets_in(None)


def test_a_page_may_load_its_own_files_and_reach_its_broker_and_nothing_else() -> None:
    headers = security_headers("wss://broker.example:9001/mqtt?x=1", ("https://ha.example",))
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["style-src"] == "'self'"
    assert policy["connect-src"] == "'self' wss://broker.example:9001"
    assert policy["frame-ancestors"] == "'self' https://ha.example"
    assert "unsafe" not in headers["Content-Security-Policy"]
