"""What of a device's client ids nobody else at the broker knows, and every program of the device does.

Whoever connects with the client id of another takes its place, whatever account it has: an id that can
be guessed lets any account keep a device away. Two programs that are the same device by mistake do share
theirs, so that they meet there, and say so.
"""

from __future__ import annotations

import contextlib
import re
import secrets
from pathlib import Path

from appliance.trust.keys import DeviceKey
from appliance.whole_file import private_folder, read_private, write_whole

FILE = "client.id"
BYTES = 16


def mark_of(key: DeviceKey | None, folder: Path) -> str:
    """32 hexadecimal digits: by the key, or without one kept in `folder`, or else this run's. Blocks."""
    if key is not None:
        return key.secret_for("client id")[:BYTES].hex()
    file, mark = folder / FILE, secrets.token_hex(BYTES)
    with contextlib.suppress(OSError, UnicodeDecodeError):
        kept = read_private(file).decode()
        if re.fullmatch(rf"[0-9a-f]{{{2 * BYTES}}}", kept):
            return kept
    with contextlib.suppress(OSError):  # where nothing can be kept a double is not found out
        private_folder(folder)
        write_whole(file, mark.encode())
    return mark
