"""Every write of the code is listed with what it promises; what is promised holds whenever power is cut.

A new write without a row fails, and so does a promise that no scenario keeps. Each scenario is played once,
while all that is asked of the disk is recorded; then everything that a power cut at any instant may leave
(`tests/parts/powercut.py`) is read by what reads it in the appliance.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.broker.authority import Authority as BrokersAuthority
from appliance.broker.authority import NoAuthority
from appliance.broker.handing_out import HandedOut
from appliance.broker.house import House
from appliance.broker.passwords import fits
from appliance.config import Config
from appliance.erasing import _delete, kept
from appliance.media.movie import Growing
from appliance.media.shelf import Shelf
from appliance.owner import baggage, dropin, restoring
from appliance.owner.baggage import Target
from appliance.owner.card import Taken
from appliance.owner.first_start import FirstStart
from appliance.owner.places import Places, places
from appliance.panel import safe
from appliance.reporting.ledger import Ledger
from appliance.service.memory import Kept, Memory
from appliance.signaling import sequence
from appliance.signaling.sequence import first_number
from appliance.trust import book, keys
from appliance.trust.authority import LEAF_FILE, Authority
from appliance.trust.keys import DeviceKey
from appliance.updating import installing, quiet, rauc, trial, wellness
from appliance.updating.installing import Before
from appliance.updating.rauc import Bundle
from appliance.whole_file import NEW, private_folder, rename, write_whole
from tests.parts.census import MAY_WRITE, writes, written_in
from tests.parts.powercut import instants
from tests.parts.writes import Record, recorded


class Promise(Enum):
    """What whoever calls it may rely on."""

    KEPT = "the old or the new whenever it ends or power is cut, and the new from when it returns"
    SOON = "the old or the new whenever it ends or power is cut; the new a moment later"
    KILL = (
        "the old or the new whenever it ends; a power cut may leave neither, which its reader bears"
    )
    LOST = "may be lost or in part: it is made again, or nobody misses it"
    NONE = "no file of the state: a pipe, a lock, a device, a scratch folder, a developer's tool"


KEPT, SOON, KILL, LOST, NONE = Promise

GIVEN_AGAIN = "done again by the next command, and by whole_file"

CENSUS: dict[str, tuple[Promise, str]] = {
    "broker.authority:Authority.make write_whole": (KEPT, ""),
    "broker.authority:Authority._write_revoked write_whole": (KEPT, ""),
    "broker.command:_account private_folder": (KEPT, "whole_file:private_folder"),
    "broker.command:_account write_whole": (KEPT, "whole_file:write_whole"),
    "broker.command:_pages write_whole": (KEPT, "whole_file:write_whole"),
    "broker.handing_out:HandedOut._key write_whole": (KEPT, ""),
    "broker.handing_out:HandedOut._write write_whole": (KEPT, ""),
    "broker.house:House.new private_folder": (KEPT, ""),
    "broker.house:House._begin private_folder": (KEPT, ""),
    "broker.house:House.certify write_whole": (KEPT, ""),
    "broker.house:House.remove rename": (KEPT, ""),
    "broker.house:House._write write_whole": (KEPT, ""),
    "broker.house:House._begin chmod": (LOST, "it was made so; mended by the next `new`"),
    "broker.house:House.belong os.fchown": (LOST, GIVEN_AGAIN),
    "broker.house:_keep_key os.fchown": (LOST, GIVEN_AGAIN),
    "broker.house:_keep_key os.fchmod": (LOST, GIVEN_AGAIN),
    "broker.house:_give os.chown": (LOST, GIVEN_AGAIN),
    "broker.pages:read_of os.open": (NONE, "a certificate, only read"),
    "broker.pages:_try os.write": (NONE, "in memory"),
    "broker.passwords:PasswordFile._write write_whole": (KEPT, ""),
    "broker.told:tell private_folder": (KEPT, ""),
    "broker.told:tell symlink_to": (
        LOST,
        "synced before the note, or the key, without which it is made again",
    ),
    "calls.drawing:main write_text": (NONE, "a document of the project's"),
    "cli:main os.open": (NONE, "/dev/null"),
    "demo:_as_wav open wb": (NONE, "in memory"),
    "demo:demo TemporaryDirectory": (NONE, "scratch"),
    "erasing:_delete unlink": (KEPT, ""),
    "media.movie:Growing.write os.write": (SOON, ""),
    "media.movie:Growing.close os.ftruncate": (KEPT, ""),
    "media.movie:Movie.__init__ open w": (SOON, "media.movie:Growing.write"),
    "media.shelf:Shelf.open private_folder": (KEPT, ""),
    "media.shelf:Shelf._create os.open": (KEPT, ""),
    "media.shelf:Shelf.clear unlink": (LOST, "it is deleted again at the next start"),
    "media.shelf:Shelf.make_room unlink": (LOST, "it is deleted again with the next recording"),
    "owner.backup:backup write_whole": (KEPT, "whole_file:write_whole"),
    "owner.card:Taken.take unlink": (LOST, "it is taken once more"),
    "owner.card:Taken.take write_text": (LOST, "it is told again at the next start"),
    "owner.card:Taken._door write_whole": (KEPT, ""),
    "owner.card:Taken._connection private_folder": (KEPT, ""),
    "owner.card:Taken._connection write_whole": (KEPT, ""),
    "owner.dropin:checked symlink_to": (NONE, "scratch"),
    "owner.dropin:checked mkdir": (NONE, "scratch"),
    "owner.dropin:checked write_text": (NONE, "scratch"),
    "owner.dropin:write private_folder": (KEPT, ""),
    "owner.dropin:write write_whole": (KEPT, ""),
    "owner.dropin:checked TemporaryDirectory": (NONE, "scratch"),
    "owner.evidence:output subprocess.run": (NONE, "programs that only tell"),
    "owner.first_start:FirstStart._run write_whole": (KEPT, ""),
    "owner.first_start:FirstStart._lay_out private_folder": (KEPT, ""),
    "owner.first_start:FirstStart._lay_out write_whole": (KEPT, ""),
    "owner.first_start:FirstStart._say_where write_whole": (KEPT, ""),
    "owner.first_start:FirstStart._wire private_folder": (KEPT, ""),
    "owner.first_start:FirstStart._wire write_whole": (KEPT, ""),
    "owner.first_start:FirstStart._tell write_whole": (KEPT, ""),
    "owner.first_start:FirstStart._tell unlink": (LOST, "it counts only where there is no note"),
    "owner.learning:_telling.moved os.write": (NONE, "a pipe"),
    "owner.report:report write_whole": (KEPT, "whole_file:write_whole"),
    "owner.report:bundle open w:gz": (NONE, "in memory"),
    "owner.restoring:_with_revocations write_bytes": (NONE, "scratch"),
    "owner.restoring:_put private_folder": (KEPT, ""),
    "owner.restoring:_put write_whole": (KEPT, ""),
    "owner.restoring:_put_aside rename": (KEPT, ""),
    "owner.restoring:_belongs os.chown": (
        LOST,
        "`restore` that was cut off is done again",
    ),
    "owner.restoring:_with_revocations TemporaryDirectory": (NONE, "scratch"),
    "owner.twin:_reaching_the_broker private_folder": (NONE, "scratch, in memory"),
    "owner.twin:_reaching_the_broker write_whole": (NONE, "scratch, in memory"),
    "owner.twin:_reaching_the_broker mkdir": (NONE, "scratch, in memory"),
    "owner.twin:_reaching_the_broker rename": (NONE, "scratch, in memory"),
    "owner.twin:_reaching_the_broker TemporaryDirectory": (NONE, "scratch, in memory"),
    "owner.terminals:Terminal._open os.open": (NONE, "a terminal"),
    "owner.terminals:Terminal.show os.write": (NONE, "a terminal"),
    "panel.safe:note private_folder": (KEPT, ""),
    "panel.safe:note write_bytes": (KILL, "a power cut releases every relay"),
    "panel.safe:note replace": (KILL, "a power cut releases every relay"),
    "reference.__main__:main write_text": (NONE, "a document of the project's"),
    "reporting.ledger:Ledger.append os.open": (SOON, ""),
    "reporting.ledger:Ledger.append os.write": (SOON, ""),
    "reporting.ledger:Ledger.rewrite private_folder": (KEPT, ""),
    "reporting.ledger:Ledger.rewrite write_whole": (KEPT, ""),
    "reporting.ledger:Ledger._put_aside rename": (KEPT, ""),
    "reporting.ledger:Ledger.keep_picture private_folder": (KEPT, ""),
    "reporting.ledger:Ledger.keep_picture write_whole": (KEPT, ""),
    "reporting.ledger:Ledger._make_room unlink": (
        LOST,
        "it is deleted again with the next picture",
    ),
    "reporting.ledger:Ledger.drop_pictures unlink": (LOST, "the next start sweeps it up"),
    "reporting.ledger:Ledger.drop_strays unlink": (LOST, "the next start sweeps it up"),
    "reporting.programs:Program.__init__ os.write": (NONE, "a pipe"),
    "reporting.programs:Program.__init__ subprocess.Popen": (
        NONE,
        "hooks, which are their owner's",
    ),
    "reporting.socket:_listener unlink": (NONE, "a socket"),
    "reporting.socket:_permit chmod": (NONE, "a socket"),
    "reporting.socket:_permit os.chown": (NONE, "a socket"),
    "screen.frames:Frames._write mkdir": (LOST, "pictures of a display that is a folder"),
    "screen.frames:Frames._write write_bytes": (KILL, "the next picture"),
    "screen.frames:Frames._write replace": (KILL, "the next picture"),
    "screen.frames:Frames.latest_jpeg save": (NONE, "in memory"),
    "service.doctor.device_files:_opened os.open": (NONE, "a device"),
    "service.doctor.machine:ThisMachine.output subprocess.run": (NONE, "programs that only tell"),
    "service.doctor.machine:_apart subprocess.run": (NONE, "this program, which only looks"),
    "service.memory:Memory._load rename": (KEPT, ""),
    "service.memory:Memory._put private_folder": (KEPT, ""),
    "service.memory:Memory._put write_whole": (KEPT, ""),
    "signaling.sequence:first_number private_folder": (KEPT, ""),
    "signaling.sequence:first_number write_whole": (KEPT, ""),
    "socket_path:prepare_folder mkdir": (NONE, "a socket's folder"),
    "signaling.marks:mark_of private_folder": (KEPT, "whole_file:private_folder"),
    "signaling.marks:mark_of write_whole": (KEPT, "whole_file:write_whole"),
    "socket_path:only_one os.open": (NONE, "a lock"),
    "socket_path:prepare_folder chmod": (NONE, "a socket's folder"),
    "trust.authority:Authority.load_or_make private_folder": (KEPT, ""),
    "trust.authority:Authority.load_or_make write_whole": (KEPT, ""),
    "trust.authority:Authority.leaf write_whole": (KEPT, ""),
    "trust.book:write private_folder": (KEPT, ""),
    "trust.book:write write_whole": (KEPT, ""),
    "trust.keys:DeviceKey.load_or_make private_folder": (KEPT, ""),
    "trust.keys:DeviceKey.load_or_make write_whole": (KEPT, ""),
    "updating.installing:_try write_whole": (KEPT, ""),
    "updating.installing:_alone mkdir": (NONE, "in /run"),
    "updating.installing:_alone os.open": (NONE, "a lock in /run"),
    "updating.installing:restart subprocess.run": (NONE, "systemctl reboot"),
    "updating.rauc:install subprocess.Popen": (NONE, "the other slot: tests/image/test_cuts.py"),
    "updating.rauc:run subprocess.run": (NONE, "RAUC's own state: tests/image/test_cuts.py"),
    "updating.slots:ask subprocess.run": (
        NONE,
        "what the firmware reads: tests/image/test_cuts.py",
    ),
    "updating.trial:_leave write_whole": (KEPT, ""),
    "updating.wellness:_run subprocess.run": (NONE, "the doctor, which only looks"),
    "video_device:read_video_device open rb+": (NONE, "a device"),
    "web.vendor:bring mkdir": (LOST, "what is not as it was pinned is brought anew"),
    "web.vendor:_write_whole write_bytes": (KILL, "what is not as it was pinned is brought anew"),
    "web.vendor:_write_whole replace": (KILL, "what is not as it was pinned is brought anew"),
    "web.vendor:_download subprocess.run": (LOST, "what is not as it was pinned is brought anew"),
    "web.vendor:bring TemporaryDirectory": (NONE, "scratch"),
    "whole_file:write_whole open wb": (KEPT, ""),
    "whole_file:write_whole rename": (KEPT, ""),
    "whole_file:rename replace": (KEPT, ""),
    "whole_file:private_folder private_folder": (KEPT, ""),
    "whole_file:private_folder mkdir": (KEPT, ""),
    "whole_file:private os.open": (KEPT, ""),
    "whole_file:_belongs os.fchmod": (KEPT, ""),
    "whole_file:read_private os.fchmod": (LOST, "done again whenever it is read"),
    "whole_file:_waiting_for_nobody os.open": (NONE, "a file that is only read"),
    "whole_file:_belongs os.fchown": (KEPT, ""),
    "whole_file:private_folder os.chown": (KEPT, "whole_file:private_folder"),
}
"""Each write with its promise; behind it who else's scenarios show it, or why nothing is promised."""


