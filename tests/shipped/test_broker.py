"""The broker that the project ships: who is let in, and what each may say and hear, pair by pair."""

from __future__ import annotations

import contextlib
import re
import resource
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.broker.authority import Authority, _common_name
from appliance.trust.certificates import FOR_SERVERS
from appliance.whole_file import write_whole
from tests.parts.brokerhouse import (
    CERTIFICATES,
    NOT_AUTHORIZED,
    PAGES,
    PATIENCE_S,
    PLAIN,
    TLS,
    Endpoint,
    ShippedBroker,
)

pytestmark = pytest.mark.broker

DOOR, OTHER, ALICE, BOB, HOME = "front-door", "back-door", "alice", "bob", "homeassistant"
"""Two devices, two people, and an automation."""
GRACE = "grace"
"""One of the people who give signed commands, by a paragraph of her own."""
ROLES = (DOOR, OTHER, ALICE, BOB, GRACE, HOME)
ALL, PEOPLE = frozenset(ROLES), frozenset({DOOR, OTHER, ALICE, BOB, GRACE})
D, C, P = "appliance/device", "appliance/call", "appliance/presence"
NOBODY = frozenset[str]()

MATRIX: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    # topic: who may write (plainly, retained, as a will), who may read
    f"{C}/{DOOR}/{ALICE}": (frozenset({ALICE}), frozenset({DOOR})),
    f"{C}/{ALICE}/{DOOR}": (frozenset({DOOR}), frozenset({ALICE})),
    f"{C}/{BOB}/{ALICE}": (frozenset({ALICE}), frozenset({BOB})),
    f"{C}/{OTHER}/{DOOR}": (frozenset({DOOR}), frozenset({OTHER})),
    f"{C}/{HOME}/{ALICE}": (frozenset({ALICE}), NOBODY),
    f"{C}/{DOOR}/{HOME}": (NOBODY, frozenset({DOOR})),
    f"{C}/{DOOR}/{ALICE}/x": (NOBODY, NOBODY),
    f"{C}/{DOOR}": (NOBODY, NOBODY),
    f"{P}/{ALICE}/phone-1": (frozenset({ALICE}), PEOPLE),
    f"{P}/{DOOR}/main": (frozenset({DOOR}), PEOPLE),
    f"{P}/{HOME}/main": (NOBODY, PEOPLE),
    f"{P}/{ALICE}": (NOBODY, NOBODY),
    f"{D}/{DOOR}/availability": (frozenset({DOOR}), ALL),
    f"{D}/{DOOR}/info": (frozenset({DOOR}), ALL),
    f"{D}/{DOOR}/state/call": (frozenset({DOOR}), frozenset({DOOR, HOME})),
    f"{D}/{DOOR}/state/health": (frozenset({DOOR}), frozenset({DOOR, HOME})),
    f"{D}/{DOOR}/doorbell": (frozenset({DOOR}), frozenset({DOOR, HOME})),
    f"{D}/{DOOR}/event/button/call_button_clicked": (
        frozenset({DOOR}),
        frozenset({DOOR, HOME}),
    ),
    f"{D}/{DOOR}/reply/{ALICE}": (frozenset({DOOR}), frozenset({DOOR})),
    f"{D}/{DOOR}/reply/{GRACE}": (frozenset({DOOR}), frozenset({DOOR, GRACE})),
    f"{D}/{DOOR}/reply/all": (frozenset({DOOR}), frozenset({DOOR})),
    f"{D}/{DOOR}/command/unlock": (frozenset({DOOR, GRACE}), frozenset({DOOR, HOME})),
    f"{D}/{DOOR}/command/unlock/x": (frozenset({DOOR}), frozenset({DOOR, HOME})),
    f"{D}/{DOOR}/command/set_do_not_disturb": (
        frozenset({DOOR, GRACE, HOME}),
        frozenset({DOOR, HOME}),
    ),
    f"{D}/{OTHER}/info": (frozenset({OTHER}), ALL),
    f"{D}/{OTHER}/state/call": (frozenset({OTHER}), frozenset({OTHER})),
    f"{D}/{OTHER}/command/set_do_not_disturb": (frozenset({OTHER}), frozenset({OTHER})),
    f"{D}/{ALICE}/state/call": (frozenset({ALICE}), frozenset({ALICE})),
    f"{D}/{HOME}/state/call": (NOBODY, NOBODY),
    "appliance": (NOBODY, NOBODY),
    "other/topic": (NOBODY, NOBODY),
    "homeassistant/config": (NOBODY, NOBODY),
    "$SYS/broker/version": (NOBODY, NOBODY),
    "$CONTROL/dynamic-security/v1": (NOBODY, NOBODY),
}
OWN = "$share/{name}/#"
"""A subscription that is shared with nobody else: the group has the name of who asks."""
WILDCARDS = ("#", "appliance/#", "+/+/+/+", f"{C}/+/+", f"{D}/+/reply/+", "$SYS/#", OWN)
RULES = {
    # each line of the ACL: a cell of the table that is as it is by this line alone
    "pattern write appliance/call/+/%u": (ALICE, "writes", f"{C}/{DOOR}/{ALICE}"),
    "pattern read appliance/call/%u/+": (ALICE, "reads", f"{C}/{ALICE}/{DOOR}"),
    "pattern write appliance/presence/%u/+": (ALICE, "writes", f"{P}/{ALICE}/phone-1"),
    "pattern read appliance/presence/+/+": (ALICE, "reads", f"{P}/{DOOR}/main"),
    "pattern readwrite appliance/device/%u/#": (DOOR, "writes", f"{D}/{DOOR}/state/call"),
    "pattern read appliance/device/+/info": (ALICE, "reads", f"{D}/{DOOR}/info"),
    "pattern read appliance/device/+/availability": (ALICE, "reads", f"{D}/{DOOR}/availability"),
    f"topic write {D}/{DOOR}/command/+": (GRACE, "writes", f"{D}/{DOOR}/command/unlock"),
    f"topic read {D}/{DOOR}/reply/{GRACE}": (GRACE, "reads", f"{D}/{DOOR}/reply/{GRACE}"),
    "topic deny appliance/call/#": (HOME, "writes", f"{C}/{DOOR}/{HOME}"),
    "topic deny appliance/presence/#": (HOME, "writes", f"{P}/{HOME}/main"),
    f"topic deny {D}/{HOME}/#": (HOME, "writes", f"{D}/{HOME}/state/call"),
    f"topic deny {D}/{DOOR}/reply/#": (HOME, "reads", f"{D}/{DOOR}/reply/all"),
    f"topic read {D}/{DOOR}/#": (HOME, "reads", f"{D}/{DOOR}/state/call"),
    f"topic write {D}/{DOOR}/command/set_do_not_disturb": (
        HOME,
        "writes",
        f"{D}/{DOOR}/command/set_do_not_disturb",
    ),
}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShippedBroker]:
    """One for all of it."""
    made = ShippedBroker(tmp_path_factory.mktemp("broker"), (*ROLES, "carol", "dave"))
    acl = made.house.folder / "acl"
    acl.write_text(with_commands_of(GRACE, acl.read_text()))
    made.start()
    try:
        yield made
    finally:
        made.kill()


