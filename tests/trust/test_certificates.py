"""What certificates of a house's own authorities have in common."""

from __future__ import annotations

import datetime as dt
import ipaddress

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from appliance.trust.certificates import (
    FOR_CLIENTS,
    FOR_SERVERS,
    begin_authority,
    certificate_pem,
    key_pem,
    new_key,
    sign_leaf,
)

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
END = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)


def named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, text)])


@pytest.mark.parametrize("use", [FOR_SERVERS, FOR_CLIENTS], ids=["server", "client"])
def test_a_leaf_is_its_authoritys_for_one_use_and_signs_nothing(use: x509.ObjectIdentifier) -> None:
    authority_key, key = new_key(), new_key()
    authority = begin_authority(named("a house"), authority_key, START, END).sign(
        authority_key, hashes.SHA256()
    )
    leaf = sign_leaf(
        named("a leaf"),
        key,
        START,
        END,
        names=["door.local", "192.168.1.7", "fe80::7"],
        use=use,
        authority=authority,
        authority_key=authority_key,
    )

    leaf.verify_directly_issued_by(authority)
    authority.verify_directly_issued_by(authority)
    twin = begin_authority(named("a house"), key, START, END).sign(key, hashes.SHA256())
    with pytest.raises(InvalidSignature):
        leaf.verify_directly_issued_by(twin)
    of = leaf.extensions.get_extension_for_class
    assert [one.value for one in of(x509.SubjectAlternativeName).value] == [
        "door.local",
        ipaddress.ip_address("192.168.1.7"),
        ipaddress.ip_address("fe80::7"),
    ]
    assert list(of(x509.ExtendedKeyUsage).value) == [use]
    assert not of(x509.BasicConstraints).value.ca
    assert not of(x509.KeyUsage).value.key_cert_sign
    own = authority.extensions.get_extension_for_class
    assert (own(x509.BasicConstraints).value.ca, own(x509.BasicConstraints).value.path_length) == (
        True,
        0,
    )
    assert own(x509.KeyUsage).value.key_cert_sign
    assert not own(x509.KeyUsage).value.digital_signature
    assert (leaf.not_valid_before_utc, leaf.not_valid_after_utc) == (START, END)


def test_what_is_written_down_reads_as_the_same() -> None:
    key = new_key()
    certificate = begin_authority(named("a house"), key, START, END).sign(key, hashes.SHA256())

    assert x509.load_pem_x509_certificate(certificate_pem(certificate)) == certificate
    read = serialization.load_pem_private_key(key_pem(key), None)
    assert read.public_key() == certificate.public_key()
