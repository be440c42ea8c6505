"""Addresses of a test's network that this machine has as well: calls beside it are not to go by them.

ICE tries each address that a machine has. Between two at home any of them would do; and a call that had
taken one of these would lose its way when the network is taken down, though it has nothing to do with it.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

_TABLE = "aloof-"


def keep_calls_off(nft: Path, interface: str, address: str) -> None:
    """Nothing of UDP gets through by `address` where both are on this machine; through the wire it does.

    To be called before `interface` gets the address.
    """
    _sweep(nft)
    own = "iifname lo meta l4proto udp ip"
    rules = f"{own} daddr {address} drop\n{own} saddr {address} drop"
    chain = f"type filter hook input priority 0; policy accept;\n{rules}"
    _nft(nft, f"table ip {_TABLE}{interface} {{\nchain own {{\n{chain}\n}}\n}}\n")


def let_calls_in(nft: Path, interface: str) -> None:
    """The interface is gone, and its address."""
    _nft(nft, f"delete table ip {_TABLE}{interface}\n")


def _sweep(nft: Path) -> None:
    """Remove what processes have left that were killed."""
    told = subprocess.run(
        [nft, "list", "tables", "ip"], capture_output=True, text=True, check=False
    )
    for name in told.stdout.split():
        interface = name.removeprefix(_TABLE)
        if interface != name and not Path(f"/sys/class/net/{interface}").exists():
            delete = ["delete", "table", "ip", name]
            subprocess.run([nft, *delete], capture_output=True, check=False)


def _nft(nft: Path, rules: str) -> None:
    subprocess.run([nft, "-f", "-"], input=rules, text=True, check=True, capture_output=True)
