"""The files of certificates, keys and passwords: readable, valid, and for one another."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from datetime import timedelta
from typing import TypeGuard

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from appliance.config import Config
from appliance.service.doctor.findings import Finding, fault, ok, warning
from appliance.service.doctor.machine import Machine

SOON = timedelta(days=21)


def certificates(config: Config, machine: Machine) -> Iterator[Finding]:
    """One line for each file that has something wrong with it, or one for all."""
    mqtt, http = config.mqtt, config.http
    shown = [
        ("mqtt.ca_file", mqtt.ca_file, None, None),
        ("mqtt.cert_file", mqtt.cert_file, mqtt.key_file, None),
        ("http.cert_file", http.cert_file, http.key_file, http.host),
    ]
    secret = [
        ("mqtt.password_file", mqtt.password_file),
        ("mqtt.key_file", mqtt.key_file),
        ("http.key_file", http.key_file),
    ]
    found: list[Finding] = []
    count = 0
    for key, file, key_file, host in shown:
        if _is_here(file):
            count += 1
            found += _certificate(key, file, key_file, host, machine)
    for key, file in secret:
        if _is_here(file):
            count += 1
            found += _secret(key, file, machine)
    if found:
        yield from found
    elif count:
        said = "1 file, and it is" if count == 1 else f"{count} files, and all are"
        yield ok("certificates", f"{said} as wanted")
    else:
        yield ok("certificates", "none are configured")


def _is_here(file: str | None) -> TypeGuard[str]:
    """Whether a file is named; where a variable's value is missing, only the service can look."""
    return bool(file) and not str(file).startswith("$")


def _certificate(
    key: str, file: str, key_file: str | None, host: str | None, machine: Machine
) -> Iterator[Finding]:
    try:
        raw = machine.content(file)
        all_ = x509.load_pem_x509_certificates(raw)
    except OSError as error:
        advice = f"Put it there, readable for the service, or correct [{key.replace('.', '] ')}."
        yield fault("certificates", f"{file} cannot be read: {error.strerror}", advice)
        return
    except ValueError:
        yield fault(
            "certificates",
            f"{file} is no certificate in PEM",
            "Convert it: openssl x509 -inform der",
        )
        return
    first = all_[0]
    left = first.not_valid_after_utc - machine.now()
    renew = "Renew it; until then nobody trusts it." if left < timedelta() else "Renew it soon."
    if left < timedelta():
        yield fault(
            "certificates", f"{file} has expired on {first.not_valid_after_utc:%Y-%m-%d}", renew
        )
    elif left < SOON:
        yield warning("certificates", f"{file} expires in {max(left.days, 0)} days", renew)
    elif first.not_valid_before_utc > machine.now():
        advice = "Set this device's clock; else wait."
        yield fault(
            "certificates",
            f"{file} is not valid before {first.not_valid_before_utc:%Y-%m-%d}",
            advice,
        )
    if _is_here(key_file):
        yield from _pair(file, first, key_file, machine)
    if host is not None and not is_for(first, host):
        advice = f"Ask for one with the name {host}, or let [http] host be one of its names."
        yield warning("certificates", f"{file} is not for {host}", advice)


def _pair(
    file: str, certificate: x509.Certificate, key_file: str, machine: Machine
) -> Iterator[Finding]:
    try:
        private = load_pem_private_key(machine.content(key_file), None)
    except OSError:
        return  # told where the keys are looked at
    except (ValueError, TypeError):
        advice = "Take the passphrase off, and keep it as PEM: openssl pkey -in …"
        yield fault("certificates", f"{key_file} is no key that can be used", advice)
        return
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if private.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        advice = "Name the key with which the certificate was asked for."
        yield fault("certificates", f"{key_file} is not the key of {file}", advice)


def _secret(key: str, file: str, machine: Machine) -> Iterator[Finding]:
    try:
        machine.content(file)
        others = machine.mode(file) & 0o007
    except OSError as error:
        advice = f"Put it there, readable for the service, or correct [{key.replace('.', '] ')}."
        yield fault("certificates", f"{file} cannot be read: {error.strerror}", advice)
        return
    if others:
        yield warning("certificates", f"{file} can be read by everybody", f"chmod 640 {file}")


def is_for(certificate: x509.Certificate, host: str) -> bool:
    """Whether a certificate names this host, or address. Raises ValueError where it is malformed."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        known = names.get_values_for_type(x509.DNSName)
        return any(_covers(one.lower(), host.lower()) for one in known)
    # every address of this machine: which of them is asked for, is not known
    return address.is_unspecified or address in names.get_values_for_type(x509.IPAddress)


def _covers(name: str, host: str) -> bool:
    return name == host or (name.startswith("*.") and host.partition(".")[2] == name[2:])
