"""A new device becomes the old one: files, modes, numbers; and what is refused, with nothing written."""

from __future__ import annotations

import hashlib
import os
import pwd
from pathlib import Path

import msgspec
import pytest

from appliance.cli import main
from appliance.errors import ApplianceError
from appliance.owner import baggage, sealed
from appliance.owner.backup import backup
from appliance.owner.baggage import Baggage
from appliance.owner.places import Places
from appliance.owner.restoring import restore
from appliance.owner.sealed import CannotBeOpened
from appliance.signaling.presence import online
from appliance.signaling.sequence import RESERVED, first_number
from appliance.socket_path import AlreadyRunning, only_one
from appliance.trust.contacts import Contacts
from appliance.trust.keys import DeviceKey
from tests.owner.device import CHEAP, PASSPHRASE, Used, device, empty


def nobody(*_: object) -> dict[str, bytes]:
    """A broker that keeps nothing."""
    return {}


@pytest.fixture
async def old(tmp_path: Path) -> Used:
    return await device(tmp_path / "old")


@pytest.fixture
def file(old: Used, tmp_path: Path) -> Path:
    made = tmp_path / "old.backup"
    backup(
        old.places, made, calls=True, passphrase_file=old.passphrase, cost=CHEAP, broker=old.broker
    )
    return made


def put_back(file: Path, on: Places, old: Used, **options: object) -> int:
    options.setdefault("kept", nobody)
    options.setdefault("broker", on.state.parent / "broker")
    return restore(on, file, passphrase_file=old.passphrase, **options)  # type: ignore[arg-type]


def lying(folder: Path) -> dict[str, bytes]:
    return {
        str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()
    }


def test_everything_is_in_its_place(
    old: Used, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = empty(tmp_path / "new")
    assert put_back(file, new, old) == 0
    there, was = lying(tmp_path / "new"), lying(tmp_path / "old")
    stays = {"elsewhere.pem", "passphrase", "store/somebody-elses", "state/outputs.json"}
    gone = {name for name in was if name not in there}
    assert gone == stays | {"state/recordings/2026-11-28T00-00-00Z_c1.mp4"}
    changed = {
        name for name in there if not name.startswith("run/") and there[name] != was.get(name)
    }
    assert changed == {"state/sequence"}
    assert (new.state / "device.key").stat().st_mode & 0o777 == 0o600
    assert (new.file.parent / "hooks.d" / "call_ended.sh").stat().st_mode & 0o777 == 0o755
    assert (
        DeviceKey.load_or_make(new.state, {}).kid
        == DeviceKey.load_or_make(old.places.state, {}).kid
    )
    assert Contacts({}, new.state / "contacts.toml").has_key(old.phone.kid)
    said = capsys.readouterr().out
    assert "elsewhere.pem" in said
    assert "is believed again" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_all_of_the_broker_is_its_users_but_for_the_authoritys_key(
    old: Used, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = pwd.struct_passwd(("mosquitto", "x", 12345, 12345, "", "/", "/"))
    monkeypatch.setattr("pwd.getpwnam", lambda _: one)
    (old.broker / "ca.key").write_text("the house's")
    (old.broker / "ca.key").chmod(0o600)
    made = tmp_path / "one.backup"
    backup(old.places, made, passphrase_file=old.passphrase, cost=CHEAP, broker=old.broker)
    new = empty(tmp_path / "new")
    assert put_back(made, new, old) == 0
    broker = new.state.parent / "broker"
    found = {file.name: file.stat().st_uid for file in (broker, *broker.iterdir())}
    assert found == {"broker": 12345, "ca.crt": 12345, "passwords": 12345, "ca.key": 0}
    assert (broker / "ca.key").stat().st_mode & 0o777 == 0o600


def test_its_numbers_begin_above_all_that_the_dead_one_may_have_used(
    old: Used, file: Path, tmp_path: Path
) -> None:
    """A phone that stayed connected refuses what does not rise; and a second successor comes later."""
    state = old.places.state
    for _ in range(20):  # it has started again and again since
        used = first_number(state, 1_795_252_800_123) + RESERVED
    new = empty(tmp_path / "new")
    put_back(file, new, old)
    first = first_number(new.state, 0)
    assert used < first < 2**53 - RESERVED
    other = empty(tmp_path / "other")
    put_back(file, other, old)
    assert first_number(other.state, 0) >= first


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda data: data[:-40], "damaged, or was cut off"),
        (lambda data: b"GIF89a" + data, "no backup of an appliance"),
        (lambda data: data.replace(b"backup 1", b"backup 9", 1), "later version"),
    ],
)
def test_a_damaged_and_a_foreign_file_change_nothing(
    old: Used, file: Path, tmp_path: Path, spoil: object, sentence: str
) -> None:
    file.write_bytes(spoil(file.read_bytes()))  # type: ignore[operator]
    new = empty(tmp_path / "new")
    with pytest.raises(CannotBeOpened, match=f"{file}: .*{sentence}"):
        put_back(file, new, old)
    assert lying(tmp_path / "new") == {}


