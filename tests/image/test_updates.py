"""Updates in the stand-in machine: RAUC itself, dm-verity, two slots, and restarts as a Pi makes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image import updated
from tests.image.build import image
from tests.image.door import Door
from tests.lab.stock import CannotBuildHere
from tests.parts.need import skip_or_fail

pytestmark = pytest.mark.timeout(3600)

SERVER = Path(__file__).parents[1] / "parts" / "rangeserver.py"
PATIENCE = "[call]\nring_timeout_s = 900\n"
"""Beside other work the commands of a test take longer than a call rings otherwise."""
FIRMWARE, OWN = "/boot/firmware", "dtoverlay=hifiberry-dac"
PORT = 4443
"""Of https in the machine; at 8443 is the page of its first start."""
TRUSTED = "/etc/ssl/certs/ca-certificates.crt"
CERTIFICATE = (
    "-x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost"
    " -addext subjectAltName=DNS:localhost -keyout /run/key -out /run/server.crt"
)


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk of bundles: one that is good, and others."""
    folder = tmp_path_factory.mktemp("bundles")
    try:
        image("amd64")
    except CannotBuildHere as error:
        skip_or_fail(str(error))
    good = updated.bundle(folder, "good", updated.GOOD)
    return updated.disk(
        folder,
        updated.spoilt(good),
        good,
        updated.bundle(folder, "never-ready", updated.NEVER_READY, updated.NEXT),
        updated.bundle(folder, "hangs", updated.HANGS, updated.NEXT),
        updated.bundle(folder, "without-python", updated.WITHOUT_PYTHON, updated.NEXT),
        updated.bundle(folder, "next", updated.GOOD, updated.NEXT),
        updated.foreign(folder),
    )


