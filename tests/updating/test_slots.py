"""RAUC's handler for the Pi's autoboot.txt, in every state: what is booted, tried once, never taken away.

The script itself, on a folder in the place of the first partition, and a machine on paper below /proc and
/sys.
"""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from appliance.client import Client
from appliance.updating import slots
from tests.parts import need
from tests.parts.house import config_for, house
from tests.parts.mosquitto import free_port
from tests.updating.paper import PARTITION, Pi, firmware

STATES = ("good", "bad", "new", "tried", "failed")


@pytest.fixture
def pi(tmp_path: Path) -> Pi:
    return Pi(tmp_path)


def states() -> Iterator[tuple[str, str, str]]:
    """Default slot, what the other is, and which runs: each that can be."""
    return itertools.product("AB", STATES, "AB")


# -------------------- whole stories


def test_an_update_is_tried_once_and_becomes_the_default_when_it_is_good(pi: Pi) -> None:
    pi.has("A", "good")
    pi.does("set-state", "B", "bad")  # RAUC begins to write
    assert pi.boots(tryboot=True) == "A", "nobody gets into half a slot"
    pi.does("set-primary", "B")
    assert (pi.does("get-primary"), pi.does("get-state", "B")) == ("B", "good")
    assert pi.boots() == "A", "it is booted by itself by nobody"
    pi.does("arm")
    assert pi.boots(tryboot=True) == "B"
    assert pi.asks("trial").returncode == 0
    pi.does("set-state", "B", "good")
    assert pi.asks("trial").returncode == 1
    assert pi.boots() == "B"
    assert pi.status() == {
        "current": "B", "default": "B", "other": "good", "trial": "no", "fell_back": "no",
    }  # fmt: skip


@pytest.mark.parametrize("told", [True, False], ids=["found bad", "cut off"])
def test_an_update_that_is_not_found_good_is_left_and_stays_left(pi: Pi, told: bool) -> None:
    pi.has("B", "good")
    pi.runs("B")
    pi.does("set-state", "A", "bad")
    pi.does("set-primary", "A")
    pi.does("arm")
    assert pi.boots(tryboot=True) == "A"
    if told:
        pi.does("set-state", "A", "bad")
    assert pi.boots() == "B"
    assert (pi.status()["other"], pi.status()["fell_back"]) == ("failed", "yes")
    assert pi.boots(tryboot=True) == "B"
    assert (pi.status()["other"], pi.status()["fell_back"]) == ("failed", "no")
    assert "no slot to be tried" in pi.refuses("arm")
    pi.does("set-state", "A", "bad")  # and it can be written anew
    pi.does("set-primary", "A")
    assert pi.status()["other"] == "new"


def test_why_it_was_left_is_told_for_as_long_as_it_stays_left(pi: Pi) -> None:
    """What the trial wrote down, line by line of a file that the other slot's system has written."""
    pi.has("A", "new")
    pi.does("arm")
    assert pi.boots(tryboot=True) == "B"
    (pi.folder / "data" / "left").write_text("camera: a=b is unplugged\nother=good\n")
    for _ in range(2):
        assert pi.boots() == "A"
        assert pi.status()["other"] == "failed"
        found = slots.told(pi.folder / "run" / "slots")
        assert found is not None
        assert found.why == "camera: a=b is unplugged"
    pi.does("set-state", "B", "bad")
    assert "why" not in pi.status()


def test_of_a_trial_that_came_to_no_end_the_reason_of_another_is_not_told(pi: Pi) -> None:
    (pi.folder / "data" / "left").write_text("camera: is unplugged\n")
    pi.has("A", "new")
    pi.does("arm")
    assert pi.boots(tryboot=True) == "B"
    assert pi.boots() == "A"
    assert pi.status()["why"] == "it came to no end: it hung, or power was lost"


def gives_up(pi: Pi) -> list[str]:
    """What is asked of systemd when what is tried has had its time."""
    log = pi.folder / "programs" / "asked"
    log.parent.mkdir(exist_ok=True)
    log.write_text("")
    (log.parent / "systemctl").write_text(f'#!/bin/sh\necho "$@" >> {log}\n')
    (log.parent / "systemctl").chmod(0o755)
    pi.path = f"{log.parent}:/usr/bin:/bin"
    pi.does("give-up")
    return log.read_text().splitlines()


