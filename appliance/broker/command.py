"""`appliance broker`: a first broker for a house, or for one computer, and who may log in at it."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from time import sleep as pause
from typing import TYPE_CHECKING, TypeVar

from appliance.broker.places import CONFIGURATION, FOLDER, PID_FILE
from appliance.errors import ApplianceError

if TYPE_CHECKING:
    from appliance.broker.house import House

T = TypeVar("T")
NOBODY_TOLD = "No running mosquitto was found: it is told when it starts."
AGAIN_S = 2.0
"""mosquitto forgets what it is told while it reads its accounts (2.0.21), so who is told of two after each
other may know the first alone. Then it is told once more."""


def add_to(parser: ArgumentParser) -> None:
    """What `appliance broker` takes."""
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"of the broker ({FOLDER})")
    parser.add_argument("--pid-file", type=Path, help=f"of a running mosquitto ({PID_FILE})")
    what = parser.add_subparsers(title="what", metavar="WHAT", required=True)

    new = what.add_parser("new", help="configuration, ACL, authority and certificate of a broker")
    where = new.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--host", action="append", help="of a house: its name or address; repeatable"
    )
    where.add_argument(
        "--local",
        nargs="+",
        metavar="NAME",
        help="for this computer alone, on loopback: who has an account, as NAME.password in the folder",
    )
    new.add_argument(
        "--device", default="front-door", help="whose commands the automation may give"
    )
    new.add_argument("--root", default="appliance", help="the first level of every topic")
    new.set_defaults(run=_new)

    account = what.add_parser("account", help="a password for a device, a person, an automation")
    account.add_argument("name", metavar="NAME")
    account.add_argument("--to", type=Path, metavar="FILE", help="write it there, mode 0600")
    account.set_defaults(run=_account)

    certificate = what.add_parser("certificate", help="a certificate instead, as NAME.crt and .key")
    certificate.add_argument("name", metavar="NAME")
    certificate.add_argument("--to", type=Path, metavar="FOLDER", default=Path())
    certificate.set_defaults(run=_certificate)

    remove = what.add_parser("remove", help="take password and certificates away again")
    remove.add_argument("name", metavar="NAME")
    remove.set_defaults(run=_remove)

    pages = what.add_parser(
        "pages", help="take the page's certificate anew, where pages meet it at the broker"
    )
    pages.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="with the certificate and its key; ca.crt beside it is to have signed it",
    )
    pages.add_argument(
        "--changed", type=Path, metavar="FILE", help="to be made where it was another one"
    )
    pages.set_defaults(run=_pages)

    accounts = what.add_parser("accounts", help="answer one request of a device, at a socket")
    accounts.set_defaults(run=_accounts)


def _new(options: Namespace) -> int:
    house = _house(options)
    if options.local:
        return _new_local(house, options)
    _writing(lambda: house.new(options.host, device=options.device, root=options.root))
    folder = house.folder
    _say(
        f"A broker's files are in {folder}. What is left to do:\n"
        f"  sudo ln -s {folder / CONFIGURATION} /etc/mosquitto/conf.d/\n"
        f"  sudo appliance broker account {options.device} --to /etc/credstore/appliance.mqtt.password\n"
        "  sudo systemctl restart mosquitto\n"
        f'  in the device\'s configuration: [mqtt] host = "{options.host[0]}", port = 8883,\n'
        f"  ca_file = a copy of {folder / 'ca.crt'},\n"
        '  password_file = "$CREDENTIALS_DIRECTORY/mqtt.password", which the unit makes of the file of\n'
        f"  above (without systemd: the file itself),\n"
        f'  websocket_url = "wss://{options.host[0]}:8884/"\n'
        f"Phones have to trust ca.crt. {folder / 'ca.key'} signs for all of them: keep it to yourself."
    )
    return 0


def _new_local(house: House, options: Namespace) -> int:
    names, device, root = options.local, options.device, options.root
    files = _writing(lambda: house.new_local(names, device=device, root=root))
    if house.reload(options.pid_file):
        _say("The broker that runs has read its accounts anew.")
        return 0
    of_device = files.get(device, files[names[0]])
    _say(
        f"A broker's files are in {house.folder}: it listens on this computer alone. What is left to do:\n"
        f"  /usr/sbin/mosquitto -c {house.folder / CONFIGURATION}\n"
        f'  in the device\'s configuration: [mqtt] password_file = "{of_device}",\n'
        '  websocket_url = "ws://localhost:8083/"\n'
        "Who is paired needs an account too:\n"
        f"  appliance pair {names[-1]} --password-file {files[names[-1]]}"
    )
    return 0


def _account(options: Namespace) -> int:
    from appliance.whole_file import private_folder, write_whole

    house = _house(options)
    if options.to is not None:  # before anything is changed
        _writing(lambda: private_folder(options.to.parent))
    password = _writing(lambda: house.make(options.name))
    if options.to is None:
        _say(password)
    else:
        _writing(lambda: write_whole(options.to, f"{password}\n".encode()))
    if (
        not house.reload(options.pid_file) and options.to is not None
    ):  # else only a password is said
        _say(NOBODY_TOLD)
    return 0


def _certificate(options: Namespace) -> int:
    files = _writing(lambda: _house(options).certify(options.name, options.to))
    for file in files:
        _say(str(file))
    return 0


def _remove(options: Namespace) -> int:
    house = _house(options)
    if not _writing(lambda: house.remove(options.name)):
        raise ApplianceError(f"{options.name} has no account and no certificate")
    if not house.reload(options.pid_file):
        _say(NOBODY_TOLD)
    return 0


def _pages(options: Namespace) -> int:
    from appliance.broker.pages import read_of
    from appliance.trust.authority import CERTIFICATE_FILE
    from appliance.whole_file import write_whole

    house = _house(options)
    pem = _writing(lambda: read_of(options.file))
    authority = _writing(lambda: read_of(options.file.with_name(CERTIFICATE_FILE)))
    if _writing(lambda: house.renew_pages(pem, authority)):
        if options.changed is not None:
            _writing(lambda: write_whole(options.changed, b""))
        told = house.reload(options.pid_file)
        _say(f"Pages meet a new certificate at the broker{'' if told else ', once it is started'}.")
    return 0


def _accounts(options: Namespace) -> int:
    from appliance.broker.handing_out import MAX_REQUEST, HandedOut

    house = _house(options)
    told: list[bool] = []
    handed_out = HandedOut(house, lambda: told.append(house.reload(options.pid_file)))
    request = sys.stdin.buffer.readline(MAX_REQUEST)
    sys.stdout.buffer.write(handed_out.answer(request))
    sys.stdout.buffer.flush()
    if any(told):
        pause(AGAIN_S)
        house.reload(options.pid_file)
    return 0


def _house(options: Namespace) -> House:
    from appliance.broker.house import House  # slow: it brings certificates along

    house = House(options.folder)
    _writing(house.belong)  # what an earlier version gave to others
    return house


def _writing(what: Callable[[], T]) -> T:
    """Do it; what the disk says against it becomes a sentence."""
    try:
        return what()
    except OSError as error:
        raise ApplianceError(f"{error.filename or 'the disk'}: {error.strerror}") from None


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
