"""Who may ask the web server: where it listens, which Host and Origin are its own, what pages load.

A browser sends every page's requests to loopback too, and DNS rebinding gives a stranger's page the
appliance's address: so Host and Origin are looked at everywhere, loopback included.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from appliance.config import Http

DEFAULT_PORTS = {"http": 80, "https": 443}


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on `host` (an address or name)."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Guard:
    """Tells the server's own Host and Origin from a stranger's.

    `names` are host names in lower case; `origins` are the foreign origins that are let in, each
    with its Host (a reverse proxy passes the one it was asked for).
    """

    scheme: str
    port: int
    names: frozenset[str]
    origins: frozenset[str]

    @classmethod
    def of(cls, http: Http, port: int, *, tls: bool) -> Guard:
        """The guard of a server that listens as [http] says, on `port`."""
        names = {http.host.lower()}
        if is_loopback(http.host):
            names |= {"localhost", "127.0.0.1", "::1"}
        else:
            own = socket.gethostname().lower()
            names |= {own, f"{own.removesuffix('.local')}.local"}
        allowed = frozenset(origin.rstrip("/").lower() for origin in http.origins)
        return cls("https" if tls else "http", port, frozenset(names), allowed)

    def refusal(self, host: str | None, origin: str | None, address: str | None) -> str | None:
        """Why a request is refused, in one sentence; None where it is let in.

        `address` is the one of ours that the request came in on: as a Host it is ours as well,
        since no name was resolved that somebody could have bent.
        """
        own = self._own(address)
        if host is None or not self._is_known_host(host.lower(), own):
            return f"{host!r} is no name of this appliance; http.origins can let it in."
        if origin is None or origin.lower() in self.origins:
            return None
        if origin.lower() in {f"{self.scheme}://{name}" for name in own}:
            return None
        return f"Pages of {origin} may not talk to this appliance; http.origins can let them in."

    def names_this_machine(self, host: str | None, address: str | None) -> bool:
        """Whether a Host is one of the server's own, and not that of something before it."""
        return host is not None and host.lower() in self._own(address)

    def lets_in(self, origin: str | None) -> bool:
        """Whether an Origin is a foreign one that is let in."""
        return origin is not None and origin.lower() in self.origins

    def _own(self, address: str | None) -> set[str]:
        """Every `name:port` of this server, without the port too where it is the default."""
        names = self.names | ({address.partition("%")[0].lower()} if address else set())
        bracketed = {f"[{name}]" if ":" in name else name for name in names}
        own = {f"{name}:{self.port}" for name in bracketed}
        return own | bracketed if self.port == DEFAULT_PORTS[self.scheme] else own

    def _is_known_host(self, host: str, own: Iterable[str]) -> bool:
        return host in own or any(urlsplit(origin).netloc == host for origin in self.origins)


def security_headers(websocket_url: str | None, origins: Iterable[str] = ()) -> dict[str, str]:
    """The headers of every response: nothing inline, nothing from elsewhere, but for the broker.

    mqtt.js keeps its timers in a worker made from a blob, since a hidden tab's own are throttled.
    """
    broker = ""
    if websocket_url is not None:
        parts = urlsplit(websocket_url)
        broker = f" {parts.scheme}://{parts.netloc}"
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "media-src": "'self' blob:",
        "worker-src": "blob:",
        "connect-src": f"'self'{broker}",
        "manifest-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": " ".join(["'self'", *origins]),
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Permissions-Policy": "camera=(self), microphone=(self), geolocation=()",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
