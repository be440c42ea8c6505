"""What phones know this device by: its own key, which they have pinned, and the authority of its page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from appliance.config import Config
from appliance.service.doctor.certificates import is_for
from appliance.service.doctor.findings import Finding, fault, ok, warning
from appliance.service.doctor.machine import Machine
from appliance.state_directory import state_directory
from appliance.trust import authority, book, keys

KEY, AUTHORITY = "device key", "authority"
AGAIN = "Put it back from a backup; else delete it, and pair every phone anew."
TRUST_AGAIN = "Put both back from a backup; else delete {}, and let every phone trust the new one."


def identity(config: Config, machine: Machine) -> Iterator[Finding]:
    """One line for the key, and one for the page's authority where there is one."""
    folder = state_directory(machine.environ)
    yield _key(folder, machine)
    yield from _authority(config, folder / authority.FOLDER, machine)


# -------------------- the key


def _key(folder: Path, machine: Machine) -> Finding:
    credentials = machine.environ.get("CREDENTIALS_DIRECTORY")
    file = folder / keys.FILE
    given = bool(credentials) and machine.exists(f"{credentials}/{keys.CREDENTIAL}")
    if given:
        file = Path(credentials or "") / keys.CREDENTIAL
    try:
        raw = machine.content(str(file))
        open_to_others = machine.mode(str(file)) & 0o077
    except FileNotFoundError:
        return _no_key(folder, file, machine)
    except OSError as error:
        return _unreadable(KEY, file, error)
    try:
        private = load_pem_private_key(raw, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return fault(KEY, f"{file} is no private key without a passphrase, in PEM", AGAIN)
    if not isinstance(private, Ed25519PrivateKey):
        return fault(KEY, f"{file} is a key of another kind than Ed25519", AGAIN)
    if open_to_others and not given:
        return warning(KEY, f"{file} can be read by others", f"chmod 600 {file}")
    named = keys.DeviceKey(private).kid[:6]
    return ok(KEY, f"{file} is as wanted; phones know it as {named}…")


def _no_key(folder: Path, file: Path, machine: Machine) -> Finding:
    """Before the first start that is well; but whoever is paired has pinned one."""
    try:
        paired = b"keys = [" in machine.content(str(folder / book.FILE))
    except OSError:
        paired = False
    if paired:
        return fault(KEY, f"{file} is gone, and phones are paired with it", AGAIN)
    return ok(KEY, "none yet; it is made at the first start")


def _unreadable(component: str, file: Path, error: OSError) -> Finding:
    if isinstance(error, PermissionError):
        advice = "Ask as the service's user, or with sudo."
        return warning(component, f"{file} is not for this user to read", advice)
    advice = "Look at the disk: dmesg | tail"
    return fault(component, f"{file} cannot be read: {error.strerror}", advice)


# -------------------- the authority, and the page's certificate


def _authority(config: Config, folder: Path, machine: Machine) -> Iterator[Finding]:
    if config.http.cert_file is not None:
        return  # told where certificates are
    certificate_file, key_file = folder / authority.CERTIFICATE_FILE, folder / authority.KEY_FILE
    try:
        raw, secret = machine.content(str(certificate_file)), machine.content(str(key_file))
        open_to_others = machine.mode(str(key_file)) & 0o077
    except FileNotFoundError as error:
        if machine.exists(str(certificate_file)) or machine.exists(str(key_file)):
            missing = error.filename or "one of the two"
            advice = TRUST_AGAIN.format(folder)
            yield fault(AUTHORITY, f"{folder} is not whole: {missing} is not there", advice)
        elif config.http.local_ca:
            yield ok(AUTHORITY, "none yet; it is made at the first start")
        elif authority.lacks_authority(config.http, folder):
            said = "none yet; `appliance pair` makes it, and the page is served from then on"
            yield ok(AUTHORITY, said)
        return
    except OSError as error:
        yield _unreadable(AUTHORITY, folder, error)
        return
    try:
        certificate = x509.load_pem_x509_certificate(raw)
        key = load_pem_private_key(secret, None)
        is_pair = (
            isinstance(key, EllipticCurvePrivateKey)
            and key.public_key() == certificate.public_key()
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        is_pair = False
    if not is_pair:
        said = f"{key_file} is not the key of {certificate_file}, or one of them is broken"
        yield fault(AUTHORITY, said, TRUST_AGAIN.format(folder))
        return
    if open_to_others:
        yield warning(AUTHORITY, f"{key_file} can be read by others", f"chmod 600 {key_file}")
    yield from _page(config, certificate, folder / authority.LEAF_FILE, machine)


def _page(
    config: Config, certificate: x509.Certificate, file: Path, machine: Machine
) -> Iterator[Finding]:
    """The page's certificate is made anew whenever that is due: what is wrong with it has a reason."""
    now = machine.now()
    again = f"Restart the appliance, which makes a new one; else delete {file}."
    try:
        leaf = x509.load_pem_x509_certificate(machine.content(str(file)))
        leaf.verify_directly_issued_by(certificate)
        made = leaf.not_valid_before_utc + authority.LEAF_BACKDATED
        host, wanted = (machine.output("hostname") or "").strip().lower(), config.http.host
        names = [wanted, f"{host.partition('.')[0]}.local"] if host else [wanted]
        missing = [name for name in names if not is_for(leaf, name)]
    except FileNotFoundError:
        yield ok(AUTHORITY, "as wanted; the page's certificate is made at the next start")
        return
    except OSError as error:
        yield _unreadable(AUTHORITY, file, error)
        return
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        yield fault(AUTHORITY, f"{file} is no certificate of this device's authority", again)
        return
    if now < made - authority.ONE_DAY:
        said = f"{file} was made on {made:%Y-%m-%d}, which by the clock is yet to come"
        yield warning(AUTHORITY, said, "sudo timedatectl set-ntp true")
    elif now > leaf.not_valid_after_utc:
        said = f"{file} has expired on {leaf.not_valid_after_utc:%Y-%m-%d}"
        yield (fault if machine.runs else warning)(AUTHORITY, said, again)
    elif missing:
        yield warning(AUTHORITY, f"{file} is not for {missing[0]}", again)
    else:
        until = f"{leaf.not_valid_after_utc:%Y-%m-%d}"
        yield ok(AUTHORITY, f"as wanted; the page's certificate is good until {until}")
