"""A broker's folder: made once, completed, and never made anew over what is there."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.broker.house import House, NoBroker
from appliance.broker.pages import NoPage
from appliance.broker.passwords import NoAccount, fits
from appliance.cli import main
from appliance.trust.authority import Authority
from tests.parts.mosquitto import Mosquitto
from tests.parts.need import program


@pytest.fixture
def house(tmp_path: Path) -> House:
    made = House(tmp_path / "broker")
    made.new(["broker.lan", "10.0.0.1"], device="back-door", root="home/calls")
    return made


def test_everything_that_the_configuration_names_is_there(house: House) -> None:
    text = (house.folder / "appliance.conf").read_text()
    named = [word for word in text.split() if word.startswith("/")]
    assert len(named) > 8
    assert [file for file in named if not Path(file).is_file() and "conf.d" not in file] == [
        f"{house.folder}/."
    ]


def test_the_acl_is_about_this_root_and_this_device(house: House) -> None:
    rules = [
        line.split()
        for line in (house.folder / "acl").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    topics = [words[-1] for words in rules if words[0] != "user"]
    assert all(topic.startswith("home/calls/") for topic in topics)
    assert "home/calls/device/back-door/command/set_do_not_disturb" in topics
    assert not any("front-door" in topic for topic in topics)


def test_nobody_but_the_broker_reads_it(house: House) -> None:
    files = [path for path in house.folder.rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o077 for path in [house.folder, *files]} == {0}


def test_made_again_it_keeps_authority_and_accounts(house: House) -> None:
    house.make("alice")
    before = {
        name: (house.folder / name).read_bytes() for name in ("ca.crt", "ca.key", "passwords")
    }
    house.new(["other.lan"], device="back-door", root="home/calls")
    assert {name: (house.folder / name).read_bytes() for name in before} == before


def page(folder: Path) -> tuple[bytes, bytes]:
    """A page's certificate with its key, and who signed it."""
    authority = Authority.load_or_make(folder, "door", "gate")
    return authority.leaf(["gate.local"])[0].read_bytes(), authority.pem


def test_pages_meet_a_certificate_of_their_own_where_there_is_one(
    house: House, tmp_path: Path
) -> None:
    before = (house.folder / "appliance.conf").read_text()
    first, authority = page(tmp_path / "tls")
    assert not house.renew_pages(first, authority), "they meet everybody's here"
    house.new(["broker.lan"], device="back-door", root="home/calls", pages=first)
    text = (house.folder / "appliance.conf").read_text()
    changed = [
        line
        for line, old in zip(text.splitlines(), before.splitlines(), strict=True)
        if line != old
    ]
    pem = house.folder / "pages.pem"
    assert changed == [f"certfile {pem}", f"keyfile {pem}"]
    assert text.index("listener 8884") < text.index(changed[0]) < text.index("listener 8885")
    (tmp_path / "tls" / "page.pem").unlink()
    second, _ = page(tmp_path / "tls")
    assert house.renew_pages(second, authority)
    assert pem.read_bytes() == second
    assert not house.renew_pages(second, authority), "nobody has to be told"
    for bad in (b"a certificate and its key", page(tmp_path / "other")[0]):
        with pytest.raises(NoPage):
            house.renew_pages(bad, authority)
        with pytest.raises(NoPage):
            house.new(["broker.lan"], device="back-door", pages=bad[:-99])
    house.new(["other.lan"], device="back-door", root="home/calls")
    assert (house.folder / "appliance.conf").read_text() == text
    assert pem.read_bytes() == second


@pytest.fixture
def mosquitto(monkeypatch: pytest.MonkeyPatch) -> int:
    """The broker's user, of whom this machine may know nothing; only root gives it files."""
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    one = pwd.struct_passwd(("mosquitto", "x", 12345, 12345, "", "/", "/"))
    monkeypatch.setattr("pwd.getpwnam", lambda _: one)
    return one.pw_uid


def owners(folder: Path) -> dict[str, int]:
    return {str(one.relative_to(folder)): one.lstat().st_uid for one in folder.rglob("*")}


def test_all_is_the_brokers_but_for_the_authoritys_key(mosquitto: int, tmp_path: Path) -> None:
    house = House(tmp_path / "broker")
    house.new(["broker.lan"], device="door")
    house.make("alice")
    house.certify("alice", tmp_path)
    key = house.folder / "ca.key"
    found = owners(house.folder)
    assert found.pop("ca.key") == 0
    assert {"passwords", "server.key", "certificates/alice.0.crt"} < found.keys()
    assert {house.folder.stat().st_uid, *found.values()} == {mosquitto}
    # as an earlier version laid it out
    os.chown(key, mosquitto, mosquitto)
    key.chmod(0o640)
    before = key.read_bytes()
    assert main(["broker", "--folder", str(house.folder), "account", "bob"]) == 0
    assert (key.stat().st_uid, key.stat().st_gid, key.stat().st_mode & 0o777) == (0, 0, 0o600)
    assert key.read_bytes() == before


