"""Which names ALSA's configuration has a device for: looked up there, no device is opened.

It is the look-up with which ALSA begins each opening. A definition may ask for a card ("default" does, for
the first): that is asked for by its control node, which every mixer opens, never by one that records.
"""

from __future__ import annotations

import ctypes
import functools


def is_known(name: str) -> bool | None:
    """Whether there is a device of that name, cards that its definition asks for included; None where ALSA
    is not there to be asked.

    What the definition leads to (a sound server, a card by its number in the owner's own file) may be away
    all the same.
    """
    alsa = libasound()
    if alsa is None:
        return None
    top, found = ctypes.c_void_p(), ctypes.c_void_p()
    if alsa.snd_config_update_ref(ctypes.byref(top)) < 0:
        return None  # a file with a fault in it is for the opening to tell
    try:
        sought = name.encode()
        if alsa.snd_config_search_definition(top, b"pcm", sought, ctypes.byref(found)) < 0:
            return False
        alsa.snd_config_delete(found)
        return True
    finally:
        alsa.snd_config_unref(top)


@functools.cache
def libasound() -> ctypes.CDLL | None:
    """ALSA's library, told to keep its remarks for itself: what it says is in the errors too.

    Its remarks go to a C function that takes nothing and does nothing. A function of Python's would want
    Python's lock while ALSA has its configuration locked, and pyalsaaudio waits for that configuration with
    Python's lock in its hands: both would wait for ever, and the whole process with them.
    """
    try:
        alsa = ctypes.CDLL("libasound.so.2")
        alsa.snd_lib_error_set_handler(alsa.snd_asoundlib_version)
    except (OSError, AttributeError):
        return None
    return alsa
