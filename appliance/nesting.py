"""How deeply JSON text is nested, told before anything decodes it and then walks it recursively.

A decoder may well take what overflows the stack of whoever handles its result.
"""

from __future__ import annotations

import re

MAX_DEPTH = 32
"""Arrays and objects within one another: far more than any message of ours has."""

# A string is swallowed whole, to the end of the text if nothing ends it. The quantifiers are
# possessive: without a way back there is one pass, whatever the text.
_PIECE = r'"(?:[^"\\]|\\.)*+"?+|[\[{\]}]'
_TEXT = re.compile(_PIECE, re.DOTALL)
_BYTES = re.compile(_PIECE.encode(), re.DOTALL)


def too_deep(payload: bytes | str, limit: int = MAX_DEPTH) -> bool:
    """Whether JSON text (bytes are UTF-8) opens more than `limit` brackets within one another.

    Counts the brackets outside strings in time linear in the length; text that is not JSON gets
    an answer too, and it is for the decoder to refuse it.
    """
    tokens = _BYTES.findall(payload) if isinstance(payload, bytes) else _TEXT.findall(payload)
    depth = 0
    for token in tokens:
        if token in ("[", "{", b"[", b"{"):
            depth += 1
            if depth > limit:
                return True
        elif token in ("]", "}", b"]", b"}"):
            depth -= 1
    return False
