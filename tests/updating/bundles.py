"""Bundles that are really made and signed, by the scripts that a publisher uses."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.parts import need

UPDATE = Path(__file__).parents[2] / "image-build" / "update"


def needed() -> Path:
    """RAUC itself, and what makes bundles and keys."""
    need.program("mksquashfs", "squashfs-tools")
    need.program("openssl")
    return need.program("rauc")


def keys(folder: Path, **environ: str) -> Path:
    """Keys without a passphrase, as `keys new` makes them."""
    run = {**os.environ, **environ}
    subprocess.run([UPDATE / "keys", "new", folder, "--plain"], env=run, check=True)
    return folder


def system(file: Path, version: str | None) -> Path:
    """The partition of a system that says its version, if it has one, and half a megabyte of noise."""
    root = file.with_suffix(".root")
    says = root / "usr/lib/appliance-image"
    says.mkdir(parents=True)
    (root / "noise").write_bytes(os.urandom(500_000))
    if version is not None:
        (says / "version").write_text(f"{version}\n")
    maker = need.program("mke2fs", "e2fsprogs")
    subprocess.run([maker, "-q", "-t", "ext4", "-d", root, file, "2M"], check=True)
    return file


def bundle(
    file: Path, keys: Path, version: str | None = "9.0", device: str = "paper", **said: str
) -> Path:
    """A bundle of two small partitions, the second of which says its version; `said` to the script."""
    boot = file.with_suffix(".boot")
    boot.write_bytes(os.urandom(40_000))
    return signed(file, keys, boot, system(file.with_suffix(".system"), version), device, **said)


def signed(file: Path, keys: Path, boot: Path, system: Path, device: str, **said: str) -> Path:
    """A bundle of these two partitions."""
    environ = {
        **said,
        "PATH": os.environ["PATH"],
        "DEVICE": device,
        "KEYS": str(keys),
        "BOOT": str(boot),
        "SYSTEM": str(system),
        "TMPDIR": str(file.parent),
    }
    made = subprocess.run(
        [UPDATE / "bundle", file], env=environ, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    return file


def system_conf(folder: Path, keys: Path, device: str = "paper", version: str = "0.1.0") -> Path:
    """As `install` fills it in; without the lines that RAUC 1.8 does not know."""
    lines = (UPDATE / "system.conf").read_text()
    lines = lines.replace("@DEVICE@", device).replace("@VERSION@", version)
    kept = [one for one in lines.splitlines() if not one.startswith(NEW)]
    (folder / "keyring.pem").write_bytes((keys / "authority.crt").read_bytes())
    conf = folder / "system.conf"
    conf.write_text("\n".join(kept))
    return conf


NEW = ("min-bundle-version=", "data-directory=")


def expired_signer(keys: Path) -> None:
    """A signer whose time is over."""
    _sign(keys, ExtendedKeyUsageOID.CODE_SIGNING, datetime(2020, 1, 1, tzinfo=UTC))


def servers_signer(keys: Path) -> None:
    """A signer whose certificate is a web server's."""
    _sign(keys, ExtendedKeyUsageOID.SERVER_AUTH, datetime.now(UTC) - timedelta(days=1))


def _sign(keys: Path, purpose: x509.ObjectIdentifier, since: datetime) -> None:
    """Another certificate of the signer's, by the same authority, good for a month."""
    authority = x509.load_pem_x509_certificate((keys / "authority.crt").read_bytes())
    signs = serialization.load_pem_private_key((keys / "authority.key").read_bytes(), None)
    key = serialization.load_pem_private_key((keys / "signer.key").read_bytes(), None)
    assert isinstance(signs, ec.EllipticCurvePrivateKey)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "another")]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(since + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
        .sign(signs, hashes.SHA384())
    )
    (keys / "signer.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))


def unbelieved(file: Path, keys: Path) -> Path:
    """A bundle by whose signature nobody asks, while it is made, whether a device believes it."""
    room = file.with_suffix("")
    room.mkdir()
    (room / "system.img").write_bytes(os.urandom(50_000))
    manifest = "[update]\ncompatible=appliance-paper\nversion=9.0\n[bundle]\nformat=verity\n"
    (room / "manifest.raucm").write_text(f"{manifest}[image.system]\nfilename=system.img\n")
    conf = file.with_suffix(".conf")
    conf.write_text("[system]\ncompatible=appliance-paper\nbootloader=noop\n")
    words: list[str | Path] = [needed(), f"--conf={conf}", "bundle", room, file]
    words[3:3] = [f"--cert={keys / 'signer.crt'}", f"--key={keys / 'signer.key'}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return file