RESTARTED = ["--force reboot"]


def test_what_is_still_tried_when_its_time_ends_is_restarted_and_nothing_else(pi: Pi) -> None:
    pi.has("A", "new")
    pi.does("arm")
    pi.boots(tryboot=True)
    assert gives_up(pi) == RESTARTED
    pi.does("set-state", "B", "good")
    assert gives_up(pi) == []


def test_a_trial_is_given_up_while_another_hangs_in_what_it_writes(pi: Pi) -> None:
    """As on a card that dies: the others wait a minute for it, and say so; here no time at all."""
    pi.has("A", "tried")
    pi.runs("B")
    flock = pi.folder / "programs" / "flock"
    flock.parent.mkdir()
    flock.write_text(f'#!/bin/sh\nshift 2\nexec {need.program("flock")} --nonblock "$@"\n')
    flock.chmod(0o755)
    held = os.open(pi.autoboot.parent, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert gives_up(pi) == RESTARTED
        assert "is held by another" in pi.refuses("set-state", "B", "good")
    finally:
        os.close(held)


def test_a_trial_that_cannot_mount_its_first_partition_is_left_by_the_firmwares_word(
    pi: Pi,
) -> None:
    """A kernel without its file system, say. It is restarted once: the next start is no trial."""
    pi.has("A", "new")
    pi.does("arm")
    pi.runs("B")
    pi.tells(tryboot=True)
    pi.mounts(first=False)
    assert pi.status()["trial"] == "yes"
    assert gives_up(pi) == RESTARTED
    pi.mounts(first=True)
    assert pi.boots() == "A"
    assert pi.status()["other"] == "failed"
    assert gives_up(pi) == []


@pytest.mark.parametrize("slot", ["A", "B"])
def test_a_first_partition_that_is_broken_for_good_restarts_nothing_again_and_again(
    pi: Pi, slot: str
) -> None:
    pi.runs(slot)
    pi.tells(tryboot=False)
    pi.mounts(first=False)
    assert gives_up(pi) == []
    (pi.folder / "proc/device-tree/chosen/bootloader/tryboot").unlink()  # nor where it is silent
    assert gives_up(pi) == []


def test_nor_does_a_file_that_nobody_could_boot_by(pi: Pi) -> None:
    """What runs is all that there is: a firmware that reads this finds nothing to boot."""
    pi.has("A", "tried")
    pi.runs("B")
    pi.tells(tryboot=True)
    pi.autoboot.write_text("\0" * 256)
    assert gives_up(pi) == []


def test_a_cut_between_being_armed_and_the_trial_is_a_trial_that_failed(pi: Pi) -> None:
    pi.has("A", "new")
    pi.does("arm")
    assert pi.boots() == "A"
    assert pi.status()["other"] == "failed"


def test_who_restarts_into_what_is_new_by_another_way_tries_it_too(pi: Pi) -> None:
    """By hand, or since a restart that was refused had been noted all the same."""
    pi.has("A", "new")
    assert pi.boots(tryboot=True) == "B"
    assert (pi.status()["other"], pi.status()["trial"]) == ("tried", "yes")
    assert pi.boots() == "A"
    assert (pi.status()["other"], pi.status()["fell_back"]) == ("failed", "yes")


def test_nothing_is_written_over_the_good_slot_while_the_other_is_tried(pi: Pi) -> None:
    """RAUC writes into the slot that does not run, and that is the only one that is good."""
    pi.has("A", "tried")
    pi.runs("B")
    assert "only slot that is good" in pi.refuses("set-state", "A", "bad")


def test_who_gives_up_what_is_good_gets_the_other(pi: Pi) -> None:
    pi.has("A", "good")
    pi.does("set-state", "A", "bad")
    assert (pi.status()["default"], pi.status()["other"]) == ("B", "bad")
    assert "only slot that is good" in pi.refuses("set-state", "B", "bad")


def test_what_is_to_be_tried_can_be_taken_back(pi: Pi) -> None:
    pi.has("A", "new")
    pi.does("set-primary", "A")
    assert (pi.status()["other"], pi.boots(tryboot=True)) == ("bad", "A")


# -------------------- laws, in every state


@pytest.mark.parametrize(("default", "other", "current"), list(states()))
def test_what_may_be_asked_for_in_every_state(
    pi: Pi, default: str, other: str, current: str
) -> None:
    """The default is one that was found good while it ran; what may not be whole is reached by no way."""
    opposite = "AB".replace(default, "")
    pi.runs(current)
    requests: list[tuple[str, ...]] = [("set-primary", slot) for slot in "AB"]
    requests += [("set-state", slot, state) for slot in "AB" for state in ("good", "bad")]
    for request in [*requests, ("arm",), ("settle",)]:
        pi.has(default, other)
        before = pi.autoboot.read_bytes()
        done = pi.asks(*request)
        text = pi.autoboot.read_text()
        where = f"{before.decode()} {current} {request} {text}"
        assert done.returncode == 0 or pi.autoboot.read_bytes() == before, where
        now = {"2": "A", "3": "B"}[firmware(text, tryboot=False) or ""]
        if now != default:
            ran = request == ("set-state", opposite, "good") and current == opposite
            assert ran or (request == ("set-state", default, "bad") and other == "good"), where
        left = text.split("other=")[1].split()[0]
        reached = {firmware(text, tryboot=each) for each in (True, False)}
        assert reached == ({PARTITION[now]} if left in ("bad", "failed") else {"2", "3"}), where


@pytest.mark.parametrize(("default", "other", "current"), list(states()))
def test_what_is_said_in_every_state(pi: Pi, default: str, other: str, current: str) -> None:
    opposite = "AB".replace(default, "")
    pi.runs(current)
    pi.has(default, other)
    assert pi.does("get-current") == current
    assert pi.does("get-primary") == (opposite if other == "new" else default)
    assert pi.does("get-state", default) == "good"
    assert pi.does("get-state", opposite) == ("good" if other in ("good", "new") else "bad")
    trial = "no" if current == default else "yes"
    (pi.folder / "data" / "left").write_text("camera: is unplugged\n")
    why = {"why": "camera: is unplugged"} if other == "failed" else {}
    assert pi.status() == {
        "current": current, "default": default, "other": other, "trial": trial, "fell_back": "no", **why,
    }  # fmt: skip


# -------------------- the file


@pytest.mark.parametrize(
    "text",
    [
        "[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n",
        "[all]\r\ntryboot_a_b=1\r\nboot_partition=2\r\n[tryboot]\r\nboot_partition=3\r\n",
    ],
    ids=["as an image is made", "as an owner's editor writes"],
)
def test_a_file_of_others_is_two_slots_that_are_good(pi: Pi, text: str) -> None:
    pi.autoboot.write_bytes(text.encode())
    assert (pi.status()["default"], pi.status()["other"]) == ("A", "good")


@pytest.mark.parametrize("text", ["", "\0" * 512, "[all]\nboot_partition=7\n", "[tryboot]\nboot"])
def test_of_a_file_that_says_nothing_what_runs_is_what_there_is(pi: Pi, text: str) -> None:
    pi.autoboot.write_text(text)
    pi.runs("B")
    assert (pi.status()["default"], pi.status()["other"]) == ("B", "bad")
    assert "only slot that is good" in pi.refuses("set-state", "B", "bad")
    pi.does("set-state", "B", "good")
    assert pi.boots() == "B"


def test_without_a_file_too(pi: Pi) -> None:
    assert pi.does("get-primary") == "A"
    pi.does("set-state", "B", "bad")
    assert pi.boots(tryboot=True) == "A"


def test_it_is_written_in_place_and_is_always_one_sector_of_the_same_length(pi: Pi) -> None:
    """A disk writes a sector whole or not at all; a rename on FAT is more than one, in no order."""
    lengths = set()
    pi.has("A", "good")
    node = pi.autoboot.stat().st_ino
    for request in (("set-state", "B", "bad"), ("set-primary", "B"), ("arm",), ("settle",)):
        pi.does(*request)
        lengths.add(len(pi.autoboot.read_bytes()))
        assert pi.autoboot.stat().st_ino == node
    assert lengths == {256}
    assert [one.name for one in pi.autoboot.parent.iterdir()] == ["autoboot.txt"]


@pytest.mark.parametrize(("default", "other"), list(itertools.product("AB", STATES)))
def test_a_file_as_an_image_is_made_gets_its_length_at_the_first_start(
    pi: Pi, default: str, other: str
) -> None:
    """And where power is lost between what is in it and how long it is, it says what it said."""
    pi.has(default, other)
    pi.runs(default)
    before, short = pi.status(), len(pi.autoboot.read_bytes())
    pi.does("settle")
    settled = pi.status()
    assert settled["other"] == ("failed" if other == "tried" else before["other"])
    assert settled["default"] == default
    written = pi.autoboot.read_bytes()
    assert len(written) == 256
    if other != "tried":
        pi.autoboot.write_bytes(written[:short])
        assert pi.status() == settled


def test_it_is_one_write_and_on_the_disk_before_it_is_said(pi: Pi) -> None:
    """By what the program is told that writes it."""
    pi.has("A", "good")
    programs = pi.folder / "programs"
    programs.mkdir()
    log = programs / "log"
    (programs / "dd").write_text(f'#!/bin/sh\necho "$@" > {log}\nexec {need.program("dd")} "$@"\n')
    (programs / "dd").chmod(0o755)
    pi.path = f"{programs}:/usr/bin:/bin"
    pi.does("set-state", "B", "bad")
    told = log.read_text().split()
    assert {"bs=256", "iflag=fullblock", "conv=notrunc,fsync"} <= set(told)


def test_what_an_owner_has_written_at_length_is_gone(pi: Pi) -> None:
    pi.autoboot.write_text("[all]\nboot_partition=2\n" + "# much of it\n" * 40)
    pi.does("set-state", "B", "bad")
    assert len(pi.autoboot.read_bytes()) == 256
    assert (pi.status()["default"], pi.status()["other"]) == ("A", "bad")


# -------------------- where it runs from


def test_the_slot_is_found_below_layers_of_encryption_and_verity(pi: Pi) -> None:
    pi.has("A", "good")
    mountinfo = pi.folder / "proc/self/mountinfo"
    mountinfo.write_text("22 1 254:1 / / ro - ext4 /dev/mapper/root ro\n")
    lower = pi.folder / "sys/dev/block/254:1/slaves/dm-0/slaves/mmcblk0p5"
    lower.mkdir(parents=True)
    (lower / "uevent").write_text("PARTNAME=system_b\n")
    assert pi.does("get-current") == "B"


def test_the_kernels_command_line_says_it_where_the_root_is_no_partition(pi: Pi) -> None:
    pi.has("A", "good")
    (pi.folder / "proc/self/mountinfo").write_text("22 1 0:30 / / rw - overlay overlay rw\n")
    assert "neither" in pi.refuses("get-current")
    (pi.folder / "proc/cmdline").write_text("root=/dev/ram0 rauc.slot=B quiet\n")
    assert pi.does("get-current") == "B"


@pytest.mark.parametrize(
    "words",
    [(), ("unlock",), ("get-state", "C"), ("set-primary", "2"), ("set-state", "A", "new")],
)
def test_what_makes_no_sense_is_refused(pi: Pi, words: tuple[str, ...]) -> None:
    pi.has("A", "good")
    assert pi.refuses(*words).startswith("slots: ")


def test_what_only_runs_can_be_found_good(pi: Pi) -> None:
    pi.has("A", "new")
    assert "does not run" in pi.refuses("set-state", "B", "good")


def test_who_may_not_read_the_partition_is_told_all_the_same(pi: Pi) -> None:
    pi.has("A", "good")
    pi.does("set-state", "B", "bad")
    told = pi.folder / "run" / "slots"
    assert told.read_text() == pi.does("status") + "\n"
    assert told.stat().st_mode & 0o777 == 0o644


# -------------------- what the daemon and the units know of it


def test_the_program_reads_what_the_script_says(pi: Pi, monkeypatch: pytest.MonkeyPatch) -> None:
    pi.has("A", "tried")
    monkeypatch.setattr(slots, "TOLD", pi.folder / "run" / "slots")
    assert slots.told() is None
    assert pi.boots() == "A"
    found = slots.told()
    why = "it came to no end: it hung, or power was lost"
    assert found == slots.Slots("A", "A", "failed", trial=False, fell_back=True, why=why)
    assert found.status().keys() == slots.NONE.keys()
    monkeypatch.setattr(slots, "PROGRAM", pi.program())
    assert slots.status() == found
    with pytest.raises(slots.NoSlots, match="there is no slot to be tried"):
        slots.ask("arm")


def recent_events(environ: Mapping[str, str]) -> list[dict[str, Any]]:
    with Client(environ) as client:
        found: list[dict[str, Any]] = client.ask(recent=True)
        return found


@pytest.mark.parametrize("fell_back", [True, False])
async def test_an_update_that_was_left_is_told_in_the_start_after_it(
    pi: Pi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fell_back: bool
) -> None:
    monkeypatch.setattr(slots, "TOLD", pi.folder / "run" / "slots")
    pi.has("B", "tried" if fell_back else "good")
    (pi.folder / "data" / "left").write_text("camera: is unplugged\n")
    assert pi.boots() == "B"
    async with house(config_for(free_port()), tmp_path, connected=False) as door:
        status = door.appliance.session.status()["update"]
        assert (status["slot"], status["fell_back"]) == ("B", fell_back)
        environ = {"APPLIANCE_SOCKET": str(tmp_path / "appliance.sock")}
        recent = await asyncio.to_thread(lambda: recent_events(environ))
        told = [one["data"] for one in recent if one["data"].get("where") == "update"]
        assert [one["code"] for one in told] == ["update_failed"] * fell_back
        assert all(
            one["message"]
            == "an update was tried and left (camera: is unplugged): slot B runs as before"
            for one in told
        )
        assert status["why"] == ("camera: is unplugged" if fell_back else None)
        assert door.appliance.session.status()["faults"] == {}, "the device itself is well"


@pytest.mark.parametrize("text", ["", "current=A\n", "=\n", "current"])
def test_what_makes_no_sense_is_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "slots").write_text(text)
    assert slots.told(tmp_path / "slots") is None


