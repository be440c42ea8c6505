"""Names from anywhere: what can be shown, how it is shortened, and that nothing breaks the line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.screen import lettering
from appliance.screen.lettering import initials, legible, length, text
from tests.parts.need import skip_or_fail


@pytest.mark.parametrize(
    "name",
    ["Jürgen Weiß", "Çağla Şahin", "Łukasz Żółć", "François", "Дмитрий", "Αλέξανδρος", "Þór"],
)
def test_european_names_need_no_other_font(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lettering, "_fonts", lambda: (lettering._own(bold=False),))
    lettering._font_for.cache_clear()
    assert legible(name, "uid") == name
    lettering._font_for.cache_clear()


def test_what_no_font_has_is_left_out_and_a_name_of_nothing_else_is_the_uid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lettering, "_fonts", lambda: (lettering._own(bold=False),))
    lettering._font_for.cache_clear()
    assert legible("Anna 安倍 🏡 Berg", "anna") == "Anna Berg"
    assert legible("安倍", "abe-1") == "abe-1"
    lettering._font_for.cache_clear()


def test_names_in_chinese_and_japanese_are_drawn_with_the_systems_font() -> None:
    if lettering._font_for("安") is None:
        skip_or_fail("no font of the system knows them (apt install fonts-droid-fallback)")
    assert legible("安倍 花子", "abe") == "安倍 花子"
    assert text("安倍", 40).width > 60
    assert initials("安倍 花子") == "安"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (None, "uid"),
        ("", "uid"),
        ("  \n\t ", "uid"),
        ("Two\nlines", "Two lines"),
        ("\u202eturned\u202c", "turned"),
        ("zero\u200bwidth\u0000", "zerowidth"),
        ("e\u0301", "é"),
        ("x" * 5000, "x" * lettering.MOST_LETTERS),
    ],
)
def test_a_name_is_one_line_of_letters(name: str | None, shown: str) -> None:
    assert legible(name, "uid") == shown


@given(st.text(), st.integers(8, 60), st.integers(1, 300))
def test_whatever_somebody_is_called_it_fits(name: str, px: int, width: int) -> None:
    line = text(legible(name, "uid"), px, width=width)
    assert line.width <= max(width, length("…", px) + 1)
    assert 0 < line.height < 2 * px
    assert len(initials(legible(name, "uid"))) <= 2


def test_a_long_name_ends_with_an_ellipsis() -> None:
    whole = "Bob Müller-Lüdenscheidt zu Großenkneten"
    assert lettering._shortened(whole, 20, True, 1000) == whole
    short = lettering._shortened(whole, 20, True, 150)
    assert short.endswith("…")
    assert whole.startswith(short[:-1])
    assert 130 < length(short, 20, bold=True) <= 150, "as much of it as there is room for"


@pytest.mark.parametrize(
    ("name", "short"),
    [("Alice", "A"), ("alice b. carroll", "AC"), ("ßeta", "S"), ("(Bob) Smith", "S"), ("- -", "")],
)
def test_initials(name: str, short: str) -> None:
    assert initials(name) == short


def test_bold_letters_are_wider_and_letters_have_ink() -> None:
    assert length("Front door", 40, bold=True) > length("Front door", 40)
    line = text("Front door", 40)
    assert (line.rest == 0).any()
    assert (line.rest == 255).any()
