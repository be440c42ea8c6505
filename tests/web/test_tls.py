"""The page beyond loopback: over TLS, by a certificate of one's own or the device's authority."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession, TCPConnector
from cryptography import x509

from appliance.config import Device, Http, Mqtt
from appliance.errors import ConfigError
from appliance.trust.authority import CERTIFICATE_FILE, KEY_FILE, LEAF_FILE, Authority
from appliance.web.server import WebServer
from appliance.web.tls import MAX_NAMES, Tls, own_names

EVERYWHERE = "0.0.0.0"  # noqa: S104 - that is what is tested


def here(server: WebServer) -> str:
    """The page, by this machine's own address."""
    return f"https://127.0.0.1:{urlsplit(server.url).port}/"


OPEN = Http(host=EVERYWHERE, port=0, local_ca=True)


def test_loopback_needs_no_tls_and_everything_else_does(tmp_path: Path) -> None:
    assert Tls.of(Http(host="127.0.0.1")) is None
    assert Tls.of(Http(host="localhost", local_ca=True), tmp_path) is None
    for folder in (None, tmp_path):
        with pytest.raises(ConfigError, match=r'http\.host: "0\.0\.0\.0" .* set http\.cert_file'):
            Tls.of(Http(host=EVERYWHERE), folder)


def test_a_key_alone_or_a_certificate_that_is_none_is_a_fault_of_the_configuration() -> None:
    with pytest.raises(ConfigError, match=r"http\.cert_file: missing"):
        Tls.of(Http(key_file="/nowhere/key.pem"))
    with pytest.raises(ConfigError, match=r"/nowhere/cert\.pem cannot be used"):
        Tls.of(Http(host=EVERYWHERE, cert_file="/nowhere/cert.pem"))


def test_an_authority_that_was_made_is_used_without_being_asked_for(tmp_path: Path) -> None:
    Authority.load_or_make(tmp_path, "Front door", "door")
    made = Tls.of(Http(host=EVERYWHERE), tmp_path)
    assert made is not None
    assert made.authority_pem == (tmp_path / CERTIFICATE_FILE).read_bytes()
    assert made.context.minimum_version is ssl.TLSVersion.TLSv1_2
    (tmp_path / KEY_FILE).write_text("nonsense")
    with pytest.raises(ConfigError, match=r"http\.host: .*authority"):
        Tls.of(Http(host=EVERYWHERE), tmp_path)


def test_this_machines_names_are_its_own() -> None:
    names = own_names(Http(host="192.168.77.77"))
    host = socket.gethostname().lower().partition(".")[0]
    assert {"192.168.77.77", "localhost", host, f"{host}.local", "127.0.0.1"} <= set(names)
    assert EVERYWHERE not in own_names(OPEN)
    assert len(names) <= MAX_NAMES


async def test_a_client_that_trusts_the_authority_is_served_and_a_new_address_is_covered(
    tmp_path: Path,
) -> None:
    names = ["localhost"]
    made = Tls.of(OPEN, tmp_path, "Front door", lambda: names)
    assert made is not None
    assert made.authority_pem is not None
    trust = ssl.create_default_context(cadata=made.authority_pem.decode())
    blind = ssl.create_default_context()
    blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        writer.close()

    server = await asyncio.start_server(served, "127.0.0.1", 0, ssl=made.context)
    async with server:
        port = server.sockets[0].getsockname()[1]

        async def meets(context: ssl.SSLContext, name: str) -> set[str]:
            """The names of the certificate that is shown; raises where it is not believed."""
            _, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=context, server_hostname=name
            )
            shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            writer.close()
            await writer.wait_closed()
            leaf = x509.load_der_x509_certificate(shown)
            names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            return {str(one.value) for one in names}

        assert await meets(trust, "localhost") == {"localhost"}
        names.append("127.0.0.1")
        async with asyncio.TaskGroup() as tasks:
            keeping = tasks.create_task(made.keep_fresh(0.01))
            async with asyncio.timeout(30):
                while "127.0.0.1" not in await meets(blind, "127.0.0.1"):  # noqa: ASYNC110 - time passes
                    await asyncio.sleep(0.01)
            keeping.cancel()
        assert await meets(trust, "127.0.0.1") == {"localhost", "127.0.0.1"}
    assert made.renew() is False


async def test_the_server_gives_its_authority_to_whoever_asks_and_survives_a_restart(
    tmp_path: Path,
) -> None:
    device = Device(id="front-door", name="Front door")
    given: list[bytes] = []
    for _ in range(2):
        async with WebServer(device, Mqtt(), OPEN, status=dict, tls_folder=tmp_path) as server:
            url = here(server)
            blind = ssl.create_default_context()
            blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE
            async with (
                ClientSession(connector=TCPConnector(ssl=blind)) as stranger,
                stranger.get(f"{url}ca.crt") as response,
            ):
                assert response.status == 200
                assert response.content_type == "application/x-x509-ca-cert"
                given.append(await response.read())
        trust = ssl.create_default_context(cadata=given[-1].decode())
        async with (
            WebServer(device, Mqtt(), OPEN, status=dict, tls_folder=tmp_path) as server,
            ClientSession(connector=TCPConnector(ssl=trust)) as phone,
        ):
            url = here(server)
            async with phone.get(f"{url}healthz") as response:
                assert response.status == 200
    assert given[0] == given[1]
    assert b"PRIVATE" not in given[0]
    assert (tmp_path / LEAF_FILE).exists()


async def test_without_an_authority_there_is_none_to_be_had() -> None:
    async with (
        WebServer(Device(), Mqtt(), Http(port=0), status=dict) as server,
        ClientSession() as client,
        client.get(f"{server.url}ca.crt") as response,
    ):
        assert response.status == 404
