"""All checks at once: one that raises or hangs is a finding, and keeps nothing from the others."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

import pytest

from appliance.config import Config
from appliance.errors import ApplianceError
from appliance.service.doctor.examination import CHECKS, examine, webrtc
from appliance.service.doctor.findings import Finding, Verdict, ok
from appliance.service.doctor.machine import Machine
from tests.service.doctor.paper import CONFIG, PaperMachine


def well(config: Config, machine: Machine) -> Iterable[Finding]:
    return [ok("well", "it is")]


def raising(config: Config, machine: Machine) -> Iterator[Finding]:
    yield ok("raising", "so far so good")
    raise ZeroDivisionError("of a driver")


def test_one_that_raises_is_a_finding() -> None:
    first, second = examine(CONFIG, PaperMachine(), {"raising": raising, "well": well})
    assert first.verdict is Verdict.FAULT
    assert first.finding == "looking at it failed: ZeroDivisionError: of a driver"
    assert second == ok("well", "it is")


def test_one_that_hangs_is_a_finding_and_the_others_are_told() -> None:
    goes_on = threading.Event()
    hung: list[threading.Thread] = []

    def hanging(config: Config, machine: Machine) -> Iterable[Finding]:
        hung.append(threading.current_thread())
        goes_on.wait()
        return [ok("hanging", "at last")]

    checks = {"hanging": hanging, "well": well}
    first, second = examine(CONFIG, PaperMachine(), checks, limit_s=0.2)
    goes_on.set()
    hung[0].join()
    assert first.finding == "no answer within 0.2 s"
    assert first.advice is not None
    assert hung[0].daemon, "the program can end without it"
    assert second == ok("well", "it is")


def test_they_look_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=30)

    def met(config: Config, machine: Machine) -> Iterable[Finding]:
        together.wait()
        return [ok("met", "all three")]

    found = examine(CONFIG, PaperMachine(), {"a": met, "b": met, "c": met})
    assert found == [ok("met", "all three")] * 3


def test_a_machine_that_can_do_nothing_at_all_makes_no_check_fall_over() -> None:
    """Whatever is asked raises: each check has a finding of its own, and none is missing."""

    class Broken:
        def __getattr__(self, name: str) -> object:
            raise OSError(5, "Input/output error")

    machine: Machine = Broken()  # type: ignore[assignment]
    findings = examine(CONFIG, machine)
    assert len(findings) >= len(CHECKS)
    assert {"pins", "camera", "sound", "broker", "clock"} <= {one.component for one in findings}
    certificates = [one for one in findings if one.component == "certificates"]
    assert [one.verdict for one in certificates] == [Verdict.OK], "none are configured"


@pytest.mark.parametrize(
    ("error", "word"), [(ApplianceError("another aiortc"), "another"), (ImportError("av"), "av")]
)
def test_an_aiortc_that_is_not_known(error: Exception, word: str) -> None:
    def self_check() -> None:
        raise error

    [found] = examine(CONFIG, PaperMachine(), {"webrtc": webrtc(self_check)})
    assert found.verdict is Verdict.FAULT
    assert word in found.finding
    assert "aiortc==1.16" in (found.advice or "")


def test_the_aiortc_of_these_tests_is() -> None:
    from appliance.media.seams.check import self_check

    [found] = examine(CONFIG, PaperMachine(), {"webrtc": webrtc(self_check)})
    assert found.verdict is Verdict.OK
