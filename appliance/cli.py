"""The command line. Each subcommand imports what it needs when it runs: a client has to be quick."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance import __version__
from appliance.errors import ApplianceError, ConfigError, did_you_mean

if TYPE_CHECKING:
    from appliance.loading.findings import Check

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
EX_CONFIG = 78
"""sysexits(3): something in the configuration; systemd shows it, and does not try again."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; the process's exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if "run" not in options:
        parser.print_help()
        return USAGE
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except ApplianceError as error:
        return _complain(error)
    except BaseExceptionGroup as group:  # the daemon's parts fail together, for one reason
        _, unexpected = group.split(ApplianceError)
        if unexpected is not None:
            raise
        return max(_complain(error) for error in _leaves(group))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # whoever read our output has enough; Python would complain again when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    return status


def _complain(error: BaseException) -> int:
    """Print what went wrong as sentences; the exit status that it deserves."""
    if isinstance(error, ConfigError):
        print(error, file=sys.stderr)  # each fault begins with its file
        return EX_CONFIG
    print(f"appliance: {error}", file=sys.stderr)
    return FAILED


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="appliance", description="A calling appliance: doorbell, intercom, video calls."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="subcommands", metavar="SUBCOMMAND")

    demo = commands.add_parser("demo", help="try everything on this computer, in a browser")
    demo.add_argument("--port", type=_port, default=8080, help="of the web page (8080)")
    demo.add_argument("--no-browser", action="store_true", help="only print the page's address")
    demo.set_defaults(run=_demo)

    run = commands.add_parser("run", help="the daemon, as systemd starts it")
    run.add_argument(
        "--config", type=Path, metavar="FILE", help="else /etc/appliance/appliance.toml"
    )
    run.set_defaults(run=_run)

    release = commands.add_parser(
        "release",
        help="drive every relay and LED to rest, after a daemon that died",
        description="Drive every relay, LED and buzzer to rest. It needs no daemon, and works with a"
        " configuration that has faults; systemd runs it when the daemon has ended, however it did.",
    )
    release.add_argument("--config", type=Path, metavar="FILE", help="else /etc/appliance/…")
    release.set_defaults(run=_release)

    check = commands.add_parser("check-config", help="every fault of a configuration in one go")
    check.add_argument("file", type=Path, nargs="?", metavar="FILE", help="else /etc/appliance/…")
    check.set_defaults(run=_check_config)

    doctor = commands.add_parser(
        "doctor", help="look at every device, the broker, clock and files; advice for each fault"
    )
    doctor.add_argument(
        "--config", type=Path, metavar="FILE", help="else /etc/appliance/appliance.toml"
    )
    doctor.add_argument("--json", action="store_true", help="print it as one JSON document")
    doctor.set_defaults(run=_doctor)

    status = commands.add_parser("status", help="the running appliance's state, as JSON")
    status.set_defaults(run=_status)

    events = commands.add_parser(
        "events",
        help="what happened, as JSON Lines",
        description="Print the latest events (200 at most) and end; with --follow, only what happens"
        " from now on, until Ctrl-C.",
    )
    events.add_argument("--follow", "-f", action="store_true", help="print events as they happen")
    events.add_argument(
        "--type", action="append", metavar="GLOB", help="only these, such as 'call_*'; repeatable"
    )
    events.add_argument(
        "--catalog", action="store_true", help="print the vocabulary as one JSON document instead"
    )
    events.set_defaults(run=_events)

    calls = commands.add_parser("calls", help="who rang and what came of it, as JSON Lines")
    calls.add_argument("--limit", type=_count_of_calls, default=50, metavar="N", help="newest (50)")
    calls.set_defaults(run=_calls)

    ctl = commands.add_parser(
        "ctl", help="give the running appliance a command; without one, list them"
    )
    ctl.add_argument("command", nargs="?", metavar="COMMAND")
    ctl.add_argument("arguments", nargs="*", metavar="ARG=VALUE")
    ctl.set_defaults(run=_ctl)

    press = commands.add_parser("press", help="press a button of the simulated board")
    press.add_argument("button", metavar="BUTTON", help="its name in the configuration")
    press.add_argument("--gesture", choices=("press", "double_press", "hold"), default="press")
    press.set_defaults(run=_press)

    contacts = commands.add_parser(
        "contacts",
        help="who may what, with which keys; revoke a lost phone",
        description="Without more, or with list: every contact as JSON Lines, with rights, keys and when"
        " each was last seen. revoke NAME/KEY refuses a key from now on (the beginning of its kid is"
        " enough), revoke NAME all of the contact, until it is paired anew; their calls end. Where no"
        " appliance runs it works on the file.",
    )
    contacts.add_argument("action", nargs="?", choices=("list", "revoke"), default="list")
    contacts.add_argument("who", nargs="?", metavar="NAME[/KEY]", help="to be revoked")
    contacts.add_argument(
        "--config", type=Path, metavar="FILE", help="where none runs; else /etc/appliance/…"
    )
    contacts.set_defaults(run=_contacts)

    pair = commands.add_parser(
        "pair",
        help="invite a person's phone: a code to scan, and a link",
        description="Show once an invitation for a phone, and wait until it has paired. NAME is somebody"
        " new, or a contact who gets one more phone. Ctrl-C takes the invitation back.",
    )
    pair.add_argument("name", metavar="NAME", help="of the person, such as Alice")
    pair.add_argument(
        "--may",
        metavar="RIGHT,..",
        help="of call, answer, view, unlock, moderate; else what a contact may already, and for somebody"
        " new: call,answer",
    )
    pair.add_argument(
        "--expires", type=_duration_s, metavar="10m", help="how long it is good: 90s, 10m, 1h (10m)"
    )
    pair.add_argument(
        "--page", metavar="URL", help="of the page, where the phone finds it elsewhere"
    )
    pair.add_argument(
        "--password-file", type=Path, metavar="FILE", help="the person's password at the broker"
    )
    pair.set_defaults(run=_pair)

    erase = commands.add_parser(
        "erase",
        help="delete for good what the device keeps of people",
        description="Delete the call log and its pictures, recordings, paired contacts and what was"
        " switched, once somebody has said yes; with --keys the device's own keys too, after which every"
        " phone is paired anew. The appliance is to be stopped first.",
    )
    erase.add_argument("--keys", action="store_true", help="the device's keys as well")
    erase.add_argument("--yes", action="store_true", help="do not ask")
    erase.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="which says where things lie; else /etc/appliance/…",
    )
    erase.set_defaults(run=_erase)

    broker = commands.add_parser(
        "broker",
        help="a first mosquitto for a house: configuration, certificates, accounts",
        description="Make the files of a mosquitto with TLS, accounts and an ACL, and say who may"
        " log in at it.",
    )
    from appliance.broker.command import add_to

    add_to(broker)

    from appliance.owner.command import add_to as add_owner

    add_owner(commands, _edge_checks)

    update = commands.add_parser(
        "update",
        help="look for an update, make it, and say how the slots are",
        description="Of a device with two slots, as an image has them; a package is updated by apt.",
    )
    from appliance.updating.command import add_to as add_update

    add_update(update)

    version = commands.add_parser("version", help="the version")
    version.set_defaults(run=_version)
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text} is not a port: 1 to 65535")
    return int(text)