@pytest.fixture(scope="module")
def everybody(broker: ShippedBroker) -> Iterator[dict[str, Endpoint]]:
    """One of each role, over TLS, with its password."""
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(enter(broker, name)) for name in ROLES}


def with_commands_of(name: str, acl: str) -> str:
    """The shipped file, in which the paragraph that stands there as an example is somebody's."""
    found = re.search(r"(?m)^# user alice\n(# topic .*\n)+", acl)
    assert found is not None
    paragraph = re.sub(r"(?m)^# ", "", found[0])
    assert paragraph.count("alice") == 2
    return acl.replace(found[0], paragraph.replace("alice", name))


def enter(broker: ShippedBroker, name: str, *, port: int = TLS) -> Endpoint:
    """With its password, and over TLS unless it is here."""
    ca = None if port == PLAIN else broker.ca
    return Endpoint(broker.ports[port], name, broker.passwords[name], ca=ca)


def heard_on(one: Endpoint, mark: bytes) -> set[str]:
    return {message.topic for message in one.all_heard() if message.payload == mark}


# -------------------- who may say and hear what


def test_it_finds_nothing_wrong_with_what_is_shipped(broker: ShippedBroker) -> None:
    complaint = r"Error|recommended|Warning: (?!Mosquitto should not be run as root|ACL pattern)"
    assert not re.search(complaint, broker.log), broker.log


