"""What a program may attach or say: JSON, and no more of it than a message has room for."""

from __future__ import annotations

import json

from appliance.errors import Refused
from appliance.model import Json

ATTACHED_MAX_BYTES = 2048
"""Of `custom_data` and of a custom event's `body`, as JSON: a message has 4 KiB in all."""
TEXT_MAX_BYTES = 3072


def check_json(value: Json, name: str, max_bytes: int = ATTACHED_MAX_BYTES) -> None:
    """Raise Refused where the value is no JSON, or too much of it; `name` says which it is."""
    try:
        size = len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode())
    except (TypeError, ValueError, RecursionError):
        raise Refused("not_json", f"{name} is no JSON value") from None
    if size > max_bytes:
        raise Refused("too_large", f"{name} has {size} bytes, and {max_bytes} at most are sent")
