"""Reads a configuration: its layers, then each value, then all of them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath

from msgspec.structs import replace

from appliance.config import Config, Contact
from appliance.errors import ConfigError
from appliance.loading.checks import CHECKS
from appliance.loading.conversion import convert
from appliance.loading.findings import Check, Finding, Path, spelled
from appliance.loading.layers import Layers, read_layers
from appliance.state_directory import state_directory
from appliance.trust import book


@dataclass(frozen=True, slots=True)
class Reading:
    """A configuration and what was found about it, as `file: path: sentence` in the file's order.

    With faults, `config` lacks what is wrong and is good for nothing but looking at.
    """

    config: Config
    faults: tuple[str, ...]
    warnings: tuple[str, ...]


def read(
    file: FilePath | None, environ: Mapping[str, str], checks: Sequence[Check] = ()
) -> Reading:
    """Read and check what `file` (by default /etc/appliance/appliance.toml) and `environ` say."""
    layers = read_layers(file, environ)
    faults = [f"{origin}: {sentence}" for origin, sentence in layers.faults]
    config, findings = convert(layers.values, layers.texts)
    try:
        paired = book.read(state_directory(environ) / book.FILE)
    except ConfigError as error:
        paired = book.Book()
        faults += error.faults
    if not faults:  # what a file that cannot be read would have said is not missed as well
        wrong = {finding.path for finding in findings}
        whole = replace(config, contacts=_known(config, paired))
        for check in (*CHECKS, *checks):
            findings += [found for found in check(whole) if found.path not in wrong]
    places = {path: place for place, path in enumerate(layers.origins)}
    findings.sort(key=lambda found: _place(places, found.path))
    return Reading(
        config,
        (*faults, *(_line(layers, found) for found in findings if not found.warning)),
        tuple(_line(layers, found) for found in findings if found.warning),
    )


def _known(config: Config, paired: book.Book) -> dict[str, Contact]:
    """Everybody who may be named: who was paired too, and who was revoked, whose name is no slip."""
    barred = {uid: Contact() for uid, one in paired.contacts.items() if one.barred}
    return barred | book.together(config.contacts, paired)


def _line(layers: Layers, found: Finding) -> str:
    return f"{layers.origin(found.path)}: {spelled(found.path)}: {found.sentence}"


def _place(places: Mapping[Path, int], path: Path) -> int:
    """How far down a path stands in the files; what is not there stands with what is around it."""
    while path not in places:
        path = path[:-1]
    return places[path]
