"""A new device becomes the old one: files, modes, numbers; and what is refused, with nothing written."""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
from pathlib import Path

import msgspec
import pytest

from appliance.broker.told import links_of, tell
from appliance.cli import main
from appliance.errors import ApplianceError
from appliance.owner import baggage, sealed
from appliance.owner.backup import backup
from appliance.owner.baggage import Baggage
from appliance.owner.places import IMAGE, Places
from appliance.owner.restoring import _belongs, restore
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


def sent(one: Used, folder: Path) -> Path:
    made = folder / "one.backup"
    backup(one.places, made, passphrase_file=one.passphrase, cost=CHEAP, broker=one.broker)
    return made


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
    last = "  sudo systemctl restart appliance && sudo appliance doctor\n"
    assert said.endswith(f"What is left to do, in this order:\n{last}")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_all_of_the_broker_is_its_users_but_for_the_authoritys_key(
    old: Used, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = pwd.struct_passwd(("mosquitto", "x", 12345, 12345, "", "/", "/"))
    monkeypatch.setattr("pwd.getpwnam", lambda _: one)
    (old.broker / "ca.key").write_text("the house's")
    (old.broker / "ca.key").chmod(0o600)
    made = sent(old, tmp_path)
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
    [
        *(
            "../etc/passwd",
            "/etc/passwd",
            "etc/../../x",
            "etc/.hidden/x",
            "etc",
            "home/x",
            "etc//x",
        ),
        *("unit/ssh.service.d/x.conf", "unit/appliance.service.d/x.conf/y", "unit/x.service"),
    ],
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


# -------------------- a broker of its own


@pytest.fixture
def housed(old: Used) -> Used:
    """Its mosquitto is told of its broker, and its owner has changed units."""
    (old.broker / "appliance.conf").write_text("listener 8883\n")
    tell(old.broker, links_of(old.broker))
    for name in ("appliance.service.d/lan-only.conf", "mosquitto.service.d/limit.conf"):
        file = old.places.units / name
        file.parent.mkdir(parents=True)
        file.write_text("[Service]\n")
    return old


def with_mosquitto(folder: Path) -> Places:
    new = empty(folder)
    program = new.root / "usr" / "sbin" / "mosquitto"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return new


def test_mosquitto_is_told_of_a_broker_that_came_along(
    housed: Used, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = sent(housed, tmp_path)
    new = with_mosquitto(tmp_path / "new")
    link = new.state.parent / "conf.d" / "appliance.conf"
    link.parent.mkdir()
    link.write_text("what somebody had copied here")
    for _ in range(2):  # one that was cut off is done again
        assert put_back(made, new, housed) == 0
        assert link.readlink() == new.state.parent / "broker" / "appliance.conf"
        assert link.read_text() == "listener 8883\n"
        assert (new.units / "appliance.service.d" / "lan-only.conf").stat().st_mode & 0o777 == 0o644
        assert (new.units / "mosquitto.service.d" / "limit.conf").exists()
        left = capsys.readouterr().out.split("in this order:\n")[1].splitlines()
        assert left == [
            "  sudo systemctl daemon-reload",
            "  sudo systemctl restart mosquitto",
            "  sudo systemctl restart appliance && sudo appliance doctor",
        ]
    assert sorted(one.name for one in link.parent.iterdir()) == [
        "appliance.conf",
        "appliance.conf.before-restore",
    ]


def test_an_image_keeps_its_brokers_unit_as_it_is(
    housed: Used, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = sent(housed, tmp_path)
    new = with_mosquitto(tmp_path / "new")
    (new.root / IMAGE).mkdir(parents=True)
    assert put_back(made, new, housed) == 0
    assert (new.units / "appliance.service.d" / "lan-only.conf").exists()
    assert not (new.units / "mosquitto.service.d").exists()
    assert f"{new.units}/mosquitto.service.d/limit.conf is left out" in capsys.readouterr().out


def test_without_a_mosquitto_nothing_is_put_back_that_wants_one(
    housed: Used, tmp_path: Path
) -> None:
    """Its files would be root's, and it could not read them."""
    made = sent(housed, tmp_path)
    with pytest.raises(ApplianceError, match="here is no mosquitto: sudo apt install mosquitto"):
        put_back(made, empty(tmp_path / "new"), housed)
    assert lying(tmp_path / "new") == {}
    # one that had moved to another broker took the files along, and nothing else
    links_of(housed.broker).joinpath("appliance.conf").unlink()
    made = sent(housed, tmp_path)
    assert put_back(made, empty(tmp_path / "other"), housed) == 0
    assert (tmp_path / "other" / "broker" / "appliance.conf").exists()
    assert not (tmp_path / "other" / "conf.d").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_somebody_who_is_not_here_is_its_groups_all_the_same(tmp_path: Path) -> None:
    key = tmp_path / "server.key"
    key.write_text("a key")
    group = grp.getgrnam("daemon").gr_gid
    _belongs(key, "etc/server.key", ("whoever-is-not-here", "daemon"))
    assert (key.stat().st_uid, key.stat().st_gid) == (0, group)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_key_that_the_daemon_reads_by_its_group_is_its_groups_again(
    old: Used, tmp_path: Path
) -> None:
    """As docs/install.md lays down the page's."""
    etc = old.places.file.parent
    group = grp.getgrnam("daemon").gr_gid
    (etc / "server.key").write_text("a key")
    os.chown(etc / "server.key", 0, group)
    (etc / "server.key").chmod(0o640)
    made = sent(old, tmp_path)
    new = empty(tmp_path / "new")
    key = new.file.parent / "server.key"
    for _ in range(2):
        assert put_back(made, new, old) == 0
        found = key.stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (0, group, 0o640)
        os.chown(key, 0, 0)  # as where it was cut off before that: it is done again
