"""The link of an invitation, its picture for a terminal, and the uid of somebody new."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
import segno

from appliance.invitation import DARK, LIGHT, QUIET, REST, link_of, qr_code, uid_of

WORDS = {
    "v": 1,
    "root": "appliance",
    "device_id": "front-door",
    "public_key": "A" * 43,
    "websocket_url": "wss://door.fritz.box:8884/",
    "username": "zoe",
    "password": "p" * 24,
    "uid": "zoe",
    "name": "Zoë",
    "secret": "s" * 22,
}
PAGE = "https://door.fritz.box:8443/"


def test_the_link_is_the_page_and_all_else_is_behind_the_hash_which_no_server_is_sent() -> None:
    link = link_of(f"{PAGE}#old", WORDS)
    page, packed = link.split("#pair=")
    assert page == PAGE
    assert "=" not in packed
    assert json.loads(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))) == WORDS


def modules_of(code: str) -> np.ndarray:
    """The modules that a terminal shows: True is dark."""
    shown = {" ": (0, 0), "▀": (1, 0), "▄": (0, 1), "█": (1, 1)}
    rows: list[list[int]] = []
    for line in code.splitlines():
        assert line.startswith(LIGHT + DARK)
        assert line.endswith(REST)
        halves = [shown[letter] for letter in line.removeprefix(LIGHT + DARK).removesuffix(REST)]
        rows += [[upper for upper, _ in halves], [lower for _, lower in halves]]
    return np.array(rows, dtype=bool)


def test_the_code_is_that_of_the_link_dark_on_light_whatever_the_terminal_is() -> None:
    link = link_of(PAGE, WORDS)
    code = qr_code(link, 80)
    assert code is not None, "an ordinary invitation fits into an ordinary terminal"
    shown = modules_of(code)
    made = np.array([list(row) for row in segno.make_qr(link, error="l", boost_error=False).matrix])
    size = len(made)
    inside = shown[QUIET : QUIET + size, QUIET : QUIET + size]
    assert (inside == made.astype(bool)).all()
    assert not shown[:QUIET].any()
    assert not shown[:, :QUIET].any()
    assert not shown[QUIET + size :].any()


def test_where_it_does_not_fit_there_is_none() -> None:
    link = link_of(PAGE, WORDS)
    code = qr_code(link, 200)
    assert code is not None
    width = modules_of(code).shape[1]
    assert qr_code(link, width) is not None
    assert qr_code(link, width - 1) is None


@pytest.mark.parametrize(
    ("name", "uid"),
    [
        ("Alice", "alice"),
        ("Zoë Müller", "zoe-muller"),
        ("Groß", "gross"),
        ("Oma & Opa", "oma-opa"),
        ("  _x_  ", "_x_"),
        ("张伟", "person"),
        ("Bob", "bob-2"),
        ("carol", "carol-3"),
        ("x" * 100, "x" * 56),
    ],
)
def test_a_new_person_gets_a_uid_that_is_like_the_name_and_nobody_elses(
    name: str, uid: str
) -> None:
    assert uid_of(name, ["bob", "carol", "carol-2"]) == uid
