"""The TLS of the page: a certificate of one's own, or one by the device's authority, which is renewed."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from appliance.config import Http
from appliance.errors import ConfigError
from appliance.trust.authority import Authority, AuthorityUnusable
from appliance.web.guard import is_loopback

log = logging.getLogger(__name__)

LOOK_EVERY_S = 60.0
"""How soon a new address of this machine, or a clock that was put right, is in the certificate."""
MAX_NAMES = 32


def own_names(http: Http) -> list[str]:
    """Every name and address by which this machine may be reached. Blocks."""
    import ifaddr

    host = socket.gethostname().lower()
    names = ["localhost", host.partition(".")[0], f"{host.partition('.')[0]}.local", host]
    addresses = [
        address.ip if isinstance(address.ip, str) else address.ip[0]
        for adapter in ifaddr.get_adapters()
        for address in adapter.ips
    ]
    configured = [] if http.host in ("0.0.0.0", "::") else [http.host]  # noqa: S104 - names none
    # of the link's own IPv6 addresses none is ever typed
    found = [one for one in (*configured, *names, *sorted(addresses)) if not one.startswith("fe80")]
    return list(dict.fromkeys(found))[:MAX_NAMES]


class Tls:
    """The context that the server listens with, and what keeps it of use."""

    def __init__(
        self,
        context: ssl.SSLContext,
        authority: Authority | None = None,
        names: Callable[[], list[str]] = list,
    ) -> None:
        """To be made by `of`."""
        self.context = context
        self._authority, self._names = authority, names

    @classmethod
    def of(
        cls,
        http: Http,
        folder: Path | None = None,
        device: str = "",
        names: Callable[[], list[str]] | None = None,
    ) -> Tls | None:
        """Of [http], None for plain HTTP, which loopback alone may have.

        `folder` is where the device's own authority is, or is to be. Blocks. Raises ConfigError.
        """
        if http.cert_file is None and http.key_file is not None:
            raise ConfigError(["http.cert_file: missing, though http.key_file is set"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if http.cert_file is not None:
            try:
                # without a key file the key is expected beside the certificate, in one file
                context.load_cert_chain(http.cert_file, http.key_file)
            except (OSError, ssl.SSLError) as error:
                fault = f"http.cert_file: {http.cert_file} cannot be used: {error}"
                raise ConfigError([fault]) from error
            return cls(context)
        if is_loopback(http.host):
            return None
        if folder is None or not (http.local_ca or Authority.is_in(folder)):
            raise ConfigError([_without(http)])
        try:
            authority = Authority.load_or_make(folder, device, socket.gethostname())
            made = cls(context, authority, names or (lambda: own_names(http)))
            made.renew(first=True)
        except (AuthorityUnusable, ssl.SSLError) as error:
            raise ConfigError([f"http.host: {error}"]) from error
        return made

    @property
    def authority_pem(self) -> bytes | None:
        """The certificate of the device's authority, where it is in use."""
        return self._authority.pem if self._authority else None

    @property
    def authority_fingerprint(self) -> str | None:
        """Of that certificate, by SHA-256."""
        return self._authority.fingerprint if self._authority else None

    def renew(self, *, first: bool = False) -> bool:
        """Look whether the certificate is still right; else who connects from now on gets a new one.

        Says whether there is a new one. Blocks. Raises AuthorityUnusable.
        """
        file, new = self._looked()
        if file is not None and (first or new):
            self.context.load_cert_chain(file)
        return new

    async def keep_fresh(self, every_s: float = LOOK_EVERY_S) -> None:
        """Renew it whenever that is due; to be cancelled at the end."""
        while self._authority is not None:
            await asyncio.sleep(every_s)
            try:
                file, new = await asyncio.to_thread(self._looked)
                if file is not None and new:
                    # here, not beside: certificate and key change one after the other, and who shakes hands
                    # between the two is refused
                    self.context.load_cert_chain(file)
                    log.info("the page has a new certificate")
            except (AuthorityUnusable, ssl.SSLError) as error:  # the old one may do for long
                log.warning("the page's certificate was not renewed: %s", error)

    def _looked(self) -> tuple[Path | None, bool]:
        """The authority's certificate for this server, and whether it is a new one."""
        return self._authority.leaf(self._names()) if self._authority else (None, False)


def _without(http: Http) -> str:
    return (
        f'http.host: "{http.host}" can be reached from other machines, and without TLS whoever'
        " is between could listen in and open the door: set http.cert_file and http.key_file,"
        ' or http.local_ca = true for an authority of this device\'s own, or http.host = "127.0.0.1"'
    )
