"""Inviting a person's phone: who it is for, what it may, an account at the broker, and what came of it.

It joins the contacts, the open invitations of signaling, and whoever makes accounts; the local socket
asks it. Laws: whoever has no key keeps no account beyond the invitation that it was made for, and what
anybody may see on a screen gives no more than the usual rights.
"""

from __future__ import annotations

import asyncio
import logging
import shlex
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from appliance.config import Contact, Device, Mqtt
from appliance.errors import Refused, did_you_mean
from appliance.invitation import VERSION, link_of, uid_of
from appliance.model import Right
from appliance.signaling.pairing import Ending, Invitation, Pairing
from appliance.trust.contacts import Contacts
from appliance.trust.keys import DeviceKey, encoded

log = logging.getLogger(__name__)

USUAL_RIGHTS = (Right.CALL, Right.ANSWER)
"""Of somebody new, where nothing else is said: a member of the household who talks, and opens nothing."""
USUAL_S, LONGEST_S = 600.0, 24 * 3600.0
MAX_NAME = 64


class Accounts(Protocol):
    """Who may log in at the broker, where this device can say so; it does what is asked first, first."""

    async def make(self, uid: str) -> str | None:
        """The password of a new account, or again of one that was made so; None where none is needed.

        Raises Refused where there is none to be had.
        """

    async def remove(self, uid: str) -> None:
        """Take it back: nobody came. What was made by hand stays; the next that is made is another."""


class NoAccounts:
    """Accounts are made by others, or the broker asks for none."""

    async def make(self, uid: str) -> str | None:
        """None."""
        del uid
        return None

    async def remove(self, uid: str) -> None:
        """Nothing."""
        del uid


@dataclass(frozen=True, slots=True)
class Page:
    """Where a phone finds the page; without a `url` it is not served, and `why` may say why not.

    `authority` is what a phone has to trust first, where the page's certificate is of this device's own:
    `url` of the authority's certificate, and its fingerprint, `sha256`, as hexadecimal pairs.
    """

    url: str | None
    authority: Mapping[str, str] | None = None
    why: str | None = None