def test_every_write_of_the_code_has_a_row_and_every_row_a_write() -> None:
    found = set(writes())
    assert found - CENSUS.keys() == set(), "what does it promise, and which scenario shows it?"
    assert CENSUS.keys() - found == set(), "there is no such write any more"


def test_what_promises_less_says_why() -> None:
    less = [why for promise, why in CENSUS.values() if promise in (KILL, LOST, NONE)]
    assert all(less)


WRITE = """
open(file, 'w')                             open(file, mode='ab')         file.open('x')
io.open(file, 'r+')                         os.open(file, flags)          os.write(1, b'')
os.open(file, os.O_WRONLY | os.O_APPEND)    file.write_text('')           file.write_bytes(b'')
file.rename(other)                          file.replace(other)           os.replace(a, b)
file.unlink()                               os.remove(file)               os.link(a, b)
shutil.move(a, b)                           write_whole(file, b'')        rename(a, b)
tarfile.open(file, 'w:gz')                  os.ftruncate(1, 2)            folder.mkdir()
open(file, how)                             io.open(file, how)            file.open(mode=how)
file.chmod(0o600)                           os.chown(file, 1, 2)          os.utime(file)
picture.save(file)                          tempfile.mkstemp()            TemporaryDirectory()
subprocess.run(['tee', file])               logging.FileHandler(file)     os.system('rm x')
asyncio.create_subprocess_exec('tee')       subprocess.Popen(['tee'])     zipfile.ZipFile(file)
"""
BROUGHT_IN = """
from os import write                        from os import open as o      from shutil import rmtree
from subprocess import run                  from asyncio import create_subprocess_exec
"""
READ = """
open(file)                                  open(file, 'rb')              file.open()
os.open(file, os.O_RDONLY)                  text.replace('a', 'b')        time.replace(hour=3)
self._views.open(uid, sdp)                  self._open(effect)            file.read_bytes()
shelf.open(name)                            open(file, 'r')               tempfile.gettempdir()
"""


