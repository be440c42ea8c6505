"""What is to be typed once a device was put back: each command that this machine needs, in order."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from shlex import quote

from appliance.owner.baggage import ETC, OF_BROKER, OF_DAEMON, UNIT, Baggage
from appliance.owner.card import HOSTNAME, ZONE, is_zone
from appliance.owner.places import Places

ACCOUNTS, PAGES = "appliance-accounts.socket", "appliance-broker-pages.path"
SERVES: Mapping[str, str] = {
    ACCOUNTS: "appliance-accounts@.service",
    PAGES: "appliance-broker-pages.service",
}
"""What each of them starts."""
ACCOUNTS_SOCKET = "/run/appliance-accounts.sock"
"""Where ACCOUNTS listens: who has configured another path has a helper of his own."""
MAY_ASK = "appliance-accounts"
"""The group that may ask there; a drop-in of the daemon's unit puts it in."""
LIBRARIES = ("etc", "usr/lib", "lib")
"""Below them systemd has its units."""
SHARE, OF_PROJECT = "usr/share/appliance", "systemd"
"""Where the shipped drop-ins are: by the package; else in the project's folder."""


def commands(content: Baggage, places: Places, accounts_socket: str | None) -> Iterator[str]:
    """Lines for a shell; `accounts_socket` is that of the configuration as it is now. Raises OSError."""
    renamed, host = content.host != socket.gethostname(), quote(content.host)
    if renamed and places.is_image:
        kept = places.file.parent / HOSTNAME
        if not kept.exists() or kept.read_text("utf-8", "replace").strip() != content.host:
            yield f"echo {host} | sudo tee {kept}"
        yield "sudo reboot"  # all of it begins anew by that
        yield "sudo appliance doctor"
        return
    if renamed:
        yield f"sudo hostnamectl set-hostname {host}"
        if (places.root / "usr/sbin/avahi-daemon").exists():
            yield "sudo systemctl try-restart avahi-daemon"  # it asks for the name once
    yield from _zone(content, places)
    helpers = [*_helpers(content, accounts_socket)]
    missing = [*_missing(helpers, places)]
    yield from missing
    written = f"{UNIT}/{OF_DAEMON}/" if places.is_image else f"{UNIT}/"
    if missing or any(name.startswith(written) for name in content.files):
        yield "sudo systemctl daemon-reload"
    switched_on = {link.name for link in places.units.glob("*.wants/*")}
    if off := [one for one in helpers if one not in switched_on]:
        yield f"sudo systemctl enable --now {' '.join(off)}"
    if content.has_broker:
        yield "sudo systemctl restart mosquitto"
    yield "sudo systemctl restart appliance && sudo appliance doctor"


def _zone(content: Baggage, places: Places) -> Iterator[str]:
    """An image has it in a file, and reads it."""
    kept = content.files.get(f"{ETC}/{ZONE}")
    if kept is None:
        return
    if places.is_image:
        yield "sudo systemctl restart appliance-zone"
    elif is_zone(zone := kept.data.decode("ascii", "replace").strip()):
        yield f"sudo timedatectl set-timezone {zone}"


def _helpers(content: Baggage, accounts_socket: str | None) -> Iterator[str]:
    """The units that give accounts to phones, and the page's certificate to the device's own broker."""
    if accounts_socket == ACCOUNTS_SOCKET:
        yield ACCOUNTS
    if f"{OF_BROKER}/pages.pem" in content.files:
        yield PAGES


def _missing(helpers: list[str], places: Places) -> Iterator[str]:
    """Files of ours that are to be laid down: an image has them, and the package all but the drop-in."""
    systemd = [places.root / one / "systemd" / "system" for one in LIBRARIES]
    if new := [one for one in helpers if not any((each / one).exists() for each in systemd)]:
        named = " ".join(f"{OF_PROJECT}/{file}" for one in new for file in (one, SERVES[one]))
        yield f"sudo cp {named} {places.units}/  # in the project's folder"
    drop_ins = [file for each in systemd for file in (each / OF_DAEMON).glob("*.conf")]
    if ACCOUNTS in helpers and not any(MAY_ASK in file.read_text() for file in drop_ins):
        share = places.root / SHARE
        source = share if share.is_dir() else OF_PROJECT
        place = places.units / OF_DAEMON / "accounts.conf"
        yield f"sudo install -D -m 644 {source}/appliance-accounts.conf {place}"
