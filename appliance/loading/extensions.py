"""What is to be said about hooks and plug-ins, which are not ours: are they there, will they start?"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path as FilePath

from appliance.config import Config
from appliance.hook_files import findings
from appliance.loading.findings import Finding, Path


def hooks(config: Config) -> Iterator[Finding]:
    """The hooks' folder is there; what in it would not be started is told."""
    path: Path = ("hooks", "directory")
    name = config.hooks.directory
    if not name or name.startswith("$"):
        return
    folder = FilePath(name)
    if not folder.is_dir():
        yield Finding(path, f"there is no folder {name}")
        return
    try:
        for sentence in findings(folder):
            yield Finding(path, sentence, warning=True)
    except OSError as error:
        yield Finding(path, f"{folder} cannot be read: {error.strerror}", warning=True)


def plugins(config: Config) -> Iterator[Finding]:
    """Plug-ins are modules that Python finds; none is imported to see that."""
    for at, name in enumerate(config.plugins.modules):
        path: Path = ("plugins", "modules", at)
        if not all(part.isidentifier() for part in name.split(".")):
            yield Finding(path, f'"{name}" is no name of a module, such as "my_door"')
        elif name == "__main__" or not _is_module(name):
            sentence = f"{name} is no module that {sys.executable} finds"
            yield Finding(path, sentence, warning=True)


def _is_module(name: str) -> bool:
    """Whether Python finds a module, by the packages around it."""
    places: Sequence[str] | None = None
    spec: ModuleSpec | None = None
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        name = ".".join(parts[:depth])
        # the first may be built in, or come from an editable installation
        spec = find_spec(name) if depth == 1 else PathFinder.find_spec(name, places)
        if spec is None:
            return False
        places = spec.submodule_search_locations or ()
    return True