def test_each_says_what_the_table_lets_it_and_nothing_else(everybody: dict[str, Endpoint]) -> None:
    for retain in (False, True):
        found = {
            (topic, name): one.may_publish(topic, b"w", retain=retain)
            for topic in MATRIX
            for name, one in everybody.items()
        }
        assert found == {(t, name): name in MATRIX[t][0] for t in MATRIX for name in ROLES}


def test_each_hears_what_the_table_lets_it_however_it_asks(
    broker: ShippedBroker, everybody: dict[str, Endpoint]
) -> None:
    with contextlib.ExitStack() as stack:
        asking = {
            (name, wildcard): stack.enter_context(enter(broker, name, port=PLAIN))
            for name in ROLES
            for wildcard in WILDCARDS
        }
        for (name, wildcard), one in asking.items():
            one.subscribes(wildcard.format(name=name))
            told = {heard.topic for heard in one.all_heard()}  # retained, of which more is below
            assert not {topic for topic in told if topic.startswith("$")}, (name, wildcard)
        for topic, (writers, _) in MATRIX.items():
            for name in writers:
                assert everybody[name].may_publish(topic, b"r")
        for (name, wildcard), one in asking.items():
            asked = {topic for topic in MATRIX if matches(wildcard, topic)}
            readable = {t for t in asked if MATRIX[t][0] and name in MATRIX[t][1]}
            heard = one.all_heard()
            assert {each.topic for each in heard if each.payload == b"r"} == readable, (
                name,
                wildcard,
            )
            assert not [each for each in heard if each.topic.startswith("$")], (name, wildcard)


def test_each_is_told_what_was_retained_only_where_it_may_read(
    broker: ShippedBroker, everybody: dict[str, Endpoint]
) -> None:
    for topic, (writers, _) in MATRIX.items():
        for name in writers:
            assert everybody[name].may_publish(topic, b"kept", retain=True)
    try:
        for name in ROLES:
            with enter(broker, name) as one:
                one.subscribes("#")
                told = {heard.topic for heard in one.all_heard() if heard.retained}
                readable = {t for t in MATRIX if MATRIX[t][0] and name in MATRIX[t][1]}
                assert told == readable, name
    finally:
        for topic, (writers, _) in MATRIX.items():
            for name in writers:
                everybody[name].may_publish(topic, b"", retain=True)


def test_a_will_is_published_only_where_the_dead_might_have_said_it(
    broker: ShippedBroker, everybody: dict[str, Endpoint]
) -> None:
    for one in everybody.values():
        one.subscribes("#")
        one.all_heard()
    for topic, (writers, readers) in MATRIX.items():
        if not readers:
            continue  # nobody could hear it
        for name in ROLES:
            password = broker.passwords[name]
            one = Endpoint(broker.ports[PLAIN], name, password, will=(topic, b"dead"))
            assert one.is_in
            one.dies()
            hearer = everybody[sorted(readers)[0]]
            assert (topic in heard_on(hearer, b"dead")) == (name in writers), (name, topic)


def test_each_rule_decides_what_is_in_the_table_and_there_is_none_too_many(
    broker: ShippedBroker,
) -> None:
    """Without one of them another test here fails; and what more of them would let out is heard."""
    acl = broker.house.folder / "acl"
    shipped = acl.read_text()
    lines = shipped.splitlines(keepends=True)
    rules = [line for line in lines if line.startswith(("pattern ", "topic "))]
    assert [rule.strip() for rule in rules] == list(RULES)
    try:
        for rule in rules:
            acl.write_text("".join(line for line in lines if line is not rule))
            name, does, topic = RULES[rule.strip()]
            may = name in MATRIX[topic][does == "reads"]
            can = writes if does == "writes" else reads
            reloaded(broker, lambda: can(broker, name, topic) is not may)  # noqa: B023 - called here
        acl.write_text(shipped + "pattern read $SYS/#\n")
        reloaded(broker, lambda: hears_of_the_broker(broker, HOME))
    finally:
        acl.write_text(shipped)
        reloaded(broker, lambda: not hears_of_the_broker(broker, HOME))


