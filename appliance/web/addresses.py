"""Who counts as one by where a connection comes from."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network, ip_address

PREFIX_BITS = 64
"""Of IPv6 the least that anybody is given is a network of 2^64 addresses (RFC 4291, section 2.5.4)."""


def one_of(address: str) -> str:
    """An IPv4 address as it is, of an IPv6 address its /64; what is none is one together with its like."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        if not found.is_loopback:
            return str(IPv6Network((found, PREFIX_BITS), strict=False))
    return str(found)