def test_a_system_without_slots_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "PROGRAM", tmp_path / "none")
    with pytest.raises(slots.NoSlots, match="by apt"):
        slots.status()


def disks(pi: Pi, *, system_b: str) -> None:
    """Two disks, each with a partition of every name; which of the second slot's are found."""
    links, blocks = pi.folder / "dev/disk/by-partlabel", pi.folder / "sys/class/block"
    links.mkdir(parents=True)
    blocks.mkdir(parents=True)
    for disk in ("mmcblk0", "sda"):
        for name in ("boot_b", "system_b"):
            node = pi.folder / f"sys/devices/{disk}/{disk}-{name}"
            node.mkdir(parents=True)
            (blocks / node.name).symlink_to(node)
            (pi.folder / "dev" / node.name).touch()
    runs = pi.folder / "sys/devices/mmcblk0/mmcblk0p4"
    runs.mkdir()
    entry = pi.folder / "sys/dev/block/179:4"
    (entry / "uevent").rename(runs / "uevent")
    entry.rmdir()
    entry.symlink_to(runs)
    (links / "boot_b").symlink_to("../../mmcblk0-boot_b")
    (links / "system_b").symlink_to(f"../../{system_b}-system_b")


def test_a_second_card_in_a_reader_is_never_written(pi: Pi) -> None:
    """By a label alone nobody knows whose it is; RAUC asks before it writes."""
    pi.has("A", "good")
    disks(pi, system_b="sda")
    assert "system_b is found on another disk" in pi.refuses("set-state", "B", "bad")


def test_and_the_own_one_is(pi: Pi) -> None:
    pi.has("A", "good")
    disks(pi, system_b="mmcblk0")
    pi.does("set-state", "B", "bad")