def writes(broker: ShippedBroker, name: str, topic: str) -> bool:
    with enter(broker, name, port=PLAIN) as one:
        return one.may_publish(topic, b"rule")


def reads(broker: ShippedBroker, name: str, topic: str) -> bool:
    """Written by somebody who may."""
    writer = min(MATRIX[topic][0] - {name}, default=name)
    with enter(broker, name, port=PLAIN) as one, enter(broker, writer, port=PLAIN) as other:
        one.subscribes("#")
        one.all_heard()
        assert other.may_publish(topic, b"rule")
        return topic in heard_on(one, b"rule")


def hears_of_the_broker(broker: ShippedBroker, name: str) -> bool:
    with enter(broker, name, port=PLAIN) as one:
        one.subscribes("$SYS/#")
        return any(heard.topic.startswith("$SYS/") for heard in one.all_heard())


def matches(pattern: str, topic: str) -> bool:
    """Whether a subscription is about a topic (MQTT 5, 4.7): one that begins with $ is no wildcard's."""
    pattern = pattern.removeprefix(OWN.removesuffix("#"))
    if topic.startswith("$") and not pattern.startswith("$"):
        return False
    levels = pattern.split("/")
    if levels[-1] == "#":
        return topic.split("/")[: len(levels) - 1] == levels[:-1]
    return len(levels) == topic.count("/") + 1 and all(
        level in ("+", have) for level, have in zip(levels, topic.split("/"), strict=True)
    )


# -------------------- who is let in


def test_a_password_opens_every_listener_but_that_of_certificates(broker: ShippedBroker) -> None:
    password = broker.passwords[ALICE]
    for port, ca, pages in (
        (PLAIN, None, False),
        (TLS, broker.ca, False),
        (PAGES, broker.ca, True),
    ):
        with Endpoint(broker.ports[port], ALICE, password, ca=ca, pages=pages) as one:
            assert one.is_in
            assert one.may_publish(f"{C}/{DOOR}/{ALICE}")
            assert not one.may_publish(f"{C}/{DOOR}/{BOB}")
    with Endpoint(broker.ports[CERTIFICATES], ALICE, password, ca=broker.ca) as one:
        assert not one.is_in


def test_nobody_else_is_let_in(broker: ShippedBroker) -> None:
    for port in (PLAIN, TLS, PAGES):
        ca = None if port == PLAIN else broker.ca
        for name, password in (
            (None, None),
            (ALICE, None),
            (ALICE, ""),
            (ALICE, "wrong"),
            (ALICE, broker.passwords[BOB]),
            ("nobody", "wrong"),
            ("", ""),
            ("#", "wrong"),
        ):
            with Endpoint(broker.ports[port], name, password, ca=ca, pages=port == PAGES) as one:
                assert one.code == NOT_AUTHORIZED, (port, name, password)


def test_what_listens_beyond_this_machine_speaks_tls(broker: ShippedBroker) -> None:
    text = (broker.house.folder / "appliance.conf").read_text()
    for listener in text.split("\nlistener ")[1:]:
        address = listener.splitlines()[0]
        assert "127.0.0.1" in address or "certfile" in listener, address
    with Endpoint(broker.ports[TLS], ALICE, broker.passwords[ALICE]) as one:  # in plain text
        assert not one.is_in


