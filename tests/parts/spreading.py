"""In which order tests are given to who plays them beside one another."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import pytest

WAITING = (
    "tests/test_app_faults.py",
    "tests/media/test_recorder.py",
    "tests/media/test_leg.py",
    "tests/test_soak.py",
    "tests/service/test_booted.py",
)
"""What takes a minute, most of which is waiting: first, as all else that waits. The lab's machines do their
work meanwhile."""
DEAR = (
    "tests/conformance/test_conformance.py",
    "tests/web/test_page_session.py",
    "tests/fuzz/test_programs.py",
    "tests/test_demo.py",
    "tests/web/test_page.py",
    "tests/web/test_page_pairing.py",
    "tests/web/test_peer_in_chromium.py",
)
"""What wants a processor or two for a minute: last, when nothing else does; the longest first."""


class Named(Protocol):
    """A test."""

    @property
    def nodeid(self) -> str:
        """As pytest has it: the file, a class where there is one, and the test."""


One = TypeVar("One", bound=Named)


def spread(tests: Sequence[One]) -> list[One]:
    """Who waits for a minute, then the largest files and the smallest in turn, then the dear; each whole.

    Ordered by size, as xdist does, all that has few tests would come at the end: stories of whole devices,
    with nobody left for the second processor.
    """
    files: dict[str, list[One]] = {}
    for test in tests:
        files.setdefault(test.nodeid.rsplit("::", 1)[0], []).append(test)
    ordered = [test for name in WAITING for test in files.pop(name, ())]
    last = [test for name in DEAR for test in files.pop(name, ())]
    by_size = deque(sorted(files.values(), key=len))
    while by_size:
        ordered += by_size.pop()
        if by_size:
            ordered += by_size.popleft()
    return ordered + last


AT_THE_DEAR = 2
"""So many of those who play wear a computer of two processors out with what is dear."""


def scheduler(config: pytest.Config, log: Any) -> Any:
    """Of xdist: files as they come. The third who plays, and any other, gets none that is dear while there
    are others, and ends with those.
    """
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
        def _assign_work_unit(self, node: Any) -> None:
            if self._is_more(node) and (cheap := self._cheap()):
                self.workqueue.move_to_end(cheap, last=False)
            super()._assign_work_unit(node)

        def _reschedule(self, node: Any) -> None:
            if self.workqueue and self._is_more(node) and not self._cheap():
                node.shutdown()
            else:
                super()._reschedule(node)

        def _is_more(self, node: Any) -> bool:
            # who has been told to end plays no dear file after the one it is at
            there = [one for one in self.assigned_work if one is node or not one.shutting_down]
            return there.index(node) >= AT_THE_DEAR

        def _cheap(self) -> str | None:
            files = (scope for scope in self.workqueue if scope.split("::")[0] not in DEAR)
            return next(files, None)

    return Scheduling(config, log)