def test_a_write_is_found_in_the_code_and_what_reads_is_none() -> None:
    for code in re.split(r"  +|\n", WRITE.strip()):
        found = [*written_in(f"class A:\n def b(self):\n  return [{code}]")]
        assert [where for where, _ in found] == ["A.b"], code
        assert MAY_WRITE.search(code), code
    for code in re.split(r"  +|\n", BROUGHT_IN.strip()):
        assert [*written_in(f"def b():\n {code}")], code
        assert MAY_WRITE.search(code), code
    for code in re.split(r"  +|\n", READ.strip()):
        assert [*written_in(f"def b():\n return [{code}]")] == [], code


# -------------------- scenarios


@dataclass(frozen=True)
class Scenario:
    """`do` something that promises what it is `shows`; `read` what came of it, as the appliance does.

    `read` raises, or gives something that is neither the old nor the new, where a promise is broken.
    """

    do: Callable[[Path], object]
    read: Callable[[Path], object]
    before: Callable[[Path], object] = lambda _: None
    between: Callable[[object], bool] = lambda _: False
    """What is neither and all right, where several files are one after the other."""
    is_kept: bool = True
    """Once it is told the old is wrong."""


def _contacts(folder: Path) -> object:
    return book.read(folder / "state" / book.FILE).contacts