@pytest.fixture(scope="module")
def door(beside: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """One machine for all, in the order of the file."""
    folder = tmp_path_factory.mktemp("machine") / "door"
    with Door(folder, image("amd64"), user_mode=True, size_mb=4096, beside=beside) as one:
        one.ready()
        one.put("/etc/appliance/conf.d/30-patience.toml", PATIENCE)
        one.configure()
        yield one


def other_slot(door: Door) -> str:
    """What lies in the slot that does not run."""
    return door.check(
        "for each in boot system; do sha256sum < $(readlink -f /dev/disk/by-slot/other/$each); done"
    )


def test_it_runs_from_the_first_slot_and_rings(door: Door) -> None:
    assert door.slots() == {
        "version": door.slots()["version"], "slot": "A", "default_slot": "A", "other_slot": "good",
        "trial": False, "fell_back": False, "why": None,
    }  # fmt: skip
    assert door.rings()


def test_of_another_publisher_not_a_byte_is_written(door: Door) -> None:
    before = other_slot(door)
    assert "key that this device does not know" in door.refused("foreign.raucb")
    assert other_slot(door) == before
    assert door.slots()["other_slot"] == "good", "and can still be fallen back to"


def test_a_block_that_is_spoilt_is_never_written(door: Door) -> None:
    """RAUC reads by the signed tree of hashes; what it has begun with is known to be nothing whole."""
    assert "is refused" in door.refused("spoilt.raucb")
    assert door.slots()["other_slot"] == "bad"
    door.restart("0 tryboot")
    door.ready()
    assert door.slots()["slot"] == "A", "and is reached by no way"
    assert door.rings()


def test_nobody_but_root_speaks_with_rauc_and_only_the_group_asks(door: Door) -> None:
    door.bundles()
    alone = "runuser -u nobody -- "
    assert not door.run(f"{alone}rauc status mark-bad other").ok
    assert not door.run(f"{alone}rauc install /run/bundles/good.raucb").ok
    assert "root and the group appliance" in door.run(f"{alone}appliance update check").out
    grouped = door.run("runuser -u appliance -- appliance update check /run/bundles/good.raucb")
    assert grouped.out.startswith("9.0 is to be had"), grouped.out
    older = "runuser -u appliance -- appliance update install --older /run/bundles/good.raucb"
    assert "root's" in door.run(older).out


def test_it_waits_for_the_end_of_a_call(door: Door) -> None:
    """And is then made: written, tried, found good. What was added to config.txt is there again."""
    door.check(f"mount -o remount,rw {FIRMWARE}; echo {OWN} >> {FIRMWARE}/config.txt")
    door.check(f"mount -o remount,ro {FIRMWARE}")
    door.check("appliance press call")
    door.until('appliance status | grep \'"state": "outgoing"\'')
    door.install("good.raucb")
    door.until("grep 'waiting: a call is on' /run/update.log")
    assert door.slots()["other_slot"] == "bad", "nothing is written yet"
    door.check("appliance ctl end_call")
    door.followed(1)
    door.ready()
    door.until('appliance update status | grep \'"default_slot": "B"\'', 1200)
    assert door.check(f"cat {updated.MARK}") == "good\n"
    slots = door.slots()
    assert (slots["slot"], slots["other_slot"], slots["trial"]) == ("B", "good", False)
    assert door.check(f"tail -n 1 {FIRMWARE}/config.txt") == f"{OWN}\n"
    assert door.rings()


def test_it_is_booted_from_then_on(door: Door) -> None:
    door.restart()
    door.ready()
    assert door.slots()["slot"] == "B"
    assert door.rings(), "with the configuration of before"


@pytest.mark.parametrize("which", ["never-ready", "hangs", "without-python"])
def test_one_that_is_no_good_is_left_by_itself(door: Door, which: str) -> None:
    """Not ready; neither it nor its judge ever ends; nothing of it can be started at all."""
    door.install(f"{which}.raucb")
    door.followed(2)
    door.ready()
    assert door.check(f"cat {updated.MARK}") == "good\n"
    slots = door.slots()
    assert (slots["slot"], slots["other_slot"], slots["fell_back"]) == ("B", "failed", True)
    assert ("came to no end" in str(slots["why"])) is (which != "never-ready")
    door.until("appliance events --type error | grep update_failed")
    assert "tried, and left" in door.run("appliance doctor").out
    assert door.rings()


def test_what_was_left_is_not_booted_by_a_stray_tryboot(door: Door) -> None:
    door.restart("0 tryboot")
    door.ready()
    assert door.slots()["slot"] == "B"


# -------------------- by a URL: RAUC reads by the kernel's nbd what its own program fetches


@pytest.fixture
def server(door: Door) -> str:
    """Where the bundles are by https, of an authority that the machine trusts until it restarts.

    It ends after 40 MB.
    """
    door.bundles()
    door.put("/run/server.py", SERVER.read_text())
    door.check(f"openssl req {CERTIFICATE}; cat /run/key /run/server.crt > /run/server.pem")
    door.check(f"cat {TRUSTED} /run/server.crt > /run/trusted; mount --bind /run/trusted {TRUSTED}")
    served(door, 40_000_000)
    return f"https://localhost:{PORT}"


def served(door: Door, length: int | None = None) -> None:
    """Have the bundles served from now on, or until so much of them was."""
    more = length or ""
    door.start(f"python3 /run/server.py /run/bundles /run/server.pem {PORT} {more}", 3600)
    door.until(f"bash -c ': < /dev/tcp/127.0.0.1/{PORT}'")


def test_one_at_a_url_is_written_as_it_comes(door: Door, server: str) -> None:
    """What it is told by its end; where the network ends meanwhile, it is nothing, and is had anew."""
    before = door.slots()
    assert "9.1 is to be had" in door.check(f"appliance update check {server}/next.raucb")
    assert "9.0 runs, which is no older" in door.refused(f"{server}/good.raucb")
    assert "key that this device does not know" in door.refused(f"{server}/foreign.raucb")
    assert "is refused" in door.refused(f"{server}/none.raucb")
    assert door.slots() == before, "nothing has been written"
    assert "is refused" in door.refused(f"{server}/next.raucb")
    assert door.slots()["other_slot"] == "bad", "it was begun, and the network has ended"
    assert door.rings()
    served(door)
    door.install(f"{server}/next.raucb")
    door.followed(1)
    door.ready()
    other = "A" if before["slot"] == "B" else "B"
    door.until(f'appliance update status | grep \'"default_slot": "{other}"\'', 1200)
    slots = door.slots()
    assert slots["slot"] == other
    assert (slots["other_slot"], slots["trial"]) == ("good", False)
    assert door.rings()
