"""A device that was used, as files: each by what writes it; and what a backup of it holds."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.owner import baggage, sealed
from appliance.owner.baggage import Packed
from appliance.owner.places import Places, places
from appliance.owner.sealed import Cost
from appliance.reporting.ledger import Ledger
from appliance.service.memory import Kept, Memory
from appliance.signaling.sequence import first_number
from appliance.trust.authority import Authority
from appliance.trust.contacts import Contacts
from appliance.trust.keys import DeviceKey

CHEAP = Cost(n=16, r=1, p=1)
PASSPHRASE = "a passphrase of many words"


@dataclass(frozen=True)
class Used:
    """Where it all lies."""

    places: Places
    broker: Path
    passphrase: Path
    phone: DeviceKey
    secret: str


def empty(folder: Path, *, etc: str = "appliance") -> Places:
    """A machine on which nothing was set up."""
    (folder / etc).mkdir(parents=True)
    (folder / "store").mkdir()
    environ = {
        "STATE_DIRECTORY": str(folder / "state"),
        "APPLIANCE_SOCKET": str(folder / "run" / "appliance.sock"),
    }
    return places(
        folder / etc / "appliance.toml",
        environ,
        credentials=folder / "no-credentials",
        credstore=folder / "store",
        root=folder / "root",
    )


async def device(folder: Path, *, etc: str = "appliance") -> Used:
    """One with a key, a paired phone, a call, a recording and a broker."""
    here = empty(folder, etc=etc)
    place, state, secret = here.file.parent, here.state, "recognise-turn-5ecret"
    here.file.write_text('[device]\nid = "door"\nboard = "simulated"\n')
    (place / "turn.secret").write_text(secret)
    (place / "hooks.d").mkdir()
    (place / "hooks.d" / "call_ended.sh").write_text("#!/bin/sh\n")
    (place / "hooks.d" / "call_ended.sh").chmod(0o755)
    (folder / "elsewhere.pem").write_text("a certificate")
    here.drop_ins.mkdir()
    (here.drop_ins / "own.toml").write_text(f"""
        [mqtt]
        ca_file = "{folder}/elsewhere.pem"
        password_file = "$CREDENTIALS_DIRECTORY/mqtt.password"
        [[media.ice_servers]]
        urls = ["turn:127.0.0.1"]
        secret_file = "{place}/turn.secret"
    """)
    (here.credstore / "appliance.mqtt.password").write_text("recognise-broker-pa55word\n")
    (here.credstore / "somebody-elses").write_text("not ours")
    DeviceKey.load_or_make(state, {})
    Authority.load_or_make(state / "tls", "door", "pi")
    phone = DeviceKey.make()
    await Contacts({}, state / "contacts.toml").add("al", "Al", phone.public, ())
    first_number(state, 1_795_252_800_123)
    calls = Ledger(state / "calls")
    await asyncio.to_thread(calls.rewrite, [b"{}"])
    calls.keep_picture("b-1.jpg", b"JPEG")
    async with Memory(state / "memory.json", lambda _: None) as memory:
        memory.keep(Kept(do_not_disturb=True))
    (state / "recordings").mkdir()
    (state / "recordings" / "2026-11-28T00-00-00Z_c1.mp4").write_bytes(b"film")
    (state / "outputs.json").write_text("{}")
    broker = folder / "broker"
    broker.mkdir()
    (broker / "ca.crt").write_text("the house's")
    (broker / "passwords").write_text("al:hash")
    passphrase = folder / "passphrase"
    passphrase.write_text(f"{PASSPHRASE}\n")
    return Used(here, broker, passphrase, phone, secret)


def files_of(backup: Path) -> Mapping[str, Packed]:
    """What is in one, by its name."""
    return baggage.read(sealed.unseal(backup.read_bytes(), PASSPHRASE)).files