def test_a_certificate_is_a_name_like_any_other(
    broker: ShippedBroker, everybody: dict[str, Endpoint], tmp_path: Path
) -> None:
    certificate = broker.house.certify(BOB, tmp_path)
    port = broker.ports[CERTIFICATES]
    # the name that it gives besides does not count
    with Endpoint(
        port, ALICE, broker.passwords[ALICE], ca=broker.ca, certificate=certificate
    ) as one:
        assert one.is_in
        for topic, (writers, _) in MATRIX.items():
            assert one.may_publish(topic) == (BOB in writers), topic
        one.subscribes("#", "$SYS/#")
        told = {heard.topic for heard in one.all_heard()}
        assert not {topic for topic in told if topic.startswith("$")}
        for topic, (writers, _) in MATRIX.items():
            for name in writers:
                assert everybody[name].may_publish(topic, b"c")
        readable = {t for t, (writers, readers) in MATRIX.items() if writers and BOB in readers}
        assert {heard.topic for heard in one.all_heard()} == readable


def test_a_certificate_that_is_not_good_lets_nobody_in(
    broker: ShippedBroker, tmp_path: Path
) -> None:
    stranger = Authority.make(folder(tmp_path / "stranger"), "stranger")
    issued = {
        "expired": broker.authority.for_client(ALICE, days=-1),
        "another authority's": stranger.for_client(ALICE),
        "a server's": broker.authority._issue(_common_name(ALICE), FOR_SERVERS, 9, ["localhost"]),
    }
    for why, one in issued.items():
        with with_certificate(broker, one.certificate, one.key, tmp_path) as endpoint:
            assert not endpoint.is_in, why
    good = broker.authority.for_client(ALICE)
    with with_certificate(broker, good.certificate, good.key, tmp_path) as endpoint:
        assert endpoint.is_in


def with_certificate(broker: ShippedBroker, certificate: bytes, key: bytes, at: Path) -> Endpoint:
    files = at / "c.crt", at / "c.key"
    write_whole(files[0], certificate)
    write_whole(files[1], key)
    port = broker.ports[CERTIFICATES]
    return Endpoint(port, None, ca=broker.ca, certificate=files)


def folder(path: Path) -> Path:
    path.mkdir()
    return path


# -------------------- who is let in no more


def reloaded(broker: ShippedBroker, true: Callable[[], bool]) -> None:
    """The broker is told that something has changed, and the change is waited for."""
    assert broker.house.reload(broker.pid_file)
    until(true, broker)


