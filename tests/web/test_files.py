"""The page's files: every one has a type that browsers take, and is not sent twice."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from appliance.web.files import STATIC_DIR, read_files

OURS = [path for path in sorted(STATIC_DIR.rglob("*")) if path.parent.name != "vendor"]


def test_only_known_types_are_read_and_the_page_is_at_the_root(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("index.html", "sub/a.js", "secret.pem", "a.js~"):
        (tmp_path / name).write_text(name)
    files = read_files(tmp_path)
    assert files.keys() == {"/", "/index.html", "/sub/a.js"}
    assert files["/"] is files["/index.html"]
    assert files["/sub/a.js"].content_type == "text/javascript; charset=utf-8"


def test_the_tag_is_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("a {}")
    (tmp_path / "b.css").write_text("a {}")
    (tmp_path / "c.css").write_text("c {}")
    files = read_files(tmp_path)
    assert files["/a.css"].etag == files["/b.css"].etag != files["/c.css"].etag


class Loads(HTMLParser):
    """What a page loads, and what of it stands in the page itself."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.inline: list[str] = []
        self._in: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.inline += [name for name, _ in attrs if name == "style" or name.startswith("on")]
        if tag in ("link", "script", "img"):
            self.urls.append(given.get("href") or given.get("src") or "")
        self._in = tag if tag in ("script", "style") else None

    def handle_data(self, data: str) -> None:
        if self._in and data.strip():
            self.inline.append(data.strip())


def test_the_page_has_nothing_inline_and_nothing_from_elsewhere() -> None:
    page = Loads()
    page.feed((STATIC_DIR / "index.html").read_text())
    files = read_files()
    assert page.inline == []
    assert page.urls
    assert all(f"/{url}" in files for url in page.urls)


@pytest.mark.parametrize(
    "path", [path for path in OURS if path.suffix == ".js"], ids=lambda p: p.name
)
def test_each_module_asks_for_type_checks_and_says_what_it_is(path: Path) -> None:
    first, second, *_ = path.read_text().splitlines()
    assert first == "// @ts-check"
    assert second.startswith("/**")