def test_another_passphrase_changes_nothing(old: Used, file: Path, tmp_path: Path) -> None:
    old.passphrase.write_text("another passphrase")
    with pytest.raises(CannotBeOpened, match="not its passphrase"):
        put_back(file, empty(tmp_path / "new"), old)


@pytest.mark.parametrize(
    "name",
    ["../etc/passwd", "/etc/passwd", "etc/../../x", "etc/.hidden/x", "etc", "home/x", "etc//x"],
)
def test_no_file_in_it_leads_out_of_its_folder(
    old: Used, file: Path, tmp_path: Path, name: str
) -> None:
    content = baggage.read(sealed.unseal(file.read_bytes(), PASSPHRASE))
    evil = baggage.packed(b"evil", 0o777)
    wrong = msgspec.structs.replace(content, files={**content.files, name: evil})
    file.write_bytes(sealed.seal(baggage.written(wrong), PASSPHRASE, CHEAP))
    with pytest.raises(CannotBeOpened, match="a name that no backup has"):
        put_back(file, empty(tmp_path / "new"), old)
    assert lying(tmp_path / "new") == {}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: msgspec.structs.replace(content, files={}),
        lambda content: msgspec.structs.replace(content, kid="another"),
        lambda content: msgspec.structs.replace(
            content,
            files={**content.files, "state/device.key": baggage.packed(b"no key", 0o600)},
        ),
        lambda content: msgspec.structs.replace(
            content,
            files={
                **content.files,
                "state/memory.json": baggage.Packed(b"x", 0o600, hashlib.sha256(b"y").hexdigest()),
            },
        ),
    ],
)
def test_what_is_sealed_and_makes_no_sense_is_refused_too(
    old: Used, file: Path, tmp_path: Path, spoil: object
) -> None:
    content = baggage.read(sealed.unseal(file.read_bytes(), PASSPHRASE))
    wrong: Baggage = spoil(content)  # type: ignore[operator]
    file.write_bytes(sealed.seal(baggage.written(wrong), PASSPHRASE, CHEAP))
    with pytest.raises(CannotBeOpened):
        put_back(file, empty(tmp_path / "new"), old)
    assert lying(tmp_path / "new") == {}
    with pytest.raises(CannotBeOpened, match="no sense"):
        baggage.read(b"\x93nonsense")


def test_beside_a_running_appliance_nothing_is_put_back(
    old: Used, file: Path, tmp_path: Path
) -> None:
    new = empty(tmp_path / "new")
    with only_one(Path(new.environ["APPLIANCE_SOCKET"])), pytest.raises(AlreadyRunning):
        put_back(file, new, old)


