"""The page's certificate as a broker takes it over from the daemon, which may have been taken over itself.

Laws: no link of the daemon's is followed, and no file but its own is read; and nothing reaches mosquitto
that could keep it from starting.
"""

from __future__ import annotations

import os
import ssl
import stat
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from appliance.errors import ApplianceError
from appliance.trust.certificates import certificate_pem, key_pem

MOST = 65536
"""Bytes; a certificate and its key are some thousand."""


class NoPage(ApplianceError):
    """What is to be the page's certificate cannot be used; the broker keeps the one that it has."""

    code = "no_page"


def read_of(file: Path) -> bytes:
    """What is in a file whose folder lies in another's, such as `/var/lib/appliance/tls/page.pem`: only
    where the file is of whom its folder belongs to, and the folder above that one's too, or root's.
    Raises NoPage, OSError.
    """
    file = file.absolute()
    folder = os.O_RDONLY | os.O_DIRECTORY
    above = os.open(file.parent.parent, folder)
    opened = [above]
    try:
        opened.append(os.open(file.parent.name, folder | os.O_NOFOLLOW, dir_fd=above))
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe is not waited for
        opened.append(os.open(file.name, flags, dir_fd=opened[-1]))
        top, middle, found = (os.fstat(one) for one in opened)
        whose = middle.st_uid
        ours = found.st_uid == whose and top.st_uid in (0, whose)
        if not ours or not stat.S_ISREG(found.st_mode):
            raise NoPage(f"{file} is no file of whom its folder belongs to")
        data = os.read(opened[-1], MOST + 1)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(file)) from None
    finally:
        for one in opened:
            os.close(one)
    if len(data) > MOST:
        raise NoPage(f"{file} is too long for a certificate and its key")
    return data


def page_certificate(pem: bytes, authority: bytes | None = None) -> bytes:
    """The certificate and the key in `pem`, and nothing else that is there, in PEM. Raises NoPage where
    they do not belong together, mosquitto could not use them, or `authority` (PEM) has not signed them.
    """
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        key = load_pem_private_key(pem, None)
        certified = certificate.public_key()
        if authority is not None:
            certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
    except InvalidSignature:
        raise NoPage("the page's certificate is not signed by its authority") from None
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise NoPage(f"this is no certificate of a page, and its key: {error}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certified:
        raise NoPage("the key of the page's certificate is not its own")
    good = certificate_pem(certificate) + key_pem(key)
    _try(good)
    return good


def _try(pem: bytes) -> None:
    """As mosquitto will, by OpenSSL, which is stricter than who has read it here. Raises NoPage."""
    file = os.memfd_create("page")
    try:
        os.write(file, pem)
        path = f"/proc/self/fd/{file}"
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, path)
    except ssl.SSLError as error:
        raise NoPage(f"no server can use the page's certificate: {error}") from None
    finally:
        os.close(file)