def _pairs(folder: Path) -> None:
    file = folder / "state" / book.FILE
    there = book.read(file)
    book.write(file, there.with_contact(f"bob{len(there.contacts)}", book.Paired("Bob")))


def _ids(folder: Path) -> object:
    entries, _ = Ledger(folder / "calls").load()  # a torn line is told of, and dropped
    return [entry.id for entry in entries]


def _line(number: int, picture: str | None = None) -> bytes:
    return json.dumps({"id": f"{number}", "call_id": f"c{number}", "picture": picture}).encode()


def _appends(folder: Path) -> None:
    ledger = Ledger(folder / "calls")
    ledger.load()
    assert ledger.takes(1, 1)
    ledger.append([_line(2)])
    ledger.sync()


def _keeps_a_picture(folder: Path) -> None:
    ledger = Ledger(folder / "calls")
    ledger.load()
    ledger.keep_picture("2.jpg", b"JPEG" * 1000)
    ledger.append([_line(2, "2.jpg")])
    ledger.sync()


def _pictures(folder: Path) -> object:
    entries, _ = Ledger(folder / "calls").load()
    for entry in entries:
        if entry.picture is not None:
            assert (folder / "calls" / "pictures" / entry.picture).read_bytes() == b"JPEG" * 1000
    return [entry.id for entry in entries]


