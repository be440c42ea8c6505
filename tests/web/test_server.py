"""The web server, asked by a real HTTP client."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession, TCPConnector
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from prometheus_client import CollectorRegistry, Counter

from appliance.config import Device, Http, Mqtt
from appliance.errors import ApplianceError, ConfigError
from appliance.web.server import WebServer
from tests.web.station import Station

DEVICE = Device(id="front-door", name="Front door")
EVERYWHERE = "0.0.0.0"  # noqa: S104 - that is what is tested
MQTT = Mqtt(websocket_url="ws://broker.example:9001/", password_file="/run/secret")


def serve(http: Http = Http(port=0), **more: object) -> WebServer:  # noqa: B008 - frozen
    """The server of an ordinary daemon."""
    return WebServer(DEVICE, MQTT, http, status=lambda: {"mqtt": "offline"}, **more)  # type: ignore[arg-type]


@pytest.fixture
async def server() -> AsyncIterator[WebServer]:
    async with serve() as one:
        yield one


@pytest.fixture
async def client() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


@pytest.mark.parametrize(
    ("path", "type_"),
    [
        ("", "text/html; charset=utf-8"),
        ("main.js", "text/javascript; charset=utf-8"),
        ("app.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
        ("app.webmanifest", "application/manifest+json"),
    ],
)
async def test_files_have_their_type_and_are_asked_for_again_by_their_tag(
    server: WebServer, client: ClientSession, path: str, type_: str
) -> None:
    async with client.get(f"{server.url}{path}") as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == type_
        assert response.headers["Cache-Control"] == "no-cache"
        tag = response.headers["ETag"]
    async with client.get(f"{server.url}{path}", headers={"If-None-Match": tag}) as response:
        assert response.status == 304
        assert await response.read() == b""


async def test_every_answer_forbids_what_stands_inline(
    server: WebServer, client: ClientSession
) -> None:
    asked: list[tuple[str, str, int, dict[str, str]]] = [
        ("GET", "", 200, {}),
        ("HEAD", "", 200, {}),
        ("GET", "", 304, {"If-None-Match": "*"}),
        ("GET", "client.json", 200, {}),
        ("GET", "healthz", 200, {}),
        ("GET", "metrics", 200, {}),
        ("GET", "nothing-here", 404, {}),
        ("GET", ".well-known/security.txt", 404, {}),
        ("PUT", "", 405, {}),
        ("POST", "login", 400, {}),
        ("POST", "login", 415, {"Content-Encoding": "gzip"}),
        ("POST", "login", 417, {"Expect": "the unexpected"}),
        ("GET", "", 403, {"Host": "evil.example"}),
    ]
    for method, path, status, headers in asked:
        async with client.request(method, f"{server.url}{path}", headers=headers) as response:
            assert response.status == status, path
            policy = response.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe-inline" not in policy
            assert "connect-src 'self' ws://broker.example:9001" in policy
            assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_client_json_has_no_credential_and_nothing_of_the_demo(
    server: WebServer, client: ClientSession
) -> None:
    async with client.get(f"{server.url}client.json") as response:
        assert response.headers["Cache-Control"] == "no-store"
        told = await response.json()
    assert told.pop("settings")["enabled_controls"][0] == "leave"
    assert told == {
        "device_id": "front-door",
        "name": "Front door",
        "root": "appliance",
        "websocket_url": "ws://broker.example:9001/",
        "mqtt_version": 4,
        "unsigned": "allow",
    }
    async with client.get(f"{server.url}demo/socket") as response:
        assert response.status == 404


async def test_a_broker_that_is_away_is_no_illness(
    server: WebServer, client: ClientSession
) -> None:
    async with client.get(f"{server.url}healthz") as response:
        assert response.status == 200
        assert await response.json() == {"status": "ok", "mqtt": "offline"}


async def test_whom_to_tell_of_a_fault_is_what_the_owner_says(client: ClientSession) -> None:
    """RFC 9116; for everybody, and nothing where nobody was named."""
    http = Http(port=0, login="always", security_contact="mailto:security@house.example")
    async with (
        serve(http) as server,
        client.get(f"{server.url}.well-known/security.txt") as response,
    ):
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        contact, expires = (await response.text()).splitlines()
    assert contact == "Contact: mailto:security@house.example"
    name, _, until = expires.partition(": ")
    assert name == "Expires"
    left = dt.datetime.fromisoformat(until) - dt.datetime.now(dt.UTC)
    assert dt.timedelta(days=1) < left < dt.timedelta(days=365)
    async with serve() as server, client.get(f"{server.url}.well-known/security.txt") as response:
        assert response.status == 404


async def test_metrics_are_those_of_the_given_registry(client: ClientSession) -> None:
    registry = CollectorRegistry()
    Counter("appliance_rings", "Rings of the bell", registry=registry).inc(3)
    async with serve(registry=registry) as server, client.get(f"{server.url}metrics") as response:
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        assert "appliance_rings_total 3.0" in await response.text()


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ],
)
async def test_strangers_are_refused_on_loopback_too(
    server: WebServer, client: ClientSession, headers: dict[str, str]
) -> None:
    for path in ("", "client.json", "healthz", "metrics", "vendor/mqtt.esm.js"):
        async with client.get(f"{server.url}{path}", headers=headers) as response:
            assert response.status == 403
            assert "http.origins" in await response.text()
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["../server.py", "%2e%2e/server.py", "..%2fserver.py", "vendor/"])
async def test_nothing_but_the_files_is_there(
    server: WebServer, client: ClientSession, path: str
) -> None:
    async with client.get(f"{server.url}{path}") as response:
        assert response.status == 404


async def test_beyond_loopback_it_starts_with_tls_only() -> None:
    with pytest.raises(ConfigError, match=r"set http\.cert_file and http\.key_file"):
        async with serve(Http(host=EVERYWHERE, port=0)):
            pytest.fail("it listens")


async def test_beyond_loopback_with_tls_the_page_is_served_and_no_more(
    tmp_path: Path,
) -> None:
    cert_file, key_file = self_signed(tmp_path)
    http = Http(host=EVERYWHERE, port=0, cert_file=str(cert_file), key_file=str(key_file))
    trust = ssl.create_default_context(cafile=str(cert_file))
    async with serve(http) as server, ClientSession(connector=TCPConnector(ssl=trust)) as client:
        assert server.url.startswith("https://")
        assert (
            urlsplit(server.url).hostname
            == f"{socket.gethostname().partition('.')[0]}.local".lower()
        )
        url = f"https://127.0.0.1:{urlsplit(server.url).port}/"
        async with client.get(url) as response:
            assert response.status == 200
        async with client.get(f"{url}healthz") as response:
            assert response.status == 200
        for path in ("metrics", "client.json"):
            async with client.get(f"{url}{path}") as response:
                assert response.status == 401


@pytest.mark.parametrize(
    ("device", "http"),
    [
        (Device(board="simulated"), Http(host=EVERYWHERE, port=0)),
        (Device(board="pi"), Http(port=0)),
    ],
)
async def test_the_demo_is_for_loopback_and_a_simulated_board(
    device: Device, http: Http, station: Station, tmp_path: Path
) -> None:
    cert_file, key_file = self_signed(tmp_path)
    http = Http(http.host, 0, str(cert_file), str(key_file))
    server = WebServer(device, MQTT, http, status=dict, demo=station.demo({}, {}))
    with pytest.raises(ConfigError, match="for loopback and a simulated board only"):
        async with server:
            pytest.fail("it listens")


async def test_a_port_that_is_taken_is_told_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ApplianceError, match=rf"cannot listen on 127\.0\.0\.1, port {port}: "):
            async with serve(Http(port=port)):
                pytest.fail("it listens")


async def test_its_address_is_known_once_it_listens() -> None:
    server = serve()
    with pytest.raises(ApplianceError, match="does not listen yet"):
        _ = server.url
    async with server:
        assert server.url.startswith("http://localhost:")


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return cert_file, key_file
