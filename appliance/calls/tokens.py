"""Tokens: a signed, expiring capability that lets one uid into one session without ringing.

`<host uid>.<call_id>.<session_id>.<uid>.<expiry>.<signature>`: what stands in front says to whom a join
goes. Only the host can check the signature: HMAC-SHA-256 (RFC 2104) with a key that it makes at each
start, over the rest. The expiry is in seconds of the host's monotonic clock, so that a wrong time of day
lets nobody in.
"""

from __future__ import annotations

import hashlib
import hmac
import math

from msgspec import Struct

from appliance.calls.call import LiveCall
from appliance.calls.turn import Turn
from appliance.commands import GenerateToken
from appliance.errors import Refused, did_you_mean
from appliance.model import Json, Right

EXPIRES_S_MAX = 7 * 24 * 3600.0
LENGTH_MAX = 512
_PARTS = 6


class Token(Struct, frozen=True):
    """What can be read of a token without the host's key."""

    host: str
    call_id: str
    session_id: str
    uid: str
    expires_s: float
    text: str


def generate(turn: Turn, command: GenerateToken) -> Json:
    """Make a token for a contact, for a session that is or that is to be."""
    policy = turn.policy
    known = {*policy.contacts, policy.uid}
    if command.uid not in known:
        near = did_you_mean(command.uid, known)
        raise Refused("unknown_uid", f"{command.uid} is no contact of this device{near}")
    if not 0 < command.expires_s <= EXPIRES_S_MAX:
        raise Refused("bad_expiry", f"expires_s is above 0 and at most {EXPIRES_S_MAX:.0f}")
    if not _is_id(command.session_id):
        raise Refused("bad_session_id", "a session_id is 32 to 64 of a-z, 0-9, _ and -")
    call = _call_of(turn, command.session_id)
    if call is not None and not turn.hosts(call):
        raise Refused("not_the_host", f"the host of this session is {call.host.uid}")
    if call is not None:
        turn.put(call, put_out=call.put_out - {command.uid})
    call_id = call.call_id if call else command.session_id
    expiry_s = math.ceil(turn.now.monotonic_s + command.expires_s)
    rest = f"{policy.uid}.{call_id}.{command.session_id}.{command.uid}.{expiry_s}"
    return {
        "token": f"{rest}.{_signature(turn, rest)}",
        "session_id": command.session_id,
        "call_id": call_id,
        "host": policy.uid,
        "expires_s": command.expires_s,
    }


def read(text: str) -> Token:
    """What stands in front of a token; raises Refused where it is none."""
    parts = text.split(".")
    if len(text) > LENGTH_MAX or len(parts) != _PARTS or not all(parts) or not _is_number(parts[4]):
        raise Refused("bad_token", "this is no token: host, call, session, uid, expiry, signature")
    return Token(parts[0], parts[1], parts[2], parts[3], float(parts[4][:15]), text)


def verify(turn: Turn, text: str) -> Token:
    """A token that this device made and that still holds; raises Refused."""
    token = read(text)
    rest, _, signature = text.rpartition(".")
    genuine = hmac.compare_digest(signature.encode(), _signature(turn, rest).encode())
    if token.host != turn.policy.uid or not genuine:
        raise Refused("bad_token", "this token was not made by this device since its last start")
    if turn.now.monotonic_s > token.expires_s:
        raise Refused("token_expired", "this token has expired")
    return token


def check(turn: Turn, call: LiveCall, uid: str, text: str | None) -> None:
    """Whether a token lets this uid into this session; raises Refused."""
    if text is None:
        raise Refused("no_token", f"{uid} wants to join without a token")
    token = verify(turn, text)
    if not turn.policy.may(uid, Right.CALL):
        raise Refused("not_allowed", f"{uid} has no right to join sessions of this device")
    if token.uid != uid:
        raise Refused("bad_token", f"{uid} wants to join with the token of {token.uid}")
    if token.session_id != call.session_id:
        raise Refused("bad_token", f"the token of {uid} is for another session")
    if uid in call.put_out:
        raise Refused("kicked_out", f"{uid} was put out of this session; a new token lets it in")


def _call_of(turn: Turn, session_id: str) -> LiveCall | None:
    return next((call for call in turn.state.calls if call.session_id == session_id), None)


def _signature(turn: Turn, rest: str) -> str:
    return hmac.new(turn.policy.token_key, rest.encode(), hashlib.sha256).hexdigest()


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _is_id(text: str) -> bool:
    return 32 <= len(text) <= 64 and all(
        one.isascii() and (one.islower() or one.isdigit() or one in "_-") for one in text
    )
