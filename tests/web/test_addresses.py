"""Who counts as one: an IPv4 address, a /64 of IPv6."""

from __future__ import annotations

import pytest

from appliance.web.addresses import one_of


@pytest.mark.parametrize(
    ("address", "one"),
    [
        ("192.168.1.7", "192.168.1.7"),
        ("::ffff:192.168.1.7", "192.168.1.7"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::1"),
        ("", ""),
        ("unix:", ""),
    ],
)
def test_who_counts_as_one(address: str, one: str) -> None:
    assert one_of(address) == one
