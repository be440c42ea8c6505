"""The page's files, read once when the server starts: nothing else can be asked for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from aiohttp import hdrs, web

STATIC_DIR = Path(__file__).parent / "static"

# not the system's table: a browser refuses a module whose type an odd mime.types gets wrong
CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".md": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file as it is served; `etag` is the hash of its content."""

    content_type: str
    body: bytes
    etag: str


def read_files(folder: Path = STATIC_DIR) -> dict[str, PageFile]:
    """Every file below the folder that a page may load, by its path in the URL."""
    files = {
        f"/{path.relative_to(folder).as_posix()}": _read(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in CONTENT_TYPES
    }
    if "/index.html" in files:
        files["/"] = files["/index.html"]
    return files


def respond(request: web.Request, file: PageFile) -> web.Response:
    """The file, or that the browser has it: it asks each time, so that an update is seen."""
    headers = {hdrs.ETAG: f'"{file.etag}"', hdrs.CACHE_CONTROL: "no-cache"}
    known = request.if_none_match or ()
    if any(tag.value in (file.etag, "*") for tag in known):
        return web.Response(status=304, headers=headers)
    return web.Response(body=file.body, headers={**headers, hdrs.CONTENT_TYPE: file.content_type})


def _read(path: Path) -> PageFile:
    body = path.read_bytes()
    return PageFile(CONTENT_TYPES[path.suffix], body, hashlib.sha256(body).hexdigest()[:32])
