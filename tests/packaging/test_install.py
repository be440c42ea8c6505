"""docs/install.md is followed as it stands, on a machine with the package: to a page and a broker with TLS.

The blocks of `sh` are run in their order in one machine. What they need of a Pi is simulated by one more
file; page and broker are asked from outside, by the one authority that a phone is told to trust, and the
phone is a real Chromium. `make deb-test` runs this.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import shutil
import socket
import ssl
from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.async_api import expect

from tests.packaging.systems import BOOKWORM, TRIXIE, built, own
from tests.packaging.test_life import STATUS
from tests.parts.booted import Machine, booted
from tests.parts.document import INSTALL, blocks
from tests.parts.need import program
from tests.web.conftest import WITH_CONSENT, chromium
from tests.web.test_page_pairing import ADVANCES
from tests.web.visiting import part, shows

pytestmark = [pytest.mark.browser, pytest.mark.broker, pytest.mark.timeout(600)]

STAND_INS = """
[device]
board = "simulated"
[cameras.front]
device = "test-card"
[audio.speaker]
playback = "silence"
capture = "tone"
[relays.door]
pin = "GPIO27"
"""
PAGE, SECURE_MQTT, PAGES_OF_PHONES = 8443, 8883, 8884


@pytest.fixture(scope="module")
def pi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    program("dpkg-deb", "dpkg")
    program("mosquitto")
    package = built(BOOKWORM if own(BOOKWORM) else TRIXIE)
    folder = tmp_path_factory.mktemp("install")
    (folder / "given").mkdir()
    shutil.copy(package, folder / "given" / "appliance.deb")
    with booted(folder, bare=True) as machine:
        machine.run("rm -f /usr/sbin/policy-rc.d; rm -rf /etc/appliance /var/lib/appliance")
        machine.run("rm -rf /opt/appliance /etc/mosquitto/appliance; userdel appliance || true")
        machine.run(
            "printf '#!/bin/sh\\nexec \"$@\"\\n' > /usr/bin/sudo && chmod 755 /usr/bin/sudo"
        )
        machine.run("hostname front-door; echo '127.0.0.1 front-door.local' >> /etc/hosts")
        machine.run(f"DEBIAN_FRONTEND=noninteractive dpkg -i {folder}/given/appliance.deb")
        machine.put("/etc/appliance/conf.d/stand-ins.toml", STAND_INS)
        yield machine


def test_the_first_ring(pi: Machine) -> None:
    """Its configuration has no faults, and a press is told; nobody is paired, which is told as well."""
    for block in blocks("The first ring"):
        pi.run(block)
    pi.until(STATUS, holds="broker offline, idle")
    pi.run("appliance press call")
    pi.until("appliance calls", holds="nobody_to_call")


def test_the_first_phone_finds_a_broker_and_a_page_that_it_can_trust(pi: Machine) -> None:
    for block in blocks("The first phone"):
        pi.run(block)
    pi.until(STATUS, holds="broker connected, idle")
    said = json.loads(pi.run("appliance doctor --json || true").out)
    faults = [one for one in said["findings"] if one["verdict"] == "fault"]
    assert faults == []

    trusted = ssl.create_default_context(cadata=pi.read("/etc/mosquitto/appliance/ca.crt"))
    for port in (SECURE_MQTT, PAGES_OF_PHONES, PAGE):
        with (
            socket.create_connection(("127.0.0.1", port), timeout=30) as plain,
            trusted.wrap_socket(plain, server_hostname="front-door.local") as secure,
        ):
            assert secure.version() in ("TLSv1.2", "TLSv1.3")
            if port == PAGE:
                secure.sendall(b"GET /healthz HTTP/1.0\r\nHost: front-door.local:8443\r\n\r\n")
                assert b" 200 " in secure.recv(1000).split(b"\r\n")[0]


async def test_the_phone_is_paired_rings_and_sees_the_door(pi: Machine) -> None:
    """A real Chromium that believes the broker's authority, and has no other exception from https."""
    [command] = re.findall(r"^sudo (appliance pair .*)$", INSTALL.read_text(), re.MULTILINE)
    run, until = pi.run, pi.until
    await asyncio.to_thread(run, f"{command} > /root/link 2>&1 < /dev/null & :")
    told = await asyncio.to_thread(until, "cat /root/link", holds="#pair=")
    [link] = re.findall(r"https://front-door\.local:8443/#pair=[\w-]+", told)
    authority = x509.load_pem_x509_certificate(pi.read("/etc/mosquitto/appliance/ca.crt").encode())
    leaf = x509.load_pem_x509_certificate(pi.read("/etc/appliance/server.crt").encode())
    flags = [
        f"--ignore-certificate-errors-spki-list={pin(authority)},{pin(leaf)}",
        "--host-resolver-rules=MAP front-door.local 127.0.0.1",
    ]
    async with chromium(*WITH_CONSENT, *flags) as browser:
        tab = await browser.new_page()
        await tab.goto(link)
        await part(tab, "pair").click()
        await shows(tab, "idle")
        await expect(part(tab, "phone")).to_have_attribute("data-door", "online")
        await asyncio.to_thread(run, "appliance press call")
        await shows(tab, "incoming")
        await part(tab, "answer").click()
        await shows(tab, "in_call")
        await part(tab, "picture").evaluate(ADVANCES)
        await part(tab, "open-door").click()
        await expect(part(tab, "open-door")).to_contain_text("Door is open")
        await part(tab, "hang-up").click()
        await shows(tab, "ended", "local_hang_up")
    assert "alice" in await asyncio.to_thread(lambda: pi.run("appliance contacts").out)


def pin(certificate: x509.Certificate) -> str:
    """How Chromium knows a key."""
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(key).digest()).decode()
