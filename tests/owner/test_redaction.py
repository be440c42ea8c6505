"""What is taken out of a text, in which spelling, and what is left."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest

from appliance.owner.redaction import Redaction, secrets_in, spellings
from appliance.trust.keys import DeviceKey

PASSWORD = "recognise-broker/Pa55+wörd"
RED = Redaction([PASSWORD.encode()], {"al": ["Al", "Aleksandra Öz"], "may": ["May"]}, ["may"])


@pytest.mark.parametrize("how", sorted(spellings(PASSWORD.encode())))
def test_a_secret_is_found_in_each_spelling(how: str) -> None:
    assert RED.text(f"a line that has{how}in it") == "a line that has***in it"


def test_the_spellings_are_what_others_write() -> None:
    secret = bytes(range(200, 232))
    known = spellings(secret)
    for how in (
        secret.hex(),
        base64.b64encode(secret).decode().rstrip("="),
        base64.urlsafe_b64encode(secret).decode().rstrip("="),
        quote(secret, safe=""),
    ):
        assert how in known


def test_a_short_secret_does_not_spoil_words() -> None:
    red = Redaction([b"42"])
    assert red.text("pin 42, line 1428") == "pin ***, line 1428"


def test_a_person_is_the_same_one_by_name_and_uid_and_words_with_the_name_in_them_stay() -> None:
    assert RED.text("al was rung; ALEKSANDRA ÖZ answered, Al's call") == (
        "person-1 was rung; person-1 answered, person-1's call"
    )
    assert RED.text("also a signal, mayor, appliance/call/al/door") == (
        "also a signal, mayor, appliance/call/person-1/door"
    )


def test_a_document_keeps_its_own_words_though_somebody_is_called_so() -> None:
    found = RED.document({"contacts": {"may": {"may": ["call"], "name": "May"}}, "n": 7})
    assert found == {"contacts": {"person-2": {"may": ["call"], "name": "person-2"}}, "n": 7}


def test_what_looks_like_a_secret_goes_though_nobody_knows_it() -> None:
    key = DeviceKey.make()
    pem = key.pem().decode()
    invitation = "https://door.local/#pair=eyJ2IjoxLCJzZWNyZXQiOiJhYmMifQ"
    text = RED.text(f"key {key.public} of {key.kid}\n{pem}\nopen {invitation} now, password=Xyz9")
    assert key.public not in text
    assert key.kid not in text
    assert f"{key.public[:6]}…" in text
    assert pem.splitlines()[1] not in text
    assert "eyJ2" not in text
    assert "Xyz9" not in text
    assert text.endswith("now, password=***")


def test_a_key_that_is_cut_off_before_its_end_goes_to_the_end() -> None:
    assert RED.text("x -----BEGIN PRIVATE KEY-----\nMC4CAQ") == "x <PEM>"


def test_addresses_of_the_house_stay_and_those_of_the_internet_go() -> None:
    said = "192.168.1.7:8883 fe80::1 ::1 127.0.0.1; 8.8.8.8 and 2a00:1450:4001::200e at 12:30:05"
    assert RED.text(said) == (
        "192.168.1.7:8883 fe80::1 ::1 127.0.0.1; <public IPv4> and <public IPv6> at 12:30:05"
    )
    assert RED.text("dc:a6:32:01:02:03 of a@b.example") == "dc:a6:32:**:**:** of <mail address>"
    assert RED.text("version 1.16.0.5.2, 999.1.1.1") == "version 1.16.0.5.2, 999.1.1.1"


def test_a_private_key_is_secret_as_a_number_too() -> None:
    key = DeviceKey.make()
    found = secrets_in(key.pem())
    assert key._private.private_bytes_raw() in found
    assert key.pem().splitlines()[1] in found
    assert not any(b"BEGIN" in one for one in found)


def test_call_ids_and_words_as_long_as_a_key_stay() -> None:
    said = f"call {'0f' * 16} {'a-long-name-' * 3}sevenxx"
    assert RED.text(said) == said
