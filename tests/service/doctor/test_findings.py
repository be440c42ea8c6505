"""The table and the document: what a person and a program read of the same findings."""

from __future__ import annotations

import json

import pytest

from appliance.service.doctor.findings import Finding, Verdict, fault, ok, report, table, warning

FINDINGS = [
    ok("clock", "synchronized"),
    warning("echo", "half duplex", "pip install 'appliance[echo]'"),
    fault("broker", "nobody answers there " * 6, "Start it. " * 12),
]


def test_the_table_fits_into_eighty_columns_and_says_all_of_it() -> None:
    lines = table(FINDINGS).splitlines()
    assert max(len(line) for line in lines) <= 80
    assert lines[0] == "ok     clock   synchronized"
    assert lines[1] == "warn   echo    half duplex"
    assert lines[2] == "               -> pip install 'appliance[echo]'"
    assert lines[3].startswith("FAULT  broker  nobody answers")
    assert lines[-1] == "1 fault and 1 warning. The lines behind an arrow say what to do."
    assert " ".join(table(FINDINGS).split()).count("nobody answers there") == 6
    assert table(FINDINGS).isascii()


def test_a_long_path_is_not_cut_in_two() -> None:
    path = "/a-very-long-name" * 8
    assert path in table([ok("state", f"{path}: 3 MB free")])


def test_all_is_well() -> None:
    assert table([ok("clock", "synchronized")]).endswith("\nAll is well.")
    assert table([warning("a", "b", "c")] * 2).endswith(
        "2 warnings. The lines behind an arrow say what to do."
    )


def test_a_program_reads_the_same() -> None:
    told = json.loads(json.dumps(report(FINDINGS)))
    assert (told["ok"], told["faults"], told["warnings"]) == (False, 1, 1)
    assert told["findings"][0] == {
        "component": "clock",
        "finding": "synchronized",
        "verdict": "ok",
        "advice": None,
    }
    assert report(FINDINGS[:2])["ok"], "a warning is no fault"


@pytest.mark.parametrize(("verdict", "advice"), [(Verdict.FAULT, None), (Verdict.OK, "do it")])
def test_who_is_told_of_a_fault_is_told_what_to_do(verdict: Verdict, advice: str | None) -> None:
    with pytest.raises(ValueError, match="advice belongs to"):
        Finding("clock", "wrong", verdict, advice)
