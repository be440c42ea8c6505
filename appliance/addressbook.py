"""`appliance contacts`: asks the running appliance, or where none runs, works on its file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from appliance.client import Client, NotAllowed, Unreachable
from appliance.errors import ApplianceError
from appliance.socket_path import listening_path, only_one
from appliance.state_directory import state_directory
from appliance.trust import book
from appliance.trust.contacts import Contacts

SYSTEM_FOLDER = Path("/var/lib/appliance")
"""The state directory of the daemon that systemd starts (`StateDirectory=appliance`)."""


class CannotKeep(ApplianceError):
    """The file could not be written: nothing that was asked for holds."""

    code = "not_kept"


def listed(config: Path | None) -> Sequence[Mapping[str, Any]]:
    """Everybody who is known, with rights and keys. Raises ApplianceError."""
    try:
        with Client() as client:
            found: list[Mapping[str, Any]] = client.ask(contacts=True)
            return found
    except NotAllowed:
        raise
    except Unreachable:
        return _on_file(config).listing()


def revoke(config: Path | None, uid: str, key: str | None) -> list[str]:
    """Refuse a key, or all of a contact, from now on; gives the thumbprints. Raises ApplianceError."""
    try:
        with Client() as client:
            revoked: list[str] = client.ask(revoke=uid, **({} if key is None else {"key": key}))
            return revoked
    except NotAllowed:
        raise  # one runs: behind its back nothing is changed
    except Unreachable:
        pass
    with ExitStack() as stack:
        stack.enter_context(only_one(listening_path()))  # and none begins to run meanwhile
        contacts = _on_file(config)
        try:
            kids = asyncio.run(contacts.revoke(uid, key))
        except OSError as error:
            raise CannotKeep(f"{_file()} cannot be written: {error.strerror}") from None
    return list(kids)


def _on_file(config: Path | None) -> Contacts:
    from appliance.loading.reading import read

    # whatever else may be wrong with the configuration, a lost phone is to be revoked
    configured = read(config, os.environ).config.contacts
    return Contacts(configured, _file())


def _file() -> Path:
    """That of the daemon with this environment, else of the one that systemd starts."""
    said = "STATE_DIRECTORY" in os.environ or "XDG_STATE_HOME" in os.environ
    own = state_directory() / book.FILE
    if not said and not own.exists() and SYSTEM_FOLDER.exists():
        return SYSTEM_FOLDER / book.FILE
    return own