async def _no_page() -> Page:
    return Page(None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an invitation ended: `kid` of the key where it was paired, else a sentence in `why`."""

    outcome: Ending
    uid: str
    name: str
    may: tuple[Right, ...] = ()
    kid: str | None = None
    why: str | None = None

    def told(self) -> dict[str, Any]:
        """As the local socket tells it."""
        return {
            "outcome": self.outcome,
            "uid": self.uid,
            "name": self.name,
            "may": list(self.may),
            "kid": self.kid,
            "why": self.why,
        }


class Invited:
    """One open invitation; whoever asked for it waits for `outcome`, or takes it back."""

    def __init__(self, told: Mapping[str, Any], outcome: asyncio.Future[Outcome]) -> None:
        """`told` is what whoever asked is told, the secret included."""
        self.told = told
        self._outcome = outcome
        self._withdraw: Callable[[], None] = lambda: None

    async def outcome(self) -> Mapping[str, Any]:
        """How it ended, once it has. Given up, it withdraws the invitation."""
        try:
            return (await self._outcome).told()
        finally:
            self.withdraw()

    def withdraw(self) -> None:
        """It is good no more; nothing happens where it was not."""
        self._withdraw()

    def may_be_withdrawn_by(self, withdraw: Callable[[], None]) -> None:
        """What takes it back."""
        self._withdraw = withdraw


class Inviting:
    """Makes invitations; one for each device. An async context manager: its end withdraws all."""

    def __init__(
        self,
        device: Device,
        mqtt: Mqtt,
        key: DeviceKey,
        contacts: Contacts,
        pairing: Pairing,
        *,
        configured: Mapping[str, Contact] | None = None,
        groups: Iterable[str] = (),
        page: Callable[[], Awaitable[Page]] = _no_page,
        websocket_url: str | None = None,
        accounts: Accounts | None = None,
        screen: Callable[[str | None], None] = lambda _: None,
    ) -> None:
        """`configured` are the contacts of the configuration; `page` opens the page where it is not open;
        `websocket_url` is where it finds the broker, else [mqtt]; `screen` shows a link as a code, None
        none any more.
        """
        self._device, self._mqtt, self._key = device, mqtt, key
        self._contacts, self._pairing = contacts, pairing
        self._configured = configured or {}
        self._groups = frozenset(groups)
        self._page = page
        self._websocket_url = websocket_url or mqtt.websocket_url
        self._accounts = accounts or NoAccounts()
        self._screen = screen
        self._on_screen: object = None
        self._tasks = asyncio.TaskGroup()
        self._newcomers: dict[str, str] = {}
        """The names of those who are invited, and are no contacts yet, by uid."""
        self._invited: Counter[str] = Counter()
        """How many invitations of each uid want its account."""

    async def __aenter__(self) -> Inviting:
        await self._tasks.__aenter__()
        follow, barred = self._pairing.invitations.follow, self._contacts.barred
        self._unwatch = self._contacts.watch(lambda _: follow(barred))
        return self

    async def __aexit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._unwatch()
        self._pairing.invitations.withdraw_all()
        await self._tasks.__aexit__(None, None, None)

    async def invite(
        self,
        name: str,
        may: Sequence[str] | None = None,
        lasts_s: float | None = None,
        *,
        on_screen: bool = False,
    ) -> Invited:
        """Open an invitation for a person, new or known, who may what is said here. Raises Refused.

        With `on_screen` it is shown there as long as it is good, to whoever comes by: it is refused where
        it would give more than the usual rights.
        """
        asked = None if may is None else rights_of(may)
        lasts_s = USUAL_S if lasts_s is None else lasts_s
        if not 0 < lasts_s <= LONGEST_S:
            raise Refused("bad_expiry", f"an invitation is good for {LONGEST_S:g} s at most")
        if self._websocket_url is None:
            sentence = "a phone would not find the broker: set [mqtt] websocket_url"
            raise Refused("no_websocket", sentence)
        self._asked_for(
            name, asked, on_screen
        )  # what cannot be is refused before a page is opened for it
        page = await self._page()
        uid, shown, known, rights = self._asked_for(name, asked, on_screen)
        if known is None:
            if uid in self._newcomers:
                sentence = f"{shown} is invited already: one phone first, then the others"
                raise Refused("invited", sentence)
            self._newcomers[uid] = shown
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Outcome] = loop.create_future()

        def end(how: Ending, what: str) -> None:
            expiry.cancel()
            if self._on_screen is ended:
                self._on_screen = None
                self._screen(None)
            if not ended.done():
                ended.set_result(self._outcome(how, what, uid, shown))
            self._release(uid)

        invitations = self._pairing.invitations
        try:
            password = await self._account(uid, known)
            one = invitations.issue(
                uid,
                shown,
                rights,
                lasts_s=lasts_s,
                now_s=loop.time(),
                ended=end,
                barred=self._contacts.barred(uid),
            )
        except BaseException:  # whoever asked may have gone away meanwhile, too
            self._release(uid)
            raise
        expiry = loop.call_at(one.expires_s, self._expire)
        told = {
            "invitation": self._words(one, password),
            "page": page.url,
            "page_error": page.why,
            "authority": page.authority,
            "device": self._device.name,
            "may": list(rights),
            "known": known is not None,
            "expires_s": lasts_s,
        }
        invited = Invited(told, ended)
        if on_screen and page.url is not None:
            self._on_screen = ended
            self._screen(link_of(page.url, self._words(one, password)))
        invited.may_be_withdrawn_by(lambda: invitations.end(one, "withdrawn"))
        return invited

    def _asked_for(
        self, name: str, asked: tuple[Right, ...] | None, on_screen: bool
    ) -> tuple[str, str, Contact | None, tuple[Right, ...]]:
        """Whom it means, by uid and name, as what they are known, and what they may. Raises Refused."""
        uid, shown = self._who(name)
        known = self._contacts.of(uid)
        rights = self._rights(uid, known, asked)
        if on_screen and (more := [right for right in rights if right not in USUAL_RIGHTS]):
            sentence = (
                f"{shown} may {' and '.join(more)} too, which no code gives that anybody may see: who is"
                f" logged in types `appliance pair {shlex.quote(name)}`"
            )
            raise Refused("not_on_screen", sentence)
        return uid, shown, known, rights

    async def _account(self, uid: str, known: Contact | None) -> str | None:
        """A password for the phone; who is known may have one by other hands. Raises Refused.

        It is one that nobody was shown before, except where a phone has it or is just being invited.
        """
        is_anew = not self._is_wanted(uid)
        self._invited[uid] += 1
        if is_anew:  # the last one's may be left: this program was ended, or the power failed
            await self._accounts.remove(uid)
        try:
            return await self._accounts.make(uid)
        except Refused as fault:
            if known is None:
                raise
            log.info("the phone of %s has to be told its password: %s", uid, fault)
            return None

    def _is_wanted(self, uid: str) -> bool:
        """Whether an account of it is somebody's: a phone's, or an invitation's."""
        return bool(self._invited[uid] or self._contacts.keys_of(uid))

    def _release(self, uid: str) -> None:
        """One of its invitations is over, or was none after all."""
        self._newcomers.pop(uid, None)
        self._invited[uid] -= 1
        if not self._is_wanted(uid):
            del self._invited[uid]
            self._tasks.create_task(self._accounts.remove(uid), name="account-removal")

    def _expire(self) -> None:
        self._pairing.invitations.expire(asyncio.get_running_loop().time())

    def _who(self, name: str) -> tuple[str, str]:
        """Whom a name means, as uid and name: a contact that has it, by either, or somebody new."""
        shown = " ".join(name.split())
        if not shown or len(shown) > MAX_NAME or not shown.isprintable():
            raise Refused("bad_name", f"a name has 1 to {MAX_NAME} letters")
        if shown == self._device.id:
            raise Refused("bad_name", f"{shown} is this device itself")
        contacts = self._contacts.all()
        if shown in contacts:
            return shown, contacts[shown].name or shown
        named = [uid for uid, one in contacts.items() if (one.name or "").lower() == shown.lower()]
        if len(named) > 1:
            raise Refused("ambiguous", f"{shown} is the name of {' and '.join(named)}: say which")
        if named:
            return named[0], contacts[named[0]].name or shown
        for uid, other in self._newcomers.items():
            if other.lower() == shown.lower():
                return uid, other
        taken = {*contacts, *self._newcomers, *self._groups, self._device.id}
        return uid_of(shown, taken), shown

    def _rights(
        self, uid: str, known: Contact | None, asked: tuple[Right, ...] | None
    ) -> tuple[Right, ...]:
        """What it will be allowed: the configuration has the last word, and nobody is told otherwise."""
        named = self._configured[uid].may if uid in self._configured else ()
        if named and asked is not None and set(asked) != set(named):
            sentence = f"the configuration says what {uid} may: [contacts.{uid}] may"
            raise Refused("configured", sentence)
        usual = known.may if known and known.may else USUAL_RIGHTS
        return tuple(named) or (tuple(usual) if asked is None else asked)

    def _words(self, one: Invitation, password: str | None) -> dict[str, Any]:
        """The invitation, as the phone reads it."""
        return {
            "v": VERSION,
            "root": self._mqtt.root,
            "device_id": self._device.id,
            "public_key": self._key.public,
            "websocket_url": self._websocket_url,
            "username": one.uid,
            "password": password,
            "uid": one.uid,
            "name": one.name,
            "secret": encoded(one.secret),
        }

    def _outcome(self, how: Ending, what: str, uid: str, name: str) -> Outcome:
        if how != "paired":
            return Outcome(how, uid, name, why=what or None)
        log.info("a phone of %s was paired: key %s", uid, what)
        may = tuple(right for right in Right if right in self._contacts.may(uid))
        return Outcome(how, uid, name, may, kid=what)


def rights_of(words: Iterable[str]) -> tuple[Right, ...]:
    """Rights by their names, in the order of the vocabulary. Raises Refused."""
    known = {right.value for right in Right}
    asked = set(words)
    for word in asked - known:
        raise Refused("bad_right", f"there is no right {word}{did_you_mean(word, known)}")
    return tuple(right for right in Right if right.value in asked)
