"""Which certificate a handshake takes: any, since it is compared afterwards; OpenSSL is told so in C.

pyOpenSSL would have cffi make a callback, which wants memory that is written and run. No sandbox gives that
(`MemoryDenyWriteExecute=`), and then no call would come about. What ctypes makes is libffi's, which has the
code of its callbacks in the library.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from types import ModuleType
from typing import Any

from aiortc import rtcdtlstransport
from cryptography.hazmat.bindings.openssl.binding import Binding
from OpenSSL import SSL

_BELIEVED = 1
_Verify = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
_believe = _Verify(lambda _believed, _store: _BELIEVED)  # lives as long as the program
_OPENSSL = Binding()
"""What pyOpenSSL is made of."""
_POINTER = _OPENSSL.ffi.cast(
    "int (*)(int, X509_STORE_CTX *)", ctypes.cast(_believe, ctypes.c_void_p).value
)


class Context(SSL.Context):
    """As pyOpenSSL's, but that a question whose answer is always yes is answered in C."""

    def set_verify(self, mode: int, callback: Callable[..., bool] | None = None) -> None:
        """See SSL_CTX_set_verify(3ssl). A callback that looks at what it is asked stays pyOpenSSL's."""
        if callback is None or not _believes_everything(callback):
            super().set_verify(mode, callback)
            return
        _OPENSSL.lib.SSL_CTX_set_verify(self._context, mode, _POINTER)


def _believes_everything(callback: Callable[..., Any]) -> bool:
    """As that of aiortc, `lambda *args: True`: it says so without having seen anything."""
    try:
        return callback() is True
    except TypeError:  # it wants to see the certificate
        return False


def answer_in_c() -> None:
    """Let every handshake of aiortc's take `Context`; twice is as good as once."""
    if vars(rtcdtlstransport)["SSL"].Context is Context:
        return
    ours = ModuleType(SSL.__name__, SSL.__doc__)
    vars(ours).update(vars(SSL), Context=Context)
    vars(rtcdtlstransport)["SSL"] = ours
