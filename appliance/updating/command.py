"""`appliance update`: look for an update, make it, and say how the slots are."""

from __future__ import annotations

import json
import os
import socket
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from appliance.errors import ApplianceError, Refused

SOCKET = Path("/run/appliance-update.sock")
DONE, FAILED = 0, 1


def add_to(parser: ArgumentParser) -> None:
    """What `appliance update` takes."""
    what = parser.add_subparsers(title="what", metavar="WHAT", required=True)
    source = "a file *.raucb or a URL of https; else [update] url of the configuration"

    check = what.add_parser("check", help="whether there is one that is newer, and for this device")
    check.add_argument("source", nargs="?", metavar="SOURCE", help=source)
    check.set_defaults(run=_ask, what="check", older=False)

    install = what.add_parser(
        "install",
        help="write it to the other slot, restart into it, keep it if it is well",
        description="It waits for the end of a call, writes the bundle to the slot that does not run,"
        " restarts into it once no call is on, and keeps it when the appliance is ready and nothing is"
        " worse than before; else the device comes back to what it had by itself.",
    )
    install.add_argument("source", nargs="?", metavar="SOURCE", help=source)
    install.add_argument(
        "--older", action="store_true", help="also one that is older; root's alone"
    )
    install.set_defaults(run=_ask, what="install")

    resume = what.add_parser(
        "resume", help="try what was written and not tried: power was lost between"
    )
    resume.set_defaults(run=_ask, what="resume", source=None, older=False)

    status = what.add_parser("status", help="which slot runs, and how the other is, as JSON")
    status.set_defaults(run=_status)

    # what units start
    what.add_parser("answer", help="answer one request, at a socket").set_defaults(run=_answer)
    what.add_parser("look", help="what the timer does").set_defaults(run=_look)
    what.add_parser("trial", help="judge what was just updated").set_defaults(run=_trial)


def _ask(options: Namespace) -> int:
    source = options.source
    if source is not None and "://" not in source:
        source = str(Path(source).resolve())
    request = {"what": options.what, "source": source, "older": options.older}
    for line in _answers(Path(os.environ.get("APPLIANCE_UPDATE_SOCKET", SOCKET)), request):
        match line:
            case {"say": str(sentence)}:
                _print(sentence)
            case {"done": {"version": version, "runs": runs, "given_up": given_up}}:
                _print(f"{version} is to be had; {runs} runs")
                if given_up:
                    _print("it was tried here, and left: `appliance update install` tries it anew")
                return DONE
            case {"done": _}:
                return DONE
            case {"error": {"code": str(code), "message": str(message)}}:
                raise Refused(code, message)
    raise ApplianceError("what makes updates has gone away")


def _answers(path: Path, request: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(str(path))
        except PermissionError:
            raise ApplianceError("updates are for root and the group appliance") from None
        except OSError:
            raise ApplianceError(
                "this system is not updated by bundles: nothing listens at"
                f" {path}. A package is updated by apt"
            ) from None
        connection.sendall(json.dumps(request).encode() + b"\n")
        for line in connection.makefile("rb"):
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                found = None
            if not isinstance(found, dict):
                raise ApplianceError("what answers about updates makes no sense")
            yield found


def _status(_options: Namespace) -> int:
    from appliance.updating.slots import NoSlots, told
    from appliance.updating.versions import running

    slots = told()
    if slots is None:
        raise NoSlots("this system has one slot only: it is updated as it was installed")
    _print(json.dumps({"version": running(), **slots.status()}, indent=2))
    return DONE


def _answer(_options: Namespace) -> int:
    from appliance.updating.answering import Answers, answer, asked_at, peer_is_root

    end = sys.stdin.fileno()
    answer(asked_at(end), Answers(sys.stdout.buffer), _url(), root=peer_is_root(end))
    return DONE


def _look(_options: Namespace) -> int:
    """Do by night what the configuration wants of it; nothing, where it names no place."""
    from appliance.config import load
    from appliance.updating import installing, slots

    update = load(None, os.environ, []).update
    if update.url is None or update.nightly == "off":
        return DONE
    bundle = installing.newest(update.url)
    if bundle is None:
        return DONE
    _print(f"{bundle.version} is to be had at {update.url}")
    if update.nightly == "install":
        if installing.given_up(bundle, slots.status()):
            _print("it was tried here, and left: it is not tried by itself again")
            return DONE
        installing.install(update.url, _print)
    return DONE


def _trial(_options: Namespace) -> int:
    from appliance.service.journal import set_up
    from appliance.updating import installing, slots, trial

    if not slots.status().trial:
        _print("what runs is not being tried")
        return DONE
    set_up()
    if trial.undergo(_print):
        return DONE
    installing.restart()
    return FAILED


def _url() -> str | None:
    """Where the configuration says that bundles are; a faulty one says nothing."""
    from appliance.config import load

    try:
        return load(None, os.environ, []).update.url
    except ApplianceError:
        return None


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