def _count_of_calls(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text} is no number of calls: 1 to 10000")
    return int(text)


def _duration_s(text: str) -> float:
    number, unit = text[:-1], text[-1:]
    if not number.isdecimal() or unit not in _UNITS_S or int(number) == 0:
        raise argparse.ArgumentTypeError(f"{text} is no time such as 90s, 10m or 1h")
    return float(int(number) * _UNITS_S[unit])


_UNITS_S = {"s": 1, "m": 60, "h": 3600}


# -------------------- the appliance itself


def _demo(options: argparse.Namespace) -> int:
    from appliance.demo import demo

    return demo(options.port, not options.no_browser)


def _run(options: argparse.Namespace) -> int:
    from appliance.config import load
    from appliance.service.journal import set_up

    set_up()
    config = load(options.config, os.environ, _edge_checks())
    from appliance import (
        daemon,
    )  # the slow import comes once the configuration is known to be right

    return daemon.run(config)


def _release(options: argparse.Namespace) -> int:
    from appliance.panel import safe
    from appliance.panel.pins import open_factory
    from appliance.state_directory import state_directory

    # what the dead one really drove, and only where that is not known what it should have
    driven = safe.noted(state_directory()) or safe.configured(options.config, os.environ)
    if not driven.outputs:
        return DONE
    factory = open_factory("pi", driven.factory)
    try:
        faults = safe.rest(driven.outputs, factory)
    finally:
        factory.close()
    for fault in faults:
        print(f"appliance: {fault}", file=sys.stderr)
    return FAILED if faults else DONE


def _check_config(options: argparse.Namespace) -> int:
    from appliance.loading.layers import DEFAULT_FILE
    from appliance.loading.reading import read

    _look_beside_the_daemon(options.file)
    reading = read(options.file, os.environ, _edge_checks())
    for warning in reading.warnings:
        print(f"warning: {warning}")
    for fault in reading.faults:
        print(fault)
    if reading.faults:
        print(f"{_count(len(reading.faults), 'fault')}: the appliance would not start with this")
        return EX_CONFIG
    warnings = f", {_count(len(reading.warnings), 'warning')}" if reading.warnings else ""
    print(f"{options.file or DEFAULT_FILE}: no faults{warnings}")
    return DONE


def _look_beside_the_daemon(file: Path | None) -> None:
    """Have this process look at what the daemon of this machine keeps: whom it knows, and its key."""
    from appliance.owner.places import beside_the_daemon

    os.environ.update(beside_the_daemon(file, os.environ))


