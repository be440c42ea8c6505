"""A server of files by https that gives ranges of them, as one of updates does; for a machine's own Python.

    python rangeserver.py FOLDER CERTIFICATE.pem PORT [BYTES]

After so many BYTES of answers the connection ends, and so does the server: a network that is lost.
"""

from __future__ import annotations

import os
import re
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PIECE = 1 << 16


class Handler(BaseHTTPRequestHandler):
    """Of one connection, which may ask for many ranges."""

    protocol_version = "HTTP/1.1"
    folder: Path
    left: int | None = None
    lock = threading.Lock()

    def do_HEAD(self) -> None:
        """How long it is."""
        self._answer(content=False)

    def do_GET(self) -> None:
        """A piece of it, or all."""
        self._answer(content=True)

    def _answer(self, *, content: bool) -> None:
        file = self.folder / Path(self.path).name
        if not file.is_file():
            self.send_error(404)
            return
        size = file.stat().st_size
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first, last = 0, size - 1
        if asked:
            first, last = int(asked[1]), min(int(asked[2] or last), last)
        self.send_response(206 if asked else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last - first + 1))
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.end_headers()
        if content:
            with file.open("rb") as data:
                data.seek(first)
                self._send(data.read(last - first + 1) if asked else data.read())

    def _send(self, data: bytes) -> None:
        for begin in range(0, len(data), PIECE):
            piece = data[begin : begin + PIECE]
            self._count(len(piece))
            self.wfile.write(piece)

    def _count(self, length: int) -> None:
        with self.lock:
            if Handler.left is not None:
                Handler.left -= length
                if Handler.left < 0:
                    os._exit(1)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def main(folder: str, certificate: str, port: str, length: str | None = None) -> None:
    """Serve until it is killed, or has given so much."""
    Handler.folder = Path(folder)
    Handler.left = int(length) if length else None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with ThreadingHTTPServer(("127.0.0.1", int(port)), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
