"""The command line of whoever owns a device; what an image does at its start is part of it."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from appliance.loading.findings import Check

Checks = Callable[[], "Sequence[Check]"]
"""Those that only an edge can make, imported when they are wanted."""


def add_to(commands: _SubParsersAction[ArgumentParser], checks: Checks) -> None:
    """What this folder adds to the command line."""
    report = commands.add_parser(
        "report",
        help="a support bundle: what is wrong, without secrets and names",
        description="Write what the doctor finds, status, configuration, versions, log and kernel messages"
        " into one file, without passwords, keys, and people's names. README.txt in it says what was left"
        " in. As root it has most.",
    )
    report.add_argument(
        "file", type=Path, nargs="?", metavar="FILE", help="else ./appliance-report-….tar.gz"
    )
    _config(report)
    report.set_defaults(run=lambda options: _report(options, checks()))

    backup = commands.add_parser(
        "backup",
        help="keys, contacts and configuration in one encrypted file",
        description="Write all that makes this device the one that its phones know, encrypted with a"
        " passphrase: key, contacts, configuration, secrets and drop-ins of the service, the page's"
        " authority, and a broker that `appliance broker` has made. It may run meanwhile.",
    )
    backup.add_argument("file", type=Path, metavar="FILE")
    backup.add_argument("--calls", action="store_true", help="the call log and its pictures too")
    _passphrase(backup)
    _config(backup)
    backup.set_defaults(run=_backup)

    restore = commands.add_parser(
        "restore",
        help="be the device that was backed up: no phone is paired anew",
        description="Put a backup in its place, on a new device or on the old one, which is to be stopped."
        " A file that is damaged or none of ours is refused, and so is one whose device is still at the"
        " broker. At the end it prints the commands that are left to type. Programs come along, such as"
        " hooks and drop-ins: restore none that somebody else has made.",
    )
    restore.add_argument("file", type=Path, metavar="FILE")
    restore.add_argument(
        "--yes", action="store_true", help="replace a key with which phones are paired here"
    )
    restore.add_argument(
        "--twin", action="store_true", help="though a device with this key is at the broker"
    )
    _passphrase(restore)
    _config(restore)
    restore.set_defaults(run=_restore)

    setup = commands.add_parser(
        "setup",
        help="asks for pins, camera and sound, tries them, and writes them down",
        description="At a terminal: shows what there is, lets each button be pressed to learn its pin, an"
        " LED blink, a tone sound, the microphone listen, and writes conf.d/50-setup.toml once all of it is"
        " known to be right. With any of the answers it asks nothing. The appliance is to be stopped.",
    )
    setup.add_argument("--id", help="of the device, its name at the broker")
    setup.add_argument("--name", help="of the device, for people")
    setup.add_argument(
        "--button", action="append", default=[], metavar="NAME=PIN[:ACTION]", help="repeatable"
    )
    setup.add_argument("--led", action="append", default=[], metavar="NAME=PIN", help="repeatable")
    setup.add_argument(
        "--relay", action="append", default=[], metavar="NAME=PIN", help="repeatable"
    )
    setup.add_argument("--camera", metavar="DEVICE", help="number, model or id; test-card")
    setup.add_argument("--playback", metavar="DEVICE", help="ALSA's name of the loudspeaker")
    setup.add_argument("--capture", metavar="DEVICE", help="ALSA's name of the microphone")
    setup.add_argument("--receiver", metavar="WHOM", help="the bell rings: user:<uid>, group:<id>")
    setup.add_argument("--pin-factory", metavar="FACTORY", help="how pins are reached")
    setup.add_argument(
        "--replace", action="store_true", help="overrule keys that were set by hand elsewhere"
    )
    _config(setup)
    setup.set_defaults(run=lambda options: _setup(options, checks()))

    first = commands.add_parser(
        "first-start",
        help="make a device that nobody has configured ready for its first phone",
        description="Lay out a broker on this machine with an account for the device, and serve the page to"
        " the house, both with an authority of the device's own. Once: where anything of it is configured,"
        " nothing is changed. An image does it at its first start, before the broker and the appliance.",
    )
    first.add_argument("--host", help="the machine's name in the network, without .local")
    _config(first)
    first.set_defaults(run=_first_start)

    card = commands.add_parser(
        "card",
        help="take name, time zone and Wi-Fi from the card's first partition",
        description="Take door.txt (the machine's name, its time zone, its Wi-Fi) and *.nmconnection from a"
        " folder that any computer can write, and remove them there. What has faults stays, and"
        " door-faults.txt beside it says which. An image does it at each start.",
    )
    card.add_argument("folder", type=Path, metavar="FOLDER")
    card.add_argument("--etc", type=Path, default=Path("/etc/appliance"), metavar="FOLDER")
    card.add_argument(
        "--connections",
        type=Path,
        default=Path("/etc/NetworkManager/system-connections"),
        metavar="FOLDER",
        help="of NetworkManager",
    )
    card.set_defaults(run=_card)

    welcome = commands.add_parser(
        "welcome",
        help="invite the first phone of a device that has none, until it has come",
        description="Show three invitations, one after the other, on this device's console, in the log and"
        " on its screen, and three more whenever the bell is pressed, until a phone is paired. Where one"
        " is, it ends at once. systemd starts it.",
    )
    welcome.add_argument("--name", default="Owner", help="of the person whose phone it will be")
    welcome.add_argument(
        "--terminal",
        type=Path,
        action="append",
        default=[],
        metavar="TTY",
        help="such as /dev/tty1; repeatable",
    )
    welcome.add_argument(
        "--hours", type=float, default=24.0, help="after which it ends all the same (24)"
    )
    welcome.set_defaults(run=_welcome)


def _passphrase(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--passphrase-file", type=Path, metavar="FILE", help="which holds it; else it is asked for"
    )


def _config(parser: ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="else /etc/appliance/…")


def _report(options: Namespace, checks: Sequence[Check]) -> int:
    from appliance.owner.places import places
    from appliance.owner.report import report

    return report(places(options.config, os.environ), checks, options.file)


def _backup(options: Namespace) -> int:
    from appliance.owner.backup import backup
    from appliance.owner.places import places

    where = places(options.config, os.environ)
    return backup(where, options.file, calls=options.calls, passphrase_file=options.passphrase_file)


def _restore(options: Namespace) -> int:
    from appliance.owner.places import places
    from appliance.owner.restoring import restore

    return restore(
        places(options.config, os.environ),
        options.file,
        passphrase_file=options.passphrase_file,
        yes=options.yes,
        twin=options.twin,
    )


def _setup(options: Namespace, checks: Sequence[Check]) -> int:
    from appliance.owner.places import places
    from appliance.owner.setup import Answers, set_up

    answers = Answers(
        id=options.id,
        name=options.name,
        pin_factory=options.pin_factory,
        buttons=tuple(options.button),
        leds=tuple(options.led),
        relays=tuple(options.relay),
        camera=options.camera,
        playback=options.playback,
        capture=options.capture,
        receiver=options.receiver,
    )
    where = places(options.config, os.environ)
    return set_up(where, checks, answers, replace=options.replace)


def _welcome(options: Namespace) -> int:
    from appliance.owner.welcome import Welcome

    return Welcome(options.name, options.hours * 3600.0, tuple(options.terminal)).run()


def _first_start(options: Namespace) -> int:
    import socket

    from appliance.owner.first_start import FirstStart
    from appliance.owner.places import places

    host = options.host or socket.gethostname().lower().partition(".")[0]
    return FirstStart(places(options.config, os.environ), host).run()


def _card(options: Namespace) -> int:
    from appliance.errors import ApplianceError
    from appliance.owner.card import Taken

    try:
        return Taken(options.etc, options.connections).take(options.folder)
    except OSError as error:
        where = error.filename or options.folder
        raise ApplianceError(f"{where}: {error.strerror}") from None
