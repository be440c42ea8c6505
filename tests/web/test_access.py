"""Who may ask for what: every endpoint, and everybody who may not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import ClientSession, CookieJar
from aiohttp.test_utils import make_mocked_request

from appliance.calls.effects import AnswerViewer, DismissViewer
from appliance.calls.inputs import Input, PictureWanted, ViewerLeft, ViewerOffered
from appliance.config import Contact, Device, Http, Mqtt
from appliance.errors import Refused
from appliance.messages import Message, Offer, SessionDescription
from appliance.model import Right
from appliance.trust.contacts import Contacts
from appliance.trust.keys import DeviceKey
from appliance.web import players, views
from appliance.web.access import Access
from appliance.web.guard import Guard
from appliance.web.server import WebServer
from appliance.web.sessions import Sessions
from appliance.web.views import Views
from tests.web.knowing import log_in

ALICE, LOOKER, CAROL = DeviceKey.make(), DeviceKey.make(), DeviceKey.make()
KEYS = {"alice": ALICE, "looker": LOOKER, "carol": CAROL}
PEOPLE = {
    "alice": Contact(keys=(ALICE.public,), may=(Right.VIEW, Right.CALL)),
    "looker": Contact(keys=(LOOKER.public,), may=(Right.VIEW,)),
    "carol": Contact(keys=(CAROL.public,), may=(Right.CALL,)),
}
HA = "https://ha.example:8123"
OFFER, ANSWER = "v=0\r\nm=audio 9\r\n", "v=0 answer"
SDP = {"Content-Type": "application/sdp"}

# method, path, whether it needs `view`; all of them need somebody who is known
ENDPOINTS = [
    ("GET", "client.json", False),
    ("GET", "ice_servers.json", False),
    ("GET", "metrics", False),
    ("GET", "snapshot.jpg", True),
    ("GET", "api/ws", True),
    ("POST", "whep", True),
    ("PATCH", "whep/0123456789abcdef", True),
    ("DELETE", "whep/0123456789abcdef", True),
]


@dataclass
class Site:
    """A server, and what stands behind it in place of core and camera."""

    server: WebServer
    contacts: Contacts
    posted: list[Input] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.server.url.replace("localhost", "127.0.0.1")


@asynccontextmanager
async def site(
    http: Http,
    picture: bytes | None = b"JPEG",
    check: Callable[[Message], None] | None = None,
) -> AsyncIterator[Site]:
    contacts = Contacts(PEOPLE)
    posted: list[Input] = []

    def post(arrived: Input) -> None:
        posted.append(arrived)
        match arrived:
            case ViewerOffered(viewer=id):
                edge.perform(AnswerViewer(id, SessionDescription("answer", ANSWER)))
            case ViewerLeft(viewer=id):
                edge.perform(DismissViewer(id, "left", "the view was ended"))

    async def snapshot() -> bytes | None:
        return picture if PictureWanted() in posted else None

    def looks_right(message: Message) -> None:
        if isinstance(message, Offer) and not message.offer.sdp.startswith("v=0"):
            raise Refused("malformed", "this does not begin with v=0")

    edge = Views(post, snapshot, check or looks_right)
    device = Device(id="front-door", name="Front door")
    async with WebServer(
        device,
        Mqtt(),
        http,
        status=dict,
        contacts=contacts,
        views=edge,
        ice_servers=lambda uid: [{"urls": [f"turn:{uid}.example"]}],
    ) as server:
        yield Site(server, contacts, posted)


@pytest.fixture
async def guarded() -> AsyncIterator[Site]:
    """A server at which everybody has to log in."""
    async with site(Http(port=0, login="always", origins=(HA,))) as one:
        yield one


@pytest.fixture
async def local() -> AsyncIterator[Site]:
    """A server on loopback, as it is by default but for a reverse proxy."""
    async with site(Http(port=0, origins=(HA,))) as one:
        yield one


@pytest.fixture
async def client() -> AsyncIterator[ClientSession]:
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as one:
        yield one


async def asks(
    client: ClientSession, at: Site, method: str, path: str, **headers: str
) -> tuple[int, str]:
    more: dict[str, Any] = {"data": OFFER} if method != "GET" else {}
    if method == "PATCH":
        headers.setdefault("Content-Type", "application/trickle-ice-sdpfrag")
    sent = {**SDP, **headers} if method == "POST" else headers
    async with client.request(method, f"{at.url}{path}", headers=sent, **more) as response:
        return response.status, await response.text(errors="replace")


async def test_nothing_without_a_login_nor_without_the_right(
    guarded: Site, client: ClientSession
) -> None:
    for method, path, _ in ENDPOINTS:
        status, _told = await asks(client, guarded, method, path)
        assert status == 401, path
    assert await log_in(client, guarded.url, "carol", CAROL) == 200
    for method, path, needs_view in ENDPOINTS:
        status, told = await asks(client, guarded, method, path)
        if needs_view:
            assert (status, told) == (403, "carol has not the right to view.\n"), path
        else:
            assert status == 200, path
    assert guarded.posted == []


# a WebSocket without its handshake, and views that there are not
MAY = {"api/ws": 400, "whep": 201, "whep/0123456789abcdef": 404}


async def test_who_has_the_right_is_served_until_the_key_is_revoked(
    guarded: Site, client: ClientSession
) -> None:
    assert await log_in(client, guarded.url, "looker", LOOKER) == 200
    may = {
        **MAY,
        "ice_servers.json": 403,
    }  # who may neither call nor answer has no call to find a way for
    for method, path, _ in ENDPOINTS:
        assert (await asks(client, guarded, method, path))[0] == may.get(path, 200), path
    await guarded.contacts.revoke("looker")
    told = len(guarded.posted)
    for method, path, _ in ENDPOINTS:
        assert (await asks(client, guarded, method, path))[0] == 401, path
    assert await log_in(client, guarded.url, "looker", LOOKER) == 401
    assert len(guarded.posted) == told


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
async def test_pages_of_strangers_are_refused_with_a_login_and_on_loopback_without(
    guarded: Site, local: Site, client: ClientSession, headers: dict[str, str]
) -> None:
    await log_in(client, guarded.url, "alice", ALICE)
    for at in (guarded, local):
        for method, path, _ in ENDPOINTS:
            assert (await asks(client, at, method, path, **headers))[0] == 403, path
        assert at.posted == []


async def test_on_loopback_whoever_works_there_is_served_and_who_comes_by_a_proxy_is_not(
    local: Site, client: ClientSession
) -> None:
    for method, path, _ in ENDPOINTS:
        assert (await asks(client, local, method, path))[0] == MAY.get(path, 200), path
    for headers in (
        {"X-Forwarded-For": "203.0.113.7"},
        {"Forwarded": "for=203.0.113.7"},
        {"Via": "1.1 proxy"},
        {"Host": HA.removeprefix("https://")},
        {"Host": HA.removeprefix("https://"), "Origin": HA},
    ):
        for method, path, _ in ENDPOINTS:
            assert (await asks(client, local, method, path, **headers))[0] == 401, (path, headers)


async def test_the_page_itself_and_what_leads_in_need_no_login(
    guarded: Site, client: ClientSession
) -> None:
    for path in ("", "main.js", "login.js", "app.css", "healthz", "login"):
        async with client.get(f"{guarded.url}{path}") as response:
            assert response.status == 200
    navigates = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    async with client.get(guarded.url, headers=navigates) as response:
        assert response.status == 200, "a link from elsewhere leads to the page"


async def test_a_method_is_what_it_is(local: Site, client: ClientSession) -> None:
    async with client.post(f"{local.url}whep", data=OFFER, headers=SDP) as response:
        where = response.headers["Location"].lstrip("/")
    for override in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        assert (await asks(client, local, "POST", where, **{override: "DELETE"}))[0] == 405
    assert not [one for one in local.posted if isinstance(one, ViewerLeft)]
    assert (await asks(client, local, "GET", "whep"))[0] == 404
    assert (await asks(client, local, "OPTIONS", "whep"))[0] in (404, 405)


async def test_an_origin_that_is_let_in_may_read_what_it_may_ask_for(
    local: Site, client: ClientSession
) -> None:
    async with client.options(f"{local.url}whep", headers={"Origin": HA}) as response:
        assert response.status == 204
        assert "POST" in response.headers["Access-Control-Allow-Methods"]
        assert response.headers["Access-Control-Allow-Origin"] == HA
        assert "Access-Control-Allow-Credentials" not in response.headers
    async with client.get(f"{local.url}client.json", headers={"Origin": HA}) as response:
        assert response.headers["Access-Control-Allow-Origin"] == HA
    async with client.get(f"{local.url}client.json") as response:
        assert "Access-Control-Allow-Origin" not in response.headers


async def test_servers_are_told_to_who_may_talk_under_the_own_name(
    guarded: Site, local: Site, client: ClientSession
) -> None:
    await log_in(client, guarded.url, "carol", CAROL)
    for at, uid in ((guarded, "carol"), (local, "page")):
        async with client.get(f"{at.url}ice_servers.json") as response:
            assert await response.json() == {"ice_servers": [{"urls": [f"turn:{uid}.example"]}]}
            assert response.headers["Cache-Control"] == "no-store"


# -------------------- the login itself


async def test_a_cookie_is_for_this_host_alone_and_no_script_reads_it(
    guarded: Site, client: ClientSession
) -> None:
    assert await log_in(client, guarded.url, "alice", ALICE) == 200
    async with client.get(f"{guarded.url}login") as response:
        challenge = (await response.json())["challenge"]
    signature = views_signature(ALICE, HA, challenge)
    entry = {"uid": "alice", "kid": ALICE.kid, "challenge": challenge, "signature": signature}
    async with client.post(f"{guarded.url}login", json=entry, headers={"Origin": HA}) as response:
        assert response.status == 200
        assert (await response.json())["may"] == ["call", "view"]
        cookie = response.headers["Set-Cookie"]
    assert cookie.startswith("__Host-appliance=")
    for word in ("HttpOnly", "SameSite=Strict", "Secure", "Path=/", "Max-Age=43200"):
        assert word in cookie
    assert "Domain" not in cookie


def test_over_tls_no_cookie_counts_that_could_be_set_without_it() -> None:
    """Somebody in between answers for http, and gives a browser a session of his own."""
    contacts = Contacts({"alice": Contact(keys=(ALICE.public,))})
    for scheme, counts in (("https", False), ("http", True)):
        sessions = Sessions(contacts)
        guard = Guard(scheme, 8443, frozenset({"door.local"}), frozenset())
        access = Access(Http(login="always"), guard, contacts, sessions)
        challenge = sessions.challenge()
        entry = {"uid": "alice", "kid": ALICE.kid, "challenge": challenge}
        signature = views_signature(ALICE, "https://door.local:8443", challenge)
        secret, _ = sessions.login(
            **entry, signature=signature, origin="https://door.local:8443", address="192.0.2.1"
        )
        for name, believed in (("appliance", counts), ("__Host-appliance", True)):
            request = make_mocked_request("GET", "/", headers={"Cookie": f"{name}={secret}"})
            assert (access.asker(request) is not None) is believed, (scheme, name)
        sessions.close()


def views_signature(key: DeviceKey, origin: str, challenge: str) -> str:
    from appliance.trust.keys import encoded

    return encoded(key.sign(f"login\n{origin}\n{challenge}".encode()))


EMPTY = b'{"uid": "alice", "kid": "", "challenge": "", "signature": ""}'


async def test_what_is_no_login_lets_nobody_in(guarded: Site, client: ClientSession) -> None:
    for data, type_, status in [
        (b"{}", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"nonsense", "application/json", 400),
        (b"[" * 50_000, "application/json", 400),
        (b"\xff", "application/json", 400),
        (EMPTY.replace(b'"alice"', b"1"), "application/json", 400),
        (EMPTY, "application/json", 401),
        (EMPTY, "text/plain", 400),
        (b" " * 70_000, "application/json", 413),
    ]:
        headers = {"Content-Type": type_}
        async with client.post(f"{guarded.url}login", data=data, headers=headers) as response:
            assert response.status == status, data[:40]
            assert "Set-Cookie" not in response.headers


async def test_who_fails_often_is_told_to_wait(guarded: Site, client: ClientSession) -> None:
    stranger = DeviceKey.make()
    answers = [await log_in(client, guarded.url, "alice", stranger) for _ in range(12)]
    assert answers == [401] * 10 + [429] * 2
    assert await log_in(client, guarded.url, "alice", ALICE, origin=HA) == 429


async def test_who_logs_out_is_out(guarded: Site, client: ClientSession) -> None:
    await log_in(client, guarded.url, "alice", ALICE)
    jar = [f"{one.key}={one.value}" for one in client.cookie_jar]
    async with client.post(f"{guarded.url}logout") as response:
        assert response.status == 204
    assert (await asks(client, guarded, "GET", "client.json"))[0] == 401
    stolen = {"Cookie": "; ".join(jar)}
    assert (await asks(client, guarded, "GET", "client.json", **stolen))[0] == 401


# -------------------- what the players' endpoints take


async def test_an_offer_is_answered_and_its_view_ends_once(
    local: Site, client: ClientSession
) -> None:
    async with client.post(f"{local.url}whep", data=OFFER, headers=SDP) as response:
        assert response.status == 201
        assert response.content_type == "application/sdp"
        assert await response.text() == ANSWER
        where = response.headers["Location"]
    offered = local.posted[0]
    assert isinstance(offered, ViewerOffered)
    assert (offered.uid, offered.sound, f"/whep/{offered.viewer}") == (None, True, where)
    fragment = {"Content-Type": "application/trickle-ice-sdpfrag"}
    lines = "a=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\na=end-of-candidates\r\n"
    url = f"{local.url}{where[1:]}"
    async with client.patch(url, data=lines, headers=fragment) as response:
        assert response.status == 204
    assert len(local.posted) == 3
    async with client.patch(url, data=lines * 40, headers=fragment) as response:
        assert response.status == 400
    async with client.delete(url) as response:
        assert response.status == 200
    assert local.posted[-1] == ViewerLeft(offered.viewer)
    for again in (client.delete(url), client.patch(url, data=lines, headers=fragment)):
        async with again as response:
            assert response.status == 404


async def test_a_view_is_its_owners_alone(guarded: Site, client: ClientSession) -> None:
    await log_in(client, guarded.url, "alice", ALICE)
    async with client.post(f"{guarded.url}whep", data=OFFER, headers=SDP) as response:
        where = response.headers["Location"].lstrip("/")
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as other:
        await log_in(other, guarded.url, "looker", LOOKER)
        assert (await asks(other, guarded, "DELETE", where))[0] == 404
    assert not [one for one in guarded.posted if isinstance(one, ViewerLeft)]
    await guarded.contacts.revoke("alice", ALICE.kid)
    assert [one for one in guarded.posted if isinstance(one, ViewerLeft)], "it ends with the key"


async def test_what_is_no_offer_reaches_nobody(local: Site, client: ClientSession) -> None:
    for data, type_, status in [
        (b"v=1", "application/sdp", 400),
        (b"\xff\xfe", "application/sdp", 400),
        (b"v=0", "text/plain", 415),
        (b"v=0" + b" " * views.MAX_SDP_BYTES, "application/sdp", 400),
        (b"v=0" + b" " * 70_000, "application/sdp", 413),
    ]:
        headers = {"Content-Type": type_}
        async with client.post(f"{local.url}whep", data=data, headers=headers) as response:
            assert response.status == status, data[:40]
    assert local.posted == []


async def test_offers_are_held_back(local: Site, client: ClientSession) -> None:
    answers = [(await asks(client, local, "POST", "whep"))[0] for _ in range(views.OFFERS + 3)]
    assert answers[: views.OFFERS] == [201] * views.OFFERS
    assert answers[-1] == 429


async def test_a_picture_is_made_once_for_all_who_ask(local: Site, client: ClientSession) -> None:
    answers = await asyncio.gather(*(asks(client, local, "GET", "snapshot.jpg") for _ in range(8)))
    assert answers == [(200, "JPEG")] * 8
    assert local.posted == [PictureWanted()]


async def test_without_a_picture_it_is_said(
    client: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "PICTURE_LIMIT_S", 0.2)
    async with site(Http(port=0), picture=None) as dark:
        status, told = await asks(client, dark, "GET", "snapshot.jpg")
        assert status == 503
        assert "no picture" in told


# -------------------- go2rtc's socket


async def test_a_player_offers_and_is_answered_and_its_view_outlives_the_socket(
    local: Site, client: ClientSession
) -> None:
    async with client.ws_connect(f"{local.url}api/ws?src=door") as player:
        await player.send_json({"type": "mse", "value": "avc1"})
        told = await player.receive_json()
        assert told["type"] == "error"
        assert told["value"].startswith("mse: ")
        await player.send_json({"type": "webrtc/offer", "value": OFFER})
        assert await player.receive_json() == {"type": "webrtc/answer", "value": ANSWER}
        await player.send_json({"type": "webrtc/candidate", "value": "candidate:1 1 udp 1 ::1 9"})
        await player.send_json({"type": "webrtc/candidate", "value": ""})
        await player.send_json({"type": "webrtc", "value": {"type": "offer", "sdp": OFFER}})
        told = await player.receive_json()
        while told["type"] == "error":
            told = await player.receive_json()
        assert told == {"type": "webrtc", "value": {"type": "answer", "sdp": ANSWER}}
    kinds = [type(one).__name__ for one in local.posted]
    assert kinds == [
        "ViewerOffered",
        "ViewerTrickled",
        "ViewerTrickled",
        "ViewerLeft",
        "ViewerOffered",
    ]


async def test_what_is_no_offer_is_an_error_and_the_socket_goes_on(
    local: Site, client: ClientSession
) -> None:
    async with client.ws_connect(f"{local.url}api/ws") as player:
        for text in (
            "nonsense",
            "[]",
            "7",
            "{}",
            '{"type": "webrtc/offer"}',
            '{"type": "webrtc/offer", "value": "v=1"}',
            '{"type": "webrtc", "value": {"type": "answer", "sdp": "v=0"}}',
            "[" * 20_000,
        ):
            await player.send_str(text)
            told = await player.receive_json()
            assert told["type"] == "error", text
            assert told["value"].startswith("webrtc/offer: ")
        await player.send_json({"type": "webrtc/offer", "value": OFFER})
        assert (await player.receive_json())["type"] == "webrtc/answer"


async def test_sockets_have_an_end_and_close_with_the_session(
    guarded: Site, client: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(players, "MAX_SOCKETS", 2)
    await log_in(client, guarded.url, "alice", ALICE)
    url = f"{guarded.url}api/ws"
    async with client.ws_connect(url) as one, client.ws_connect(url) as two:
        status, _ = await asks(client, guarded, "GET", "api/ws")
        assert status == 503
        await one.send_json({"type": "webrtc/offer", "value": OFFER})
        assert (await one.receive_json())["type"] == "webrtc/answer"
        await guarded.contacts.revoke("alice")
        for player in (one, two):
            async with asyncio.timeout(30):
                closed = await player.receive()
                while closed.type.name == "TEXT":
                    closed = await player.receive()
            assert player.close_code == 1008
    assert [one for one in guarded.posted if isinstance(one, ViewerLeft)]
    async with asyncio.timeout(30):
        while guarded.server._sockets:  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.01)
