"""Who is let off, and who is not: at home by a visible skip, in CI only where the machine forbids it."""

from __future__ import annotations

import os

import pytest

from tests.parts.need import REFUSALS, program, skip_or_fail, skip_where_forbidden


@pytest.fixture(params=["", "true"], ids=["at home", "in CI"])
def ci(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setenv("CI", request.param)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return bool(request.param)


def test_what_is_missing_is_a_fault_in_ci(ci: bool) -> None:
    outcome = pytest.fail.Exception if ci else pytest.skip.Exception
    with pytest.raises(outcome, match="no bell"):
        skip_or_fail("no bell")
    with pytest.raises(outcome, match="apt install bells"):
        program("no-such-program-of-anybody", "bells")


@pytest.mark.parametrize("word", REFUSALS)
def test_what_a_kernel_forbids_is_let_off(ci: bool, word: str) -> None:
    with pytest.raises(
        pytest.skip.Exception, match="no network, since this machine's kernel forbids"
    ):
        skip_where_forbidden("no network", f"RTNETLINK answers: {word}\n")


def test_so_is_what_only_root_may(ci: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(pytest.skip.Exception, match="no network: only root may"):
        skip_where_forbidden("no network", "anything")


@pytest.mark.parametrize(
    "said", ["", "syntax error, unexpected newline", "it booted, and then died"]
)
def test_anything_else_is_a_fault_in_ci(ci: bool, said: str) -> None:
    with pytest.raises(
        pytest.fail.Exception if ci else pytest.skip.Exception, match="no network: "
    ):
        skip_where_forbidden("no network", said)
