"""The page from another machine, in a real Chromium that trusts the device's own authority: https, login,
microphone, and a player of go2rtc's protocol; and no rule of its content policy is broken.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec.structs import replace
from playwright.async_api import Browser, BrowserType, Page, expect

from appliance.config import Camera, Contact, Http, Media, Security
from appliance.model import Right
from appliance.trust.authority import FOLDER, KEY_FILE, Authority, lacks_authority
from tests.parts.house import House, config_for, house
from tests.parts.mosquitto import Mosquitto, free_port
from tests.web.conftest import WITH_CONSENT, another
from tests.web.visiting import part

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="module"),
]

EVERYWHERE = "0.0.0.0"  # noqa: S104 - that is what is tested
WATCH_POLICY = """
  window.violations = [];
  document.addEventListener('securitypolicyviolation', (event) =>
    window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""

MAKE_KEY = """async (device_id) => {
  const { makeSigner } = await import('/jws.js');
  const { keep } = await import('/pairings.js');
  const signer = await makeSigner();
  await keep({ device_id, uid: 'alice', name: 'Alice', public_key: signer.public_key, root: 'appliance',
    websocket_url: 'ws://127.0.0.1:1/', username: 'alice', password: null, signer, may: [], paired_at: 1 });
  return signer.public_key;
}"""

LOG_IN = """async () => {
  const { fetchKnown } = await import('/login.js');
  const response = await fetchKnown('/client.json');
  return [response.status, response.ok ? (await response.json()).device_id : null, document.cookie];
}"""

MICROPHONE = """async () => {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const live = stream.getAudioTracks()[0].readyState;
  for (const track of stream.getTracks()) track.stop();
  return [isSecureContext, live];
}"""

# as the players of go2rtc do: the microphone is offered, and the socket closed once connected
PLAY = """async () => {
  const microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
  const video = document.body.appendChild(document.createElement('video'));
  Object.assign(video, { autoplay: true, muted: true, playsInline: true });
  const pc = window.player = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  pc.addTransceiver('video', { direction: 'recvonly' });
  pc.addTransceiver('audio', { direction: 'recvonly' });
  pc.addTransceiver(microphone.getAudioTracks()[0], { direction: 'sendonly' });
  video.srcObject = new MediaStream(pc.getReceivers().slice(0, 2).map(({ track }) => track));
  const socket = new WebSocket(`wss://${location.host}/api/ws?src=door`);
  const say = (type, value) => socket.readyState === 1 && socket.send(JSON.stringify({ type, value }));
  pc.onicecandidate = ({ candidate }) => say('webrtc/candidate', candidate?.candidate ?? '');
  await new Promise((opened, failed) => Object.assign(socket, { onopen: opened, onerror: failed }));
  await pc.setLocalDescription();
  say('webrtc/offer', pc.localDescription.sdp);
  await new Promise((connected, failed) => {
    socket.onmessage = ({ data }) => {
      const { type, value } = JSON.parse(data);
      if (type === 'webrtc/answer') pc.setRemoteDescription({ type: 'answer', sdp: value }).catch(failed);
      if (type === 'error') failed(new Error(value));
    };
    pc.onconnectionstatechange = () => pc.connectionState === 'connected' && connected();
  });
  socket.close();
  const decoded = () => video.getVideoPlaybackQuality().totalVideoFrames;
  while (decoded() < 10) await new Promise((done) => { setTimeout(done, 50); });
  return [video.videoWidth, video.videoHeight, ...pc.getTransceivers().map((one) => one.currentDirection)];
}"""


@pytest_asyncio.fixture(loop_scope="module")
async def door(mosquitto: Mosquitto, tmp_path: Path) -> AsyncIterator[House]:
    """A door whose page is open to other machines, by an authority of its own."""
    config = config_for(mosquitto.port)
    config = replace(
        config,
        http=Http(host=EVERYWHERE, port=free_port(), local_ca=True),
        media=Media(width=320, height=180, framerate=15, bitrate_kbps=300),
        cameras={"front": Camera("test-card")},
        contacts={"alice": Contact(name="Alice", may=(Right.VIEW, Right.ANSWER))},
        groups={},
        call=replace(config.call, receiver="user:alice", auto_answer=()),
        buttons={},
    )
    async with house(config, tmp_path) as one:
        yield one


@pytest_asyncio.fixture(loop_scope="module")
async def browser(kind: BrowserType, door: House) -> AsyncIterator[Browser]:
    """A Chromium that believes the door's authority, and no other unknown one."""
    async with believing(kind, door) as one:
        yield one


@asynccontextmanager
async def believing(kind: BrowserType, door: House, *flags: str) -> AsyncIterator[Browser]:
    """The same, whenever the door has one."""
    authority = Authority.load(door.appliance.folder / FOLDER)
    leaf = x509.load_pem_x509_certificate((authority.folder / "page.pem").read_bytes())
    pins = [
        base64.b64encode(
            hashlib.sha256(
                one.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            ).digest()
        ).decode()
        for one in (authority.certificate, leaf)
    ]
    trusting = f"--ignore-certificate-errors-spki-list={','.join(pins)}"
    async with another(kind, *WITH_CONSENT, trusting, *flags) as one:
        yield one


async def opened(browser: Browser, url: str) -> Page:
    page = await browser.new_page()
    await page.add_init_script(WATCH_POLICY)
    await page.goto(url)
    return page


def url_of(door: House) -> str:
    assert door.appliance.page is not None
    port = urlsplit(door.appliance.page).port
    # by an address, as a phone without mDNS would; which one does not matter
    return f"https://127.0.0.1:{port}/"


async def test_a_paired_phone_logs_in_by_itself_talks_and_watches_over_https(
    door: House, browser: Browser
) -> None:
    host = socket.gethostname().lower().partition(".")[0]
    assert urlsplit(door.appliance.page or "").hostname == f"{host}.local"
    page = await opened(browser, url_of(door))
    await expect(part(page, "title")).to_have_text("This phone is not paired")
    assert await page.evaluate(LOG_IN) == [401, None, ""]
    assert await page.evaluate(MICROPHONE) == [True, "live"]

    device = door.appliance.config.device.id
    public_key = await page.evaluate(MAKE_KEY, device)
    assert await page.evaluate(LOG_IN) == [401, None, ""], "the door does not know the key yet"
    kid = await door.appliance.contacts.add("alice", "Alice", public_key, ())
    assert await page.evaluate(LOG_IN) == [200, device, ""], "and no script sees the cookie"

    assert await page.evaluate(PLAY) == [320, 180, "recvonly", "recvonly", "sendonly"]
    # the fake microphone beeps once a second

    def level_dbfs() -> float:
        return float(door.appliance.session.status()["media"]["speaker"]["level_dbfs"] or -100)

    await door.until_true(lambda: level_dbfs() > -60)
    [viewer] = door.appliance.session.status()["viewers"]
    assert (viewer["uid"], viewer["sound"]) == ("alice", True)
    picture = await page.evaluate(
        "async () => { const r = await fetch('/snapshot.jpg'); return [r.status, (await r.blob()).type]; }"
    )
    assert picture == [200, "image/jpeg"]

    await page.reload()
    await expect(part(page, "title")).not_to_have_text("This phone is not paired")
    violations: Any = await page.evaluate("window.violations")
    assert violations == []

    await door.appliance.contacts.revoke("alice", kid)
    assert (await page.evaluate(LOG_IN))[0] == 401
    await door.until_true(lambda: not door.appliance.engine.state.viewers)


async def test_a_policy_that_is_broken_would_be_seen(door: House, browser: Browser) -> None:
    page = await opened(browser, url_of(door))
    await page.evaluate(
        """async () => {
          const script = document.createElement('script');
          script.textContent = 'window.broken = true';
          document.body.append(script);
          while (!window.violations.length) await new Promise((done) => { setTimeout(done, 20); });
        }"""
    )
    assert await page.evaluate("window.broken") is None
    assert "script-src" in str(await page.evaluate("window.violations"))


async def test_a_fresh_device_makes_its_authority_when_it_pairs_and_the_phone_has_a_microphone(
    kind: BrowserType, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """`appliance pair`, as somebody types it, where the page is open and no certificate is named."""
    config = config_for(mosquitto.port, security=Security("refuse"))
    http = Http(host=EVERYWHERE, port=free_port())
    url = f"ws://127.0.0.1:{mosquitto.websocket_port}/"
    async with house(replace(config, http=http), tmp_path, websocket_url=url) as door:
        await door.until_true(lambda: door.appliance.find_page is not None)
        assert door.appliance.page is None
        assert lacks_authority(http, door.appliance.folder / FOLDER)
        assert not (door.appliance.folder / FOLDER).exists()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", http.port))

        pairing = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "appliance", "pair", "alice"),
            env=os.environ | {"APPLIANCE_SOCKET": str(tmp_path / "appliance.sock")},
            stdout=asyncio.subprocess.PIPE,
        )
        assert pairing.stdout is not None
        said = ""
        while "#pair=" not in said:
            line = await pairing.stdout.readline()
            assert line, said
            said += line.decode()
        link = said.split()[-1]
        authority = Authority.load(door.appliance.folder / FOLDER)
        assert authority.folder.joinpath(KEY_FILE).stat().st_mode & 0o777 == 0o600
        host = f"{socket.gethostname().lower().partition('.')[0]}.local:{http.port}"
        assert link.startswith(f"https://{host}/#pair=")
        assert f"https://{host}/ca.crt" in said
        assert authority.fingerprint in said

        trusted = ssl.create_default_context(cadata=authority.pem.decode())
        for context, is_believed in ((trusted, True), (ssl.create_default_context(), False)):
            connecting = asyncio.open_connection(
                "127.0.0.1", http.port, ssl=context, server_hostname=host.partition(":")[0]
            )
            if not is_believed:
                with pytest.raises(ssl.SSLCertVerificationError):
                    await connecting
                continue
            _, writer = await connecting
            writer.close()
            await writer.wait_closed()

        by_name = "--host-resolver-rules=MAP *.local 127.0.0.1"
        async with believing(kind, door, by_name) as browser:
            page = await browser.new_page()
            await page.goto(link)
            await part(page, "pair").click()
            rest, _ = await pairing.communicate()
            assert (pairing.returncode, b"Paired: Alice's phone" in rest) == (0, True)
            assert await page.evaluate(MICROPHONE) == [True, "live"]
            assert (await page.evaluate(LOG_IN))[0] == 200
        assert not lacks_authority(http, authority.folder), "from now on it is served at the start"
