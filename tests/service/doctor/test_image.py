"""On an image the doctor advises nothing that its root, which is only read, does not let anybody do."""

from __future__ import annotations

import re

import pytest

from appliance.service.doctor.findings import Verdict
from appliance.service.doctor.image import CONFIG, IMAGE
from tests.service.doctor.paper import PaperMachine
from tests.service.doctor.test_subjects import MACHINES, Break, ill, look


@pytest.mark.parametrize(
    ("check", "breaks", "component", "verdict", "said", "advice"),
    MACHINES,
    ids=[f"{number}-{one[0]}" for number, one in enumerate(MACHINES)],
)
def test_what_is_advised_can_be_done(
    check: str, breaks: Break, component: str, verdict: Verdict, said: str, advice: str
) -> None:
    machine = PaperMachine()
    breaks(machine)
    usually = ill(look(machine, check=check))
    machine.files[IMAGE] = ""
    found = ill(look(machine, check=check))
    assert [(one.component, one.finding, one.verdict) for one in found] == [
        (one.component, one.finding, one.verdict) for one in usually
    ]
    for one in found:
        assert one.advice is not None
        assert not re.search(r"\b(apt|pip|make) install\b|usermod|set-ntp", one.advice)
        assert (CONFIG in one.advice) == ("at its end, which updates take along" in one.advice)
    changed = [one for one, other in zip(found, usually, strict=True) if one != other]
    is_otherwise = re.search(
        rf"(apt|pip|make) install|usermod|set-ntp|{CONFIG}",
        " ".join(str(one.advice) for one in usually),
    )
    assert bool(changed) == bool(is_otherwise), "what can be done stays as it was said"