def until(true: Callable[[], bool], broker: ShippedBroker) -> None:
    """Wait for what no message tells of."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, broker.log
        time.sleep(0.05)


def test_an_account_that_is_removed_is_thrown_out_at_once(broker: ShippedBroker) -> None:
    with enter(broker, "carol") as carol, enter(broker, ALICE) as alice:
        assert carol.is_in
        assert broker.house.remove("carol")
        reloaded(broker, lambda: not carol.stays())
        assert alice.stays()
    with enter(broker, "carol") as carol:
        assert carol.code == NOT_AUTHORIZED
    assert not broker.house.remove("carol")


def test_a_new_password_ends_the_old_one(broker: ShippedBroker) -> None:
    with enter(broker, "dave") as dave:
        new = broker.house.make("dave")
        reloaded(broker, lambda: not dave.stays())
    with enter(broker, "dave") as dave:
        assert dave.code == NOT_AUTHORIZED
    with Endpoint(broker.ports[PLAIN], "dave", new) as dave:
        assert dave.is_in


def test_a_certificate_that_is_revoked_lets_nobody_in_any_more(
    broker: ShippedBroker, tmp_path: Path
) -> None:
    lost = broker.house.certify("erin", tmp_path)
    other = broker.house.certify("frank", tmp_path)

    def gets_in(certificate: tuple[Path, Path]) -> bool:
        port = broker.ports[CERTIFICATES]
        with Endpoint(port, None, ca=broker.ca, certificate=certificate) as one:
            return one.is_in

    assert gets_in(lost)
    assert broker.house.remove("erin")
    reloaded(broker, lambda: not gets_in(lost))
    assert gets_in(other)


# -------------------- how much


def test_every_listener_has_its_own_number_of_connections(broker: ShippedBroker) -> None:
    shipped = Path(__file__).parents[2] / "config" / "mosquitto" / "appliance.conf"
    for file, count in ((shipped, 5), (broker.house.folder / "appliance.conf", 4)):
        before, *listeners = re.split(r"^listener ", file.read_text(), flags=re.MULTILINE)
        assert "\nmax_connections" not in before  # mosquitto 2.0 takes it for the last listener's
        assert len(listeners) == count
        for listener in listeners:
            assert len(re.findall(r"^max_connections 200$", listener, re.MULTILINE)) == 1, listener


def test_the_first_connections_of_a_listener_have_its_limit(tmp_path: Path) -> None:
    """Of a lower number than the shipped one; mosquitto 2.0.11 counts who has left twice, and no page."""
    limit = 3
    broker = ShippedBroker(tmp_path, (ALICE,), connections=limit)
    broker.start()
    try:
        certificate = broker.house.certify(ALICE, tmp_path)
        for port, shown in (
            (broker.ports[TLS], None),
            (broker.ports[CERTIFICATES], certificate),
        ):
            with contextlib.ExitStack() as stack:
                password, ca = broker.passwords[ALICE], broker.ca
                for _ in range(limit):
                    one = Endpoint(port, ALICE, password, ca=ca, certificate=shown)
                    assert stack.enter_context(one).is_in
                with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as refused:
                    assert refused.recv(1) == b"", "it is closed before anything is said"
    finally:
        broker.kill()


def test_a_flood_of_connections_throws_nobody_out_and_is_over_when_they_are(tmp_path: Path) -> None:
    """What ends it is how many descriptors the system gives: fewer here than to any service."""
    most = 64
    broker = ShippedBroker(tmp_path, (ALICE,))
    broker.start()
    try:
        pid = int(broker.pid_file.read_text())
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, most))
        for port in (TLS, PAGES):
            with enter(broker, ALICE) as alice:
                with contextlib.ExitStack() as flood:
                    for _ in range(most):
                        where = ("127.0.0.1", broker.ports[port])
                        flood.enter_context(socket.create_connection(where, PATIENCE_S))
                    until(lambda: held(pid) >= most - 1, broker)
                    assert alice.may_publish(f"{C}/{DOOR}/{ALICE}")
                    assert alice.stays()
                until(lambda: held(pid) < most // 2, broker)
                with Endpoint(
                    broker.ports[port],
                    ALICE,
                    broker.passwords[ALICE],
                    ca=broker.ca,
                    pages=port == PAGES,
                ) as another:
                    assert another.is_in
    finally:
        broker.kill()


def held(pid: int) -> int:
    """How many descriptors a process has."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def test_what_is_larger_than_an_offer_ends_the_connection(broker: ShippedBroker) -> None:
    for size, taken in ((32 * 1024, True), (61_000, True), (70_000, False)):
        with enter(broker, ALICE) as alice:
            alice.client.publish(f"{C}/{DOOR}/{ALICE}", b"x" * size, qos=1)
            assert (alice._answers.get(timeout=PATIENCE_S) is not None) is taken, size


# -------------------- what is kept


def test_nothing_is_kept_over_a_restart(tmp_path: Path) -> None:
    """Of a broker that was told to end: one that keeps anything writes it down then."""
    broker = ShippedBroker(tmp_path, (DOOR, ALICE))
    broker.start()
    try:
        with enter(broker, DOOR) as door, enter(broker, ALICE) as alice:
            for topic in (f"{D}/{DOOR}/info", f"{P}/{DOOR}/main", f"{C}/{ALICE}/{DOOR}"):
                assert door.may_publish(topic, b"kept", retain=True)
            assert door.may_publish(f"{D}/{DOOR}/command/unlock", b"kept", retain=True)
            alice.subscribes("#")
            assert len(heard_on(alice, b"kept")) == 3
            door.subscribes("#")
            assert len(heard_on(door, b"kept")) == 3  # its own command among them
        broker.stop()
        broker.start()
        for name in (DOOR, ALICE):
            with enter(broker, name) as one:
                one.subscribes("#")
                assert one.all_heard() == []
    finally:
        broker.kill()