def _edge_checks() -> list[Check]:
    """Those that only an edge can make."""
    from appliance.calls.effects import Sound
    from appliance.loading.checks import echo, patterns, prompts
    from appliance.media.echo import installed
    from appliance.panel.patterns import parse_pattern

    def length_s(file: Path) -> float:
        from appliance.media.sounds import length_s  # slow, and seldom needed

        return length_s(file)

    return [patterns(parse_pattern), echo(installed), prompts(length_s, list(Sound))]


def _doctor(options: argparse.Namespace) -> int:
    from appliance.checkup import check_up
    from appliance.service.doctor.findings import report, table

    _look_beside_the_daemon(options.config)
    findings = check_up(options.config, os.environ, _edge_checks())
    if options.json:
        _print_json(report(findings))
    else:
        print(table(findings))
    return DONE if report(findings)["ok"] else FAILED


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


# -------------------- its clients


def _status(_options: argparse.Namespace) -> int:
    from appliance.client import Client

    with Client() as client:
        _print_json(client.ask(status=True))
    return DONE


def _events(options: argparse.Namespace) -> int:
    if options.catalog:
        from appliance.catalog import catalog

        _print_json(catalog())
        return DONE
    from fnmatch import fnmatchcase

    from appliance.client import Client

    patterns = options.type or ["*"]
    with Client() as client:
        if options.follow:
            for event in client.events(*patterns):
                print(json.dumps(event, ensure_ascii=False), flush=True)
            raise ApplianceError("the appliance has ended")
        client.ask(subscribe=patterns)  # it knows the events, and refuses what matches none
        for event in client.ask(recent=True):
            name = event["type"].removeprefix("appliance.")
            if any(fnmatchcase(name, each.removeprefix("appliance.")) for each in patterns):
                print(json.dumps(event, ensure_ascii=False))
    return DONE


def _calls(options: argparse.Namespace) -> int:
    from appliance.client import Client

    with Client() as client:
        for call in client.ask(call_log=options.limit):
            print(json.dumps(call, ensure_ascii=False))
    return DONE


def _ctl(options: argparse.Namespace) -> int:
    from appliance.commands import COMMANDS, parse_command

    if options.command is None:
        _list_commands()
        return DONE
    if options.command not in COMMANDS:
        near = did_you_mean(options.command, COMMANDS)
        raise ApplianceError(f"there is no command {options.command}{near or _SEE_LIST}")
    given: dict[str, object] = {}
    for word in options.arguments:
        name, equals, value = word.partition("=")
        if not equals:
            usage = " ".join(f"{arg}=…" for arg in COMMANDS[options.command].arguments())
            raise ApplianceError(
                f"{word} is not ARG=VALUE: {options.command} {usage or 'has none'}"
            )
        given[name] = value
    try:
        command = parse_command(options.command, given, texts=True)
    except ValueError as error:
        raise ApplianceError(str(error)) from None
    from appliance.client import Client

    args = {name: getattr(command, name) for name in given}
    with Client() as client:
        result = client.ask(command=command.NAME, args=args)
    if result is None and sys.stdout.isatty():
        print("done")
    else:
        _print_json(result)
    return DONE


_SEE_LIST = "; `appliance ctl` lists them"


def _list_commands() -> None:
    from msgspec import structs

    from appliance.commands import COMMANDS

    for name, command in COMMANDS.items():
        words = [
            f"{argument.name}=…" if argument.required else f"[{argument.name}=…]"
            for argument in structs.fields(command)
        ]
        print(" ".join([name, *words]))
        print(f"    {(command.__doc__ or '').splitlines()[0]}")


def _press(options: argparse.Namespace) -> int:
    from appliance.client import Client

    with Client() as client:
        client.ask(press=options.button, gesture=options.gesture)
    return DONE


def _contacts(options: argparse.Namespace) -> int:
    from appliance import addressbook

    if options.action == "list":
        if options.who is not None:
            raise ApplianceError(f"{options.who}: list takes no name; revoke does")
        for contact in addressbook.listed(options.config):
            print(json.dumps(contact, ensure_ascii=False))
        return DONE
    if options.who is None:
        raise ApplianceError("revoke whom? NAME, or NAME/KEY; `appliance contacts` lists them")
    uid, _, key = options.who.partition("/")
    revoked = addressbook.revoke(options.config, uid, key or None)
    for kid in revoked:
        print(f"{kid} of {uid} is refused from now on")
    if not key:
        print(f"{uid} is nobody's contact any more, until it is paired anew")
    return DONE


def _erase(options: argparse.Namespace) -> int:
    from appliance.erasing import erase

    return erase(options.config, os.environ, keys=options.keys, yes=options.yes)


def _pair(options: argparse.Namespace) -> int:
    from appliance.pair import pair

    return pair(
        options.name,
        may=None if options.may is None else options.may.split(","),
        expires_s=options.expires,
        page=options.page,
        password_file=options.password_file,
    )


def _version(_options: argparse.Namespace) -> int:
    print(__version__)
    return DONE


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))
