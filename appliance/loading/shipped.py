"""The configuration files that come with the program, in a checkout and in an installed wheel."""

from __future__ import annotations

from pathlib import Path


def shipped(name: str) -> Path:
    """The path of `config/<name>`: in the package where it was installed, else in the checkout."""
    package = Path(__file__).parents[1]
    installed = package / "config" / name
    return installed if installed.exists() else package.parent / "config" / name