def _begins_a_log(folder: Path) -> None:
    Ledger(folder / "calls").rewrite([_line(1)])


def _cannot_be_read(folder: Path) -> None:
    (folder / "calls" / "calls.jsonl").mkdir(parents=True)
    (folder / "calls" / "calls.jsonl" / "what it was").touch()


def _aside(folder: Path) -> object:
    return [
        name
        for name in ("calls.jsonl", "calls.broken")
        if (folder / "calls" / name / "what it was").exists()
    ]


def _remembers(folder: Path) -> None:
    memory = Memory(folder / "state" / "memory.json", print)
    memory._put(msgspec.json.encode(Kept(do_not_disturb=not memory.kept.do_not_disturb)))


def _memory(folder: Path) -> object:
    memory = Memory(folder / "state" / "memory.json", print)
    assert memory._fault_at_start is None
    return memory.kept


def _is_spoilt(folder: Path) -> None:
    (folder / "memory.json").write_bytes(b"{")


def _spoilt(folder: Path) -> object:
    return [
        name
        for name in ("memory.json", "memory.json.broken")
        if (folder / name).exists() and (folder / name).read_bytes() == b"{"
    ]


def _key(folder: Path) -> object:
    file = folder / "state" / keys.FILE
    return DeviceKey.from_pem(file.read_bytes(), "it").public if file.exists() else None


def _number(folder: Path) -> object:
    file = folder / "state" / sequence.FILE
    return int(file.read_bytes()) if file.exists() else None


def _authority(folder: Path) -> object:
    if not Authority.is_in(folder / "tls"):
        return None
    return Authority.load(folder / "tls").pem


def _leaf(folder: Path) -> object:
    file = folder / "tls" / LEAF_FILE
    return file.read_bytes() if file.exists() else None


def _makes_a_leaf(folder: Path) -> None:
    Authority.load(folder / "tls").leaf(["door.local"])


def _sets_up(folder: Path) -> None:
    dropin.write(_machine(folder), {"device": {"name": f"Door {len([*folder.rglob('*')])}"}})


def _machine(folder: Path) -> Any:
    environ = {"STATE_DIRECTORY": str(folder / "state")}
    return places(
        folder / "etc" / "appliance.toml", environ, credstore=folder / "store", root=folder
    )


def _set_up(folder: Path) -> object:
    here = _machine(folder)
    for file in (here.file, here.drop_ins / dropin.NAME):
        if file.exists():
            assert stat.S_IMODE(file.stat().st_mode) == dropin.MODE, "the daemon cannot read it"
    file = here.drop_ins / dropin.NAME
    return file.read_text() if file.exists() else None


