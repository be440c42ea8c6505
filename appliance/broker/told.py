"""Whether this machine's mosquitto is told of a broker's folder, and telling it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from appliance.broker.places import CONFIGURATION, SYSTEM_CONFIGURATION
from appliance.whole_file import private_folder, sync_folder

MODE = 0o755


def configurations(folder: Path, names: Callable[[str], Sequence[str]]) -> list[Path]:
    """What mosquitto reads beside its own configuration, by `names` of what lies in a folder."""
    links = links_of(folder)
    return [links / name for name in names(str(links)) if name.endswith(".conf")]


def links_of(folder: Path) -> Path:
    """Where a mosquitto looks for configurations that has its broker in `folder`."""
    return folder.parent / "conf.d"


def is_told(
    folder: Path, names: Callable[[str], Sequence[str]], text: Callable[[str], str | None]
) -> bool:
    """Whether it has that of `folder`: by our link, which not everybody may follow, or by its name."""
    files = configurations(folder, names)
    read = (*files, folder.parent / SYSTEM_CONFIGURATION.name)
    return links_of(folder) / CONFIGURATION in files or any(
        str(folder) in (text(str(file)) or "") for file in read
    )


def tell(folder: Path, links: Path) -> None:
    """It reads that of `folder` from its next start on. A link that is there stays. Raises OSError."""
    private_folder(links, MODE)
    link = links / CONFIGURATION
    if not link.is_symlink():
        link.symlink_to(folder / CONFIGURATION)
        sync_folder(links)
