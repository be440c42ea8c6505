"""`appliance pair`: an invitation as somebody at the terminal sees it, and what became of it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from appliance.client import Client
from appliance.errors import ApplianceError
from appliance.invitation import link_of, qr_code
from appliance.owner.first_start import is_ours

PAIRED, NOT_PAIRED = 0, 1


def pair(
    name: str,
    *,
    may: Sequence[str] | None,
    expires_s: float | None,
    page: str | None,
    password_file: Path | None,
) -> int:
    """Invite, show, wait; the exit status. Raises ApplianceError, and KeyboardInterrupt when taken back."""
    password = None if password_file is None else _password(password_file)
    wanted = {"name": name, "may": may, "expires_s": expires_s}
    with Client() as client:
        made = client.ask(pair=wanted)
        invitation = made["invitation"]
        if password is not None:
            invitation = {**invitation, "password": password}
        address = page or made["page"]
        if address is None:
            why = f" ({made['page_error']})" if made["page_error"] else ""
            raise ApplianceError(
                f"the page is not served{why}; where a phone finds it, say with --page"
            )
        try:
            _show(made, invitation, address)
            outcome = client.outcome()
        except KeyboardInterrupt:
            _say("\nTaken back: the invitation is good no more.")
            raise
    _say(_sentence(outcome, made))
    return PAIRED if outcome["outcome"] == "paired" else NOT_PAIRED


def _show(made: Mapping[str, Any], invitation: Mapping[str, Any], page: str) -> None:
    link = link_of(page, invitation)
    who = f"one more phone of {invitation['name']}" if made["known"] else invitation["name"]
    _say(f"{made['device']} invites {who} ({_rights(made['may'])}).")
    if page == made["page"] and (trust := to_trust(made["authority"])):
        _say(f"\n{trust}\n")
    if sys.stdout.isatty():
        code = qr_code(link, shutil.get_terminal_size().columns)
        if code is not None:
            _say(f"Scan this with the phone, or open the link below in its browser.\n\n{code}")
        else:
            _say(
                "Open the link below in the phone's browser. A wider window shows it as a code, too."
            )
    _say(f"\n{link}\n")
    own = made["authority"] is not None
    for warning in warnings_of(page, str(invitation["websocket_url"]), own=own):
        _say(f"note: {warning}")
    _say(
        f"It is good once, for {_time(made['expires_s'])}: whoever opens it first is"
        f" {invitation['name']}.\nWaiting for the phone. Ctrl-C takes the invitation back."
    )


def to_trust(authority: Mapping[str, str] | None) -> str | None:
    """What a phone has to do first, where the page's certificate is of this device's own authority."""
    if authority is None:
        return None
    return (
        "First, once for each phone: it has to trust this device. Open on it, past the browser's warning,\n"
        f"  {authority['url']}\n"
        "and install that as a CA certificate. It is the right one where its SHA-256 fingerprint is\n"
        f"  {authority['sha256']}"
    )


def warnings_of(page: str, websocket_url: str, *, own: bool = False) -> list[str]:
    """What will keep a phone from it, as far as the addresses tell; `own`: the page has a certificate of
    this device's own authority.
    """
    here_only = "works on this machine only"
    warnings = []
    if _is_here_only(page):
        warnings.append(
            f"{page} {here_only}. For phones, whose browsers give the microphone where there is https:"
            ' [http] host = "0.0.0.0", port = 8443, a restart, and pair again; or --page.'
        )
    elif urlsplit(page).scheme != "https":
        warnings.append(
            "a browser makes keys, and gives the microphone, only where there is https."
        )
    if _is_here_only(websocket_url) and not _is_here_only(page):
        warnings.append(f"the broker's {websocket_url} {here_only}: see [mqtt] websocket_url.")
    elif own and urlsplit(websocket_url).scheme == "wss" and not is_ours(websocket_url):
        warnings.append(
            f"the phone has to trust the broker's certificate at {websocket_url} as well."
        )
    return warnings


def _is_here_only(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def _sentence(outcome: Mapping[str, Any], made: Mapping[str, Any]) -> str:
    name, device = outcome["name"], made["device"]
    match outcome["outcome"]:
        case "paired":
            return (
                f"Paired: {name}'s phone and {device} know one another. {_rights(outcome['may'])}\n"
                f"Lost it? appliance contacts revoke {outcome['uid']}/{outcome['kid'][:8]}"
            )
        case "expired":
            return "Nobody came in time: the invitation is good no more."
        case "guessed":
            return (
                "Somebody without the secret tried it five times: the invitation is good no more."
            )
        case "failed":
            return f"The phone came, but {outcome['why']}. The invitation is good no more."
        case _:
            return "The invitation was taken back."


def _rights(may: Sequence[str]) -> str:
    return f"may: {', '.join(may)}" if may else "may nothing yet"


def _time(seconds: float) -> str:
    for length, unit in ((3600, "hour"), (60, "minute")):
        if seconds >= length and seconds % length == 0:
            count = int(seconds // length)
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    return f"{seconds:g} seconds"


def _password(file: Path) -> str:
    try:
        return file.read_text("utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ApplianceError(f"the password cannot be read from {file}: {error}") from None


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
