"""Whatever stands in a file, it is read or refused with a sentence."""

from __future__ import annotations

import pytest

from appliance.loading.toml import MAX_DEPTH, NoToml, parsed

LONG = "1" * 5000
"""More digits than Python's int() takes."""
LONGEST = 2**63 - 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[door\n", "is not TOML: "),
        (f"x = {LONG}", "has a number that is too long"),
        (f"x = -{LONG}", "has a number that is too long"),
        (f"x = 0x{LONG}", "has a number that is too long"),
        (f"x = {LONGEST + 1}", "has a number that is too long"),
        (f"x = {-LONGEST - 2}", "has a number that is too long"),
        (f"[[x]]\ny = [1, {{z = 0b{LONG}}}]", "has a number that is too long"),
        ("x = " + "[" * 3000, "is nested too deep"),
        (".".join(["x"] * 3000) + " = 1", "is nested too deep"),
        ("[" + ".".join(["x"] * MAX_DEPTH) + "]\ny = 1", "is nested too deep"),
    ],
)
def test_what_is_refused(text: str, why: str) -> None:
    with pytest.raises(NoToml, match=f"^{why}"):
        parsed(text)


def test_what_is_read() -> None:
    text = f"x = [{LONGEST}, {-LONGEST - 1}, true, 1e9, 0xff]\n[a.b.c]\nd = {{}}\n"
    assert parsed(text) == {
        "x": [LONGEST, -LONGEST - 1, True, 1e9, 255],
        "a": {"b": {"c": {"d": {}}}},
    }