def test_nothing_outside_is_given_away_whatever_the_broker_lays_in_its_folder(
    mosquitto: int, tmp_path: Path
) -> None:
    house = House(tmp_path / "broker")
    house.new(["broker.lan"], device="door")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "shadow").write_bytes(b"root's")
    (outside / "shadow").chmod(0o640)
    (house.folder / "certificates").rmdir()
    (house.folder / "certificates").symlink_to(outside)
    (house.folder / "other").symlink_to(outside / "shadow")
    (house.folder / "ca.key").unlink()
    (house.folder / "ca.key").symlink_to(outside / "shadow")
    house.belong()
    assert owners(outside) == {"shadow": 0}
    assert outside.stat().st_uid == 0
    assert (outside / "shadow").stat().st_mode & 0o777 == 0o640
    assert (house.folder / "certificates").lstat().st_uid == mosquitto


def test_a_folder_that_is_swapped_for_a_link_meanwhile_gives_nothing_away(
    mosquitto: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between being found and being given, which is when a broker that was taken over would do it."""
    house = House(tmp_path / "broker")
    house.new(["broker.lan"], device="door")
    house.certify("alice", tmp_path)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "alice.0.crt").write_bytes(b"root's")
    certificates = house.folder / "certificates"
    give = os.chown

    def swapped(path: Path | str, *given: int, **more: int) -> None:
        if Path(path).name == "alice.0.crt" and not certificates.is_symlink():
            certificates.rename(tmp_path / "aside")
            certificates.symlink_to(outside)
        give(path, *given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "chown", swapped)
    house.belong()
    assert certificates.is_symlink(), "it was swapped"
    assert owners(outside) == {"alice.0.crt": 0}


def test_its_authority_is_believed_for_what_it_was_made_with_and_no_more(tmp_path: Path) -> None:
    house = House(tmp_path / "broker")
    house.new(["mqtt.example.org", "203.0.113.7"], device="door")
    house.new(["mqtt.example.org", "Broker.lan", "192.168.1.2"], device="door")
    before = {file: file.read_bytes() for file in house.folder.iterdir() if file.is_file()}
    for host in ("mqtt.example.com", "203.0.113.8", "phone"):
        with pytest.raises(NoBroker, match=host):
            house.new(["broker.lan", host], device="door")
        with pytest.raises(NoBroker, match=host):
            house.renew([host], page(tmp_path / "tls")[0])
    with pytest.raises(NoPage):
        house.renew(["broker.lan"], b"root:x:0:0:")
    assert {file: file.read_bytes() for file in before} == before


@pytest.mark.broker
def test_the_systems_broker_is_told_though_no_file_has_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Debian 13 starts it: by the configuration that it was started with."""
    house = House(tmp_path / "broker")
    house.new_local(["door"], device="door")
    broker = Mosquitto(program("mosquitto"), tmp_path)
    other = Mosquitto(program("mosquitto"), Path(tempfile.mkdtemp(dir=tmp_path)))
    broker.start()
    other.start()
    try:
        monkeypatch.setattr("appliance.broker.house.PID_FILE", tmp_path / "none")
        monkeypatch.setattr("appliance.broker.house.SYSTEM_CONFIGURATION", tmp_path / "none.conf")
        assert not house.reload()
        file = tmp_path / "mosquitto.conf"
        monkeypatch.setattr("appliance.broker.house.SYSTEM_CONFIGURATION", file)
        assert house.reload()
        deadline = time.monotonic() + 30
        while "Reloading config" not in broker.log and time.monotonic() < deadline:
            time.sleep(0.02)
        assert "Reloading config" in broker.log
        assert "Reloading config" not in other.log
    finally:
        broker.kill()
        other.kill()


STARTING = """
import pathlib, signal, sys, time
pathlib.Path("/proc/self/comm").write_text("mosquitto")
sys.stdout.write("starts\\n"); sys.stdout.flush()
sys.stdin.readline()
signal.signal(signal.SIGHUP, lambda *_: sys.exit("was told"))
time.sleep(600)
"""


@pytest.fixture
def starting(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A broker that becomes ready when it reads a line, and the file with its number."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", STARTING], stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as broker:
        try:
            assert broker.stdout is not None
            assert broker.stdout.readline() == "starts\n"
            number = tmp_path / "number"
            number.write_text(f"{broker.pid}\n")
            yield broker, number
        finally:
            broker.kill()


def test_a_broker_that_only_starts_is_told_when_it_can_be(
    starting: tuple[subprocess.Popen[str], Path], house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it has a handler it would end of it, in the midst of its start."""
    broker, number = starting
    looks: list[float] = []

    def looked(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:  # it becomes ready while it is waited for
            assert broker.stdin is not None
            broker.stdin.write("\n")
            broker.stdin.flush()
        time.sleep(seconds)

    monkeypatch.setattr("appliance.broker.house.STARTS_S", 30.0)
    monkeypatch.setattr("appliance.broker.house.pause", looked)
    assert house.reload(number)
    assert broker.stderr is not None
    assert "was told" in broker.stderr.read()
    assert broker.wait(30) == 1
    assert len(looks) >= 3


def test_one_that_never_becomes_ready_is_left_alone(
    starting: tuple[subprocess.Popen[str], Path],
    house: House,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker, number = starting
    monkeypatch.setattr("appliance.broker.house.STARTS_S", 0.1)
    assert not house.reload(number)
    assert broker.poll() is None
    assert "does not become ready" in caplog.text


def test_one_for_one_computer_has_an_account_for_each_and_what_is_good_stays(
    tmp_path: Path,
) -> None:
    house = House(tmp_path / "broker")
    files = house.new_local(["front-door", "alice"], device="front-door")
    kept = house.passwords.accounts()
    told = {name: file.read_text().strip() for name, file in files.items()}
    assert all(fits(told[name], kept[name]) for name in ("front-door", "alice"))
    assert {file.stat().st_mode & 0o777 for file in files.values()} == {0o600}
    files["front-door"].unlink()
    again = house.new_local(["front-door", "alice", "bob"], device="front-door")
    assert again["alice"].read_text().strip() == told["alice"]
    assert fits(told["alice"], house.passwords.accounts()["alice"])
    assert again["front-door"].read_text().strip() != told["front-door"]
    for name, file in again.items():
        assert fits(file.read_text().strip(), house.passwords.accounts()[name])
    with pytest.raises(NoAccount):
        house.new_local(["front-door", "../alice"], device="front-door")


def test_one_for_one_computer_becomes_a_houses_and_back(tmp_path: Path) -> None:
    house = House(tmp_path / "broker")
    alice = house.new_local(["alice"], device="front-door")["alice"].read_text().strip()
    configuration = house.folder / "appliance.conf"
    assert "certfile" not in configuration.read_text()
    house.new(["broker.lan"], device="front-door")
    text = configuration.read_text()
    assert "certfile" in text
    assert "listener 8083" not in text
    assert "mosquitto.pid" not in text
    assert fits(alice, house.passwords.accounts()["alice"])
    house.new_local(["alice"], device="front-door")
    assert "certfile" not in configuration.read_text()
    assert house.authority()


def test_certificates_are_given_and_taken_back_by_name(house: House, tmp_path: Path) -> None:
    first = house.certify("alice", tmp_path)[0].read_bytes()
    second = house.certify("alice", tmp_path)[0].read_bytes()
    assert first != second
    house.certify("alice-2", tmp_path)
    assert house.remove("alice")
    assert not house.remove("alice")
    assert len(house.authority().revoked()) == 2
    house.certify("alice", tmp_path)
    assert house.remove("alice")
    assert len(house.authority().revoked()) == 3


def test_what_is_no_name_becomes_none(house: House, tmp_path: Path) -> None:
    for name in ("../alice", "a b", "#", ""):
        with pytest.raises(NoAccount):
            house.certify(name, tmp_path)
        with pytest.raises(NoAccount):
            house.remove(name)
    other = House(tmp_path / "other")
    for hosts, device, root in (
        (["a b"], "door", "root"),
        (["ok\nuser root"], "door", "root"),
        (["ok"], "Door", "root"),
        (["ok"], "door", "root/#"),
        (["ok"], "door", "a b"),
    ):
        with pytest.raises(NoBroker):
            other.new(hosts, device=device, root=root)
    assert not other.folder.exists()


def test_without_a_folder_there_is_nobody_to_add(tmp_path: Path) -> None:
    house = House(tmp_path / "none")
    with pytest.raises(NoBroker, match="appliance broker new"):
        house.make("alice")


def test_another_program_with_the_brokers_number_is_left_alone(
    house: House, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    assert not house.reload(pid)
    for text in ("", "rubbish", f"{os.getpid()}\n", "0", "4194305"):
        pid.write_text(text)
        assert not house.reload(pid)  # and this test is still alive