def _tries(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(installing, "DATA", folder)
        patch.setattr(wellness, "troubles", dict)
        patch.setattr(quiet, "until_quiet", _stop_here)
        with suppress(KeyboardInterrupt):
            installing._try(Bundle("", "2"), lambda _: None)


def _stop_here(_: object) -> None:
    raise KeyboardInterrupt


def _leaves(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(installing, "DATA", folder)
        patch.setattr(rauc, "mark_bad", lambda: None)
        patch.setattr(quiet, "until_quiet", lambda *_, **__: True)
        trial._leave({"camera": "it gives no picture"}, lambda _: None)


def _left(folder: Path) -> object:
    file = folder / installing.LEFT
    return file.read_text() if file.exists() else None


def _before(folder: Path) -> object:
    file = folder / installing.BEFORE
    return msgspec.json.decode(file.read_bytes(), type=Before) if file.exists() else None


def _founds_a_broker(folder: Path) -> None:
    House(folder / "broker").new(["broker.lan"], device="door")


def _starts_first(folder: Path) -> None:
    here = _first_places(folder)
    private_folder(here.file.parent)
    here.file.write_text("")
    (folder / "state").mkdir(exist_ok=True)
    parts = (folder / "mosquitto" / "broker", folder / "mosquitto" / "conf.d")
    FirstStart(here, "gate", *parts, lambda _: None).run()


def _first_places(folder: Path) -> Places:
    environ = {"STATE_DIRECTORY": str(folder / "state")}
    return places(
        folder / "etc" / "appliance.toml", environ, credstore=folder / "store", root=folder
    )


def _started_first(folder: Path) -> object:
    """Whether it is in use, which is only where all of it fits together; and whether it is done."""
    here = _first_places(folder)
    in_use = (here.drop_ins / "10-first-start.toml").exists()
    if in_use:
        text = (here.drop_ins / "10-first-start.toml").read_text()
        assert 'websocket_url = "wss://gate.local:8884/"' in text
        house = House(folder / "mosquitto" / "broker")
        password = (here.credstore / "appliance.mqtt.password").read_text().strip()
        assert fits(password, house.passwords.accounts()["gate"])
        assert b"PRIVATE KEY" in (house.folder / "pages.pem").read_bytes()
        assert "pages.pem" in (house.folder / "appliance.conf").read_text()
        Authority.load(folder / "state" / "tls")
    return in_use, (here.file.parent / "first-start.txt").exists()


def _takes_a_card(folder: Path) -> None:
    for name in ("card", "etc"):
        (folder / name).mkdir()
    door = '[wifi]\nname="x"\npassword="12345678"\ncountry="DE"\n'
    (folder / "card" / "door.txt").write_text(f'name = "gate"\n{door}')
    Taken(folder / "etc", folder / "nm", lambda _: None).take(folder / "card")


def _took_a_card(folder: Path) -> object:
    taken = [folder / "nm" / "appliance-wifi.nmconnection", folder / "etc" / "hostname"]
    return [file.read_bytes() for file in taken if file.exists()]


def _lays_out_a_local_broker(folder: Path) -> None:
    names = ["door", *(["alice"] if (folder / "broker").exists() else [])]
    House(folder / "broker").new_local(names, device="door")


def _local(folder: Path) -> object:
    house = House(folder / "broker")
    kept = house.passwords.accounts()
    good = sorted(
        file.stem
        for file in house.folder.glob("*.password")
        if fits(file.read_text().strip(), kept.get(file.stem, ""))
    )
    return good if (house.folder / "appliance.conf").exists() else None


def _house(folder: Path) -> object:
    house = House(folder / "broker")
    try:
        authority = house.authority()
    except NoAuthority:
        assert not (house.folder / "passwords").exists(), "it would never be made again"
        return None
    if not (house.folder / "passwords").exists():
        return None  # `new` is to be asked again, and makes what is missing
    assert authority.revoked() is not None
    return sorted(one.name for one in house.folder.rglob("*") if one.suffix != NEW)


def _accounts(folder: Path) -> object:
    return [*House(folder / "broker").passwords.accounts()]


def _hands_out(folder: Path) -> None:
    HandedOut(House(folder / "broker"), lambda: None).make("alice")


def _handed_out(folder: Path) -> object:
    out = HandedOut(House(folder / "broker"), lambda: None)
    number, active = out._book().get("alice", (0, False))
    there = "alice" in House(folder / "broker").passwords.accounts()
    assert not there or active, "it could never be taken back"
    return number, there


def _certifies(folder: Path) -> None:
    private_folder(folder / "given")
    House(folder / "broker").certify("alice", folder / "given")


def _certified(folder: Path) -> object:
    files = [folder / "given" / f"alice.{kind}" for kind in ("crt", "key")]
    given = [
        BrokersAuthority.load(folder / "broker") and one.read_bytes()[-5:]
        for one in files
        if one.exists()
    ]
    noted = House(folder / "broker")._given_to("alice")
    assert noted or not given, "it could never be revoked"
    return len(given)


def _revokes(folder: Path) -> None:
    House(folder / "broker").remove("alice")


def _revoked(folder: Path) -> object:
    house = House(folder / "broker")
    named = house._given_to("alice")
    revoked = len(house.authority().revoked())
    assert named or revoked, "it is believed, and nobody knows any more"
    return revoked, len(named)


def _has_a_certificate(folder: Path) -> None:
    _founds_a_broker(folder)
    _certifies(folder)


def _notes(folder: Path) -> None:
    outputs = (safe.Output("relays.door", 18), safe.Output("leds.status", 17))
    safe.note(
        safe.Driven("mock", outputs[: 1 + (folder / "state" / safe.NOTED).exists()]),
        folder / "state",
    )


def _noted(folder: Path) -> object:
    return safe.noted(folder / "state")


def _records(folder: Path) -> None:
    path, descriptor = Shelf(folder / "state" / "recordings", 100).open(
        "1", datetime(2026, 1, 1, tzinfo=UTC)
    )
    file = Growing(descriptor, str(path))
    file.write(b"a part")
    file.sync()
    file.write(b" and the end")
    file.fault = OSError(28, "it is full")  # of which a part was written
    file.close()


def _recording(folder: Path) -> object:
    files = [*(folder / "state").rglob("*.mp4")]
    return files[0].read_bytes()[:6] if files else None


def _restores(folder: Path) -> None:
    target = Target(_machine(folder / "new"), folder / "new" / "broker")
    old = Target(_machine(folder / "old"), folder / "old" / "broker")
    files = {
        name: baggage.packed(file.read_bytes(), 0o644 if name.startswith("etc") else 0o600)
        for name, file in baggage._wanted(old.places, Config(), calls=False, broker=old.broker)
        if file.is_file()
    }
    content = baggage.Baggage("door", "kid", "host", "0", 1, files)
    restoring._write(content, {name: one.data for name, one in files.items()}, target)


def _used_and_new(folder: Path) -> None:
    for name in ("old", "new"):
        here = _machine(folder / name)
        here.drop_ins.mkdir(parents=True)
        here.file.write_text(f'[device]\nid = "{name}"\n')
        (here.drop_ins / f"{name}.toml").write_text(f'[device]\nname = "{name}"\n')
    DeviceKey.load_or_make(folder / "old" / "state", {})
    first_number(folder / "old" / "state", 1)
    book.write(
        folder / "old" / "state" / book.FILE, book.Book().with_contact("al", book.Paired("Al"))
    )
    (folder / "old" / "broker").mkdir()
    write_whole(folder / "old" / "broker" / "passwords", b"alice:$7$")


def _restored(folder: Path) -> object:
    new = {
        str(one.relative_to(folder / "new")): one
        for one in (folder / "new").rglob("*")
        if one.is_file()
    }
    if f"state/{keys.FILE}" not in new:
        return None  # it is nobody's twin yet, and to be done again
    there = {name for name, one in new.items() if one.suffix not in (NEW, ".before-restore")}
    old = {
        str(one.relative_to(folder / "old")) for one in (folder / "old").rglob("*") if one.is_file()
    }
    assert there >= old, "it has the key, and not all that belongs to it"
    for name in old:
        assert new[name].read_bytes() == (folder / "old" / name).read_bytes()
    assert stat.S_IMODE(new["etc/appliance.toml"].stat().st_mode) == 0o644
    return sorted(there)


def _erases(folder: Path) -> None:
    assert _delete(kept(Config(), folder / "state", keys=True)) == []


def _people(folder: Path) -> object:
    left = {what: len(files) for what, files in kept(Config(), folder / "state", keys=True).items()}
    return sum(left.values())


def _used(folder: Path) -> None:
    _remembers(folder)
    _pairs(folder)
    DeviceKey.load_or_make(folder / "state", {})
    ledger = Ledger(folder / "state" / "calls")
    ledger.rewrite([_line(1)])
    ledger.keep_picture("1.jpg", b"JPEG")


def _writes_it(folder: Path) -> None:
    write_whole(folder / "it", b"new" if (folder / "it").exists() else b"old", 0o640)


def _it(folder: Path) -> object:
    file = folder / "it"
    return (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) if file.exists() else None


def _one_between(value: object) -> bool:
    return isinstance(value, int)


SCENARIOS: dict[str, Scenario] = {
    "a file that was not there": Scenario(_writes_it, _it),
    "a file that was there": Scenario(_writes_it, _it, _writes_it),
    "one that was given up": Scenario(
        _writes_it, _it, lambda folder: (folder / "it.new").write_bytes(b"given up")
    ),
    "a file with another name": Scenario(
        lambda folder: rename(folder / "it", folder / "aside"),
        lambda folder: (
            sorted(one.read_bytes() for one in folder.iterdir() if one.name in ("it", "aside"))
            and (folder / "aside").exists()
        ),
        _writes_it,
    ),
    "folders": Scenario(
        lambda folder: private_folder(folder / "a" / "b"),
        lambda folder: (folder / "a" / "b").is_dir(),
        between=lambda value: value is False,
    ),
    "the call log": Scenario(_begins_a_log, _ids),
    "another line": Scenario(_appends, _ids, _begins_a_log),
    "a picture and its line": Scenario(_keeps_a_picture, _pictures, _begins_a_log),
    "a call log that cannot be read": Scenario(
        lambda folder: Ledger(folder / "calls").load(), _aside, _cannot_be_read
    ),
    "what was switched": Scenario(_remembers, _memory),
    "what is switched again": Scenario(_remembers, _memory, _remembers),
    "a memory that cannot be read": Scenario(
        lambda folder: Memory(folder / "memory.json", print), _spoilt, _is_spoilt
    ),
    "contacts": Scenario(_pairs, _contacts),
    "another contact": Scenario(_pairs, _contacts, _pairs),
    "the key": Scenario(lambda folder: DeviceKey.load_or_make(folder / "state", {}), _key),
    "the numbers": Scenario(lambda folder: first_number(folder / "state", 1), _number),
    "the next numbers": Scenario(
        lambda folder: first_number(folder / "state", 1),
        _number,
        lambda folder: first_number(folder / "state", 1),
    ),
    "the page's authority": Scenario(
        lambda folder: Authority.load_or_make(folder / "tls", "door", "door"), _authority
    ),
    "the page's certificate": Scenario(
        _makes_a_leaf, _leaf, lambda folder: Authority.load_or_make(folder / "tls", "door", "door")
    ),
    "the first set-up": Scenario(_sets_up, _set_up),
    "another set-up": Scenario(_sets_up, _set_up, _sets_up),
    "an update that is tried": Scenario(_tries, _before),
    "an update that is left": Scenario(_leaves, _left),
    "a broker": Scenario(_founds_a_broker, _house),
    "a first start": Scenario(
        _starts_first, _started_first, between=lambda value: value == (True, False)
    ),
    "a card": Scenario(_takes_a_card, _took_a_card, between=lambda value: len(value) == 1),  # type: ignore[arg-type]
    "a broker for one computer": Scenario(
        _lays_out_a_local_broker, _local, between=lambda value: value == []
    ),
    "one more account for one computer": Scenario(
        _lays_out_a_local_broker, _local, _lays_out_a_local_broker
    ),
    "an account": Scenario(
        lambda folder: House(folder / "broker").make("bob"), _accounts, _founds_a_broker
    ),
    "an account that is handed out": Scenario(
        _hands_out, _handed_out, _founds_a_broker, lambda value: value == (1, False)
    ),
    "a certificate for an account": Scenario(
        _certifies, _certified, _founds_a_broker, _one_between
    ),
    "an account that is taken back": Scenario(
        _revokes, _revoked, _has_a_certificate, lambda value: value == (1, 1)
    ),
    "what is driven": Scenario(_notes, _noted, _notes, lambda value: value is None, is_kept=False),
    "a recording": Scenario(
        _records, _recording, between=lambda value: value in (b"", b"a p", bytes(6))
    ),
    "a device that is put back": Scenario(_restores, _restored, _used_and_new),
    "what is erased": Scenario(_erases, _people, _used, _one_between),
}


def play(scenario: Scenario, folder: Path) -> tuple[Record, object, object]:
    """The record of it, what was read before, and what after."""
    folder.mkdir(mode=0o700)
    scenario.before(folder)
    old = scenario.read(folder)
    with recorded(folder) as record:
        scenario.do(folder)
    record.told(True)
    new = scenario.read(folder)
    assert new != old, "nothing came of it"
    return record, old, new


class Shown:
    """What the scenarios have shown, of which functions."""

    def __init__(self) -> None:
        self.scenarios: set[str] = set()
        self.functions: set[str] = set()


@pytest.fixture(scope="module")
def shown() -> Shown:
    return Shown()


@pytest.mark.parametrize("name", SCENARIOS)
def test_whenever_power_is_cut_what_is_promised_holds(
    name: str, tmp_path: Path, shown: Shown
) -> None:
    scenario = SCENARIOS[name]
    record, old, new = play(scenario, tmp_path / "played")
    number = itertools.count()
    states = 0
    for instant in instants(record):
        for left in instant.left:
            states += 1
            folder = tmp_path / f"{next(number)}"
            folder.mkdir(mode=0o700)
            left.put(folder)
            found = scenario.read(folder)
            if instant.told and scenario.is_kept:
                assert found == new, "it was told, and is not there"
            else:
                assert found in (old, new) or scenario.between(found)
            shutil.rmtree(folder)
    assert states > 1
    shown.scenarios.add(name)
    shown.functions |= {function for by in record.by for function in by}


def test_each_promise_was_shown(shown: Shown) -> None:
    """By the scenarios above, all of which have to have been played."""
    if missing := SCENARIOS.keys() - shown.scenarios:
        pytest.skip(f"these were not played, or failed: {', '.join(missing)}")
    assert [
        row
        for row, (promise, why) in CENSUS.items()
        if promise in (KEPT, SOON) and (why or row.split()[0]) not in shown.functions
    ] == []
