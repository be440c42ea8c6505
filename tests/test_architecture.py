"""Who may import whom: the folders are the architecture, and this keeps it so."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CODE = Path(__file__).parents[1] / "appliance"
VOCABULARY = {"model", "events", "commands", "messages", "actions", "listeners", "errors"}
EDGES = {"signaling", "media", "panel", "screen", "reporting", "web", "service"}
# keys and contacts stand below the edges, as messages do: every edge may verify and ask
BELOW_EDGES = {"trust"}
TRUST_NEEDS = {"config", "whole_file", "state_directory"}
# what every edge may ask about what comes from outside
FIREWALL = "firewall"
# what can have an import in it: no expression has
STATEMENTS = (ast.stmt, ast.excepthandler, ast.match_case)
# what an edge may know of the core: what it is told and what it reports
CORE_FOR_EDGES = {"calls.inputs", "calls.effects"}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(CODE.rglob("*.py")):
        parts = path.relative_to(CODE).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), path


def imported(path: Path) -> Iterator[str]:
    """The modules of this project that a module imports, anywhere in it."""
    nodes: list[ast.AST] = [ast.parse(path.read_text())]
    for node in nodes:
        nodes += (one for one in ast.iter_child_nodes(node) if isinstance(one, STATEMENTS))
        match node:
            case ast.Import(names):
                for name in names:
                    if name.name.startswith("appliance"):
                        yield name.name.removeprefix("appliance").lstrip(".")
            case ast.ImportFrom(str(module), names) if module.startswith("appliance"):
                base = module.removeprefix("appliance").lstrip(".")
                for name in names:
                    below = f"{base}.{name.name}".lstrip(".")
                    is_module = (CODE / Path(*below.split("."))).with_suffix(".py").exists()
                    is_folder = (CODE / Path(*below.split("."))).is_dir()
                    yield below if is_module or is_folder else base


def top(module: str) -> str:
    return module.split(".")[0]


@pytest.mark.parametrize(("module", "path"), list(modules()), ids=lambda value: str(value)[-40:])
def test_a_module_imports_only_what_it_may(module: str, path: Path) -> None:
    for other in imported(path):
        where = f"{module} imports {other}"
        if module in VOCABULARY:
            assert other in VOCABULARY, where
        elif top(module) == "calls":
            assert top(other) == "calls" or other in VOCABULARY | {"bus"}, where
        elif top(module) in BELOW_EDGES:
            assert top(other) == top(module) or other in VOCABULARY | TRUST_NEEDS, where
        elif top(module) == FIREWALL:
            assert top(other) == FIREWALL or other == "errors", where
        elif top(module) in EDGES:
            own = top(other) == top(module)
            assert own or top(other) not in EDGES, where
            assert other not in ("app", "session", "policy"), where
            assert top(other) != "calls" or other in CORE_FOR_EDGES, where


def test_the_vocabulary_needs_only_the_standard_library_and_msgspec() -> None:
    for module in VOCABULARY:
        tree = ast.parse((CODE / f"{module}.py").read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                assert top(node.module) not in ("aiortc", "av", "gpiozero", "paho", "aiohttp")


def test_only_one_folder_touches_what_is_private_in_aiortc() -> None:
    touching = {
        module
        for module, path in modules()
        if "_RTCRtp" in path.read_text() or "_handle_rtcp_packet" in path.read_text()
    }
    assert {module.rpartition(".")[0] for module in touching} == {"media.seams"}


def test_every_module_says_in_one_sentence_what_it_holds() -> None:
    for module, path in modules():
        if path.name == "__init__.py" and not path.read_text().strip():
            continue
        text = ast.get_docstring(ast.parse(path.read_text()))
        assert text, f"{module} has no docstring"


def test_every_module_has_its_test_file() -> None:
    tests = {path.stem.removeprefix("test_") for path in CODE.parent.glob("tests/**/test_*.py")}
    for module, path in modules():
        if path.name in ("__init__.py", "__main__.py") or module.split(".")[-1] in tests:
            continue
        assert TOLD_IN.get(module) in tests, f"{module} has no test file"


TOLD_IN = {
    "broker.places": "house",
    "firewall.blocked": "descriptions",
    "firewall.fingerprints": "descriptions",
    "media.agreement": "leg",
    "media.lines": "leg",
    "media.seams.admitting": "srtp",
    "media.seams.guarding": "srtp",
    "media.seams.ice": "gathering",
    "media.seams.lifetime": "untying",
    "media.seams.receiving": "short_ways",
    "media.seams.rtcp": "peer",
    "media.seams.sending": "short_ways",
    "media.tracks": "fanout",
    "owner.baggage": "backup",
    "owner.dialog": "setup",
    "owner.dropin": "setup",
    "owner.evidence": "report",
    "owner.hearing": "setup",
    "owner.pressing": "setup",
    "owner.settings": "report",
    "owner.twin": "restoring",
    "panel.claims": "board",
    "panel.status": "board",
    "events": "bus",
    "listeners": "bus",
    "model": "catalog",
    "messages": "wire",
    "errors": "commands",
    "client": "cli",
    "addressbook": "cli",
    "daemon": "cli",
    "wiring": "app",
    "reference.document": "reference",
    "reference.documented": "configuration",
    "reference.elsewhere": "reference",
    "reference.examples": "reference",
    "reference.prose": "reference",
    "reference.refusals": "reference",
    "reference.spelling": "reference",
    "socket_path": "socket",
    "loading.checks": "config",
    "loading.extensions": "config",
    "loading.conversion": "config",
    "loading.findings": "config",
    "loading.layers": "config",
    "loading.reading": "config",
    "loading.shipped": "config",
    "signaling.base": "link_contract",
    "signaling.introducing": "pairing",
    "signaling.bodies": "wire",
    "signaling.rejected": "wire",
    "signaling.connection": "mqtt",
    "signaling.plan": "mqtt",
    "calls.inputs": "engine",
    "calls.effects": "engine",
    "calls.state": "laws",
    "calls.call": "laws",
    "calls.moment": "laws",
    "calls.inviting": "outgoing",
    "calls.replies": "outgoing",
    "calls.turn": "laws",
    "calls.machine": "laws",
    "calls.drawing": "table",
    "calls.ending": "outgoing",
    "calls.devices": "talking",
    "calls.sizes": "talking",
    "calls.buttons": "outgoing",
    "calls.own": "talking",
    "calls.participants": "talking",
    "calls.peers": "talking",
    "calls.relays": "talking",
    "calls.later": "talking",
    "calls.outage": "talking",
    "calls.requests": "several",
    "calls.meshing": "several",
    "calls.moderating": "several",
    "calls.tokens": "sessions",
    "calls.switching": "switching",
    "calls.renegotiating": "switching",
    "calls.recordings": "recordings",
    "calls.screens": "viewing",
    "calls.roster": "talking",
    "media.base": "synthetic",
    "media.equipment": "studio",
    "media.leg": "studio",
    "web.views": "players",
    "reporting.asking": "mqtt",
    "reporting.ledger": "calllog",
    "screen.marks": "compositor",
    "screen.palette": "canvas",
    "screen.people": "compositor",
    "screen.scenes": "compositor",
    "screen.symbols": "compositor",
    "screen.words": "compositor",
    "reporting.programs": "hooks",
    "hook_files": "hooks",
    "service.doctor.broker": "subjects",
    "service.doctor.cameras": "subjects",
    "service.doctor.display": "subjects",
    "service.doctor.encoder": "subjects",
    "service.doctor.endurance": "subjects",
    "service.doctor.heat": "subjects",
    "service.doctor.permissions": "subjects",
    "service.doctor.running": "subjects",
    "service.doctor.sound": "subjects",
    "service.doctor.storage": "subjects",
    "service.doctor.unit": "subjects",
}
"""Modules that are played together with others, and the test file in which they are."""