async def test_a_device_with_phones_of_its_own_forgets_them_with_a_word_alone(
    old: Used, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = (await device(tmp_path / "new")).places
    before = lying(tmp_path / "new")
    with pytest.raises(ApplianceError, match="1 phones are paired"):
        put_back(file, new, old)
    assert {**lying(tmp_path / "new")} == before | {"run/appliance.sock.lock": b""}
    assert put_back(file, new, old, yes=True) == 0
    assert Contacts({}, new.state / "contacts.toml").has_key(old.phone.kid)
    assert "they would have to be" in capsys.readouterr().out


async def test_a_key_that_was_only_made_at_the_first_start_is_replaced_without_a_word(
    old: Used, file: Path, tmp_path: Path
) -> None:
    new = empty(tmp_path / "new")
    own = DeviceKey.load_or_make(new.state, {}).kid
    (new.credstore / "appliance.device_key").write_bytes(DeviceKey.make().pem())
    assert put_back(file, new, old) == 0
    assert DeviceKey.load_or_make(new.state, {}).kid != own
    assert not (new.credstore / "appliance.device_key").exists(), "it would go before the other"


def test_what_the_new_one_had_in_its_configuration_is_kept_beside(
    old: Used, file: Path, tmp_path: Path
) -> None:
    new = empty(tmp_path / "new")
    new.file.write_text("[device]\n")
    new.drop_ins.mkdir()
    (new.drop_ins / "99-setup.toml").write_text('[device]\nid = "another"\n')
    assert put_back(file, new, old) == 0
    assert new.file.with_name("appliance.toml.before-restore").read_text() == "[device]\n"
    assert [one.name for one in new.drop_ins.glob("*.toml")] == ["own.toml"]
    assert (new.drop_ins / "99-setup.toml.before-restore").exists()


async def test_who_was_revoked_here_since_stays_revoked(
    old: Used, file: Path, tmp_path: Path
) -> None:
    contacts = Contacts({}, old.places.state / "contacts.toml")
    second = DeviceKey.make()
    await contacts.add("al", "Al", second.public, ())
    backup(old.places, file, passphrase_file=old.passphrase, cost=CHEAP)
    await contacts.revoke("al", old.phone.kid)
    assert put_back(file, old.places, old) == 0
    again = Contacts({}, old.places.state / "contacts.toml")
    assert (again.has_key(old.phone.kid), again.has_key(second.kid)) == (False, True)
    await again.revoke("al")
    assert put_back(file, old.places, old) == 0
    assert "al" not in Contacts({}, old.places.state / "contacts.toml")


def test_a_device_that_is_still_at_the_broker_is_not_doubled(
    old: Used, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kid = DeviceKey.load_or_make(old.places.state, {}).kid
    asked: list[object] = []

    def there(mqtt: object, device: str, topics: str) -> dict[str, bytes]:
        asked.append((getattr(mqtt, "password_file", None), device, topics))
        read.append(Path(asked[-1][0]).read_text())  # type: ignore[index]
        return {"appliance/presence/door/main": online("e" * 32, "Door", kid)}

    read: list[str] = []
    new = empty(tmp_path / "new")
    with pytest.raises(ApplianceError, match="switch the old one off first"):
        put_back(file, new, old, kept=there)
    assert not (new.state / "device.key").exists()
    assert asked[0][1:] == ("door", "appliance/presence/door/+")  # type: ignore[index]
    assert read == ["recognise-broker-pa55word\n"]
    assert not Path(asked[0][0]).exists(), "the secret is gone again"  # type: ignore[index]
    assert put_back(file, new, old, kept=lambda *_: None) == 0
    assert "see that it is off, for good" in capsys.readouterr().out.replace("\n", " ")
    for told in (
        {"t": b"offline"},
        {"t": b'{"v":1,"state":"offline"}'},
        {"t": online("e" * 32, "D", "x")},
    ):
        assert put_back(file, new, old, kept=lambda *_, told=told: told) == 0
    assert put_back(file, new, old, kept=there, twin=True) == 0


def test_the_command(
    old: Used,
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    new = empty(tmp_path / "new")
    for name, value in new.environ.items():
        monkeypatch.setenv(name, value)
    words = ["--passphrase-file", str(old.passphrase), "--config", str(new.file)]
    assert main(["restore", str(tmp_path / "none"), *words]) == 1
    assert "cannot be read" in capsys.readouterr().err
    assert main(["restore", str(file), "--config", str(new.file)]) == 1
    assert "--passphrase-file" in capsys.readouterr().err


def test_how_a_machine_gets_the_old_name_is_said_for_an_image_too(
    old: Used, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """There `/etc/hostname` is only read, and the name in a file that may have come with the backup."""
    content = baggage.read(sealed.unseal(file.read_bytes(), PASSPHRASE))
    renamed = msgspec.structs.replace(content, host="front-door")
    said = {}
    for kept in ("", "appliance-1f3a\n", "front-door\n"):
        new = empty(tmp_path / f"new-{kept.strip()}")
        if kept:
            (new.file.parent / "hostname").write_text(kept)
        sent = tmp_path / "renamed.backup"
        sent.write_bytes(sealed.seal(baggage.written(renamed), PASSPHRASE, CHEAP))
        assert put_back(sent, new, old) == 0
        [said[kept]] = [
            line for line in capsys.readouterr().out.splitlines() if "old machine's" in line
        ]
    assert said[""].endswith("sudo hostnamectl set-hostname front-door")
    assert "echo front-door | sudo tee" in said["appliance-1f3a\n"]
    assert said["front-door\n"].endswith("sudo reboot, and it has it")
