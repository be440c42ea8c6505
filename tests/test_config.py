"""A configuration is believed as a whole or refused with every fault at once, in the author's words."""

from __future__ import annotations

import logging
import os
import re
import stat
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from appliance.config import Config, Keypad, load
from appliance.errors import ConfigError
from appliance.loading.checks import echo, patterns
from appliance.loading.reading import Reading, read
from appliance.loading.shipped import shipped
from appliance.model import AudioMode, Right
from appliance.panel.patterns import parse_pattern


class Author:
    """Writes a configuration into a folder, and reads it as the daemon would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "appliance.toml"

    def writes(self, text: str, name: str = "appliance.toml") -> Author:
        file = self.folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return self

    def reads(self, environ: Mapping[str, str] | None = None) -> Reading:
        return read(self.file, environ or {}, [patterns(parse_pattern)])

    def faults(self, environ: Mapping[str, str] | None = None) -> list[str]:
        return [fault.removeprefix(f"{self.file}: ") for fault in self.reads(environ).faults]

    def warnings(self) -> list[str]:
        return [each.removeprefix(f"{self.file}: ") for each in self.reads().warnings]


@pytest.fixture
def author(tmp_path: Path) -> Author:
    return Author(tmp_path)


# -------------------- layers


def test_an_empty_file_is_a_configuration(author: Author) -> None:
    assert load(author.writes("").file, {}) == Config()


def test_later_layers_win_key_by_key(author: Author) -> None:
    author.writes('[device]\nid = "a"\nname = "A"\n[mqtt]\nhost = "localhost"\nport = 1\n')
    author.writes("[mqtt]\nport = 2\n", "conf.d/10-port.toml")
    author.writes('[mqtt]\nport = 3\n[device]\nname = "B"\n', "conf.d/20-port.toml")
    author.writes("[mqtt]\nport = 9\n", "conf.d/ignored.txt")
    config = load(author.file, {"APPLIANCE__DEVICE__NAME": "C"})
    assert (config.device.id, config.device.name, config.mqtt.port) == ("a", "C", 3)


def test_the_environment_speaks_toml_or_else_text(author: Author) -> None:
    environ = {
        "APPLIANCE__MQTT__PORT": "1884",
        "APPLIANCE__MQTT__PLAIN_COMMANDS": '["mute_audio"]',
        "APPLIANCE__CALL__AUDIO_ONLY": "true",
        "APPLIANCE__DEVICE__NAME": "Front door",
        "APPLIANCE__CONTACTS__BOB__MAY": '["answer"]',
        "APPLIANCE__SECURITY__UNSIGNED": '"allow"',
        "APPLIANCE_SOCKET": "/not/of/this/kind",
    }
    config = load(author.writes("").file, environ)
    assert config.mqtt.port == 1884
    assert config.mqtt.plain_commands == ("mute_audio",)
    assert config.call.audio_only
    assert config.device.name == "Front door"
    assert config.contacts["bob"].may == (Right.ANSWER,)


def test_a_text_of_the_environment_may_look_like_a_number(author: Author) -> None:
    environ = {"APPLIANCE__MQTT__USERNAME": "0042", "APPLIANCE__DEVICE__NAME": "42"}
    config = load(author.writes("").file, environ)
    assert (config.mqtt.username, config.device.name) == ("0042", "42")


def test_a_text_of_the_environment_cannot_smuggle_in_other_keys(author: Author) -> None:
    config = load(author.writes("").file, {"APPLIANCE__DEVICE__NAME": '"A"\nother = 1'})
    assert config.device.name == '"A"\nother = 1'


def test_a_fault_names_the_layer_that_has_it(author: Author) -> None:
    author.writes("[mqtt]\nport = 1\n")
    author.writes("[mqtt]\nport = 0\n", "conf.d/10.toml")
    assert author.reads().faults == (
        f"{author.folder}/conf.d/10.toml: mqtt.port: 0 is not a whole number from 1 to 65535",
    )
    assert author.reads({"APPLIANCE__MQTT__PORT": "x"}).faults == (
        'APPLIANCE__MQTT__PORT: mqtt.port: "x" is not a whole number from 1 to 65535',
    )


def test_what_cannot_be_read_is_told_with_its_line(author: Author, tmp_path: Path) -> None:
    assert author.faults() == ["there is no such file"]
    author.writes('[device]\nid = "a"\nname = \n')
    author.writes("x = [", "conf.d/10.toml")
    syntax, other = author.reads().faults
    assert syntax == f"{author.file}: is not TOML: Invalid value (at line 3, column 8)"
    assert other.startswith(f"{tmp_path}/conf.d/10.toml: is not TOML: ")
    author.file.write_bytes(b'[device]\nname = "\xff"')
    assert author.faults()[0] == "is not UTF-8 at byte 17"


def test_file_names_are_relative_to_the_file_that_has_them(author: Author) -> None:
    author.writes('[mqtt]\npassword_file = "secret/mqtt"\n').writes("x", "secret/mqtt")
    assert load(author.file, {}).mqtt.password_file == str(author.folder / "secret/mqtt")
    author.writes('[mqtt]\npassword_file = "$CREDENTIALS_DIRECTORY/mqtt"\n')
    environ = {"CREDENTIALS_DIRECTORY": str(author.folder / "secret")}
    assert load(author.file, environ).mqtt.password_file == str(author.folder / "secret/mqtt")
    assert author.faults() == []
    assert author.warnings() == [
        "mqtt.password_file: $CREDENTIALS_DIRECTORY is not set here, so the file was not looked for"
    ]


# -------------------- values


def test_every_fault_is_told_at_once_in_the_order_of_the_file(author: Author) -> None:
    author.writes("""
        [device]
        id = "Front Door"
        bord = "pi"
        [mqtt]
        port = 70000
        prot = 1
        [call]
        ring_timeout_s = 0
        layout = "spotligt"
        audio_only = 1
        [media]
        width = "wide"
        [[media.ice_servers]]
        urls = "stun:stun.example"
        [buttons.bell]
        press = "call"
        [groups.residents]
        members = 3
        [cameras.frnt]
        device = "0"
        [contacts.alice]
        may = ["answer", "unlok"]
        [buton]
    """)
    assert author.faults() == [
        'device.id: "Front Door" is not an id: 1 to 64 of a-z, 0-9, _ and -',
        "device.bord: there is no such key; did you mean board?",
        "mqtt.port: 70000 is not a whole number from 1 to 65535",
        "mqtt.prot: there is no such key; did you mean port?",
        "call.ring_timeout_s: 0 is not a number above 0 and up to 86400",
        'call.layout: "spotligt" is not one of tile, spotlight, single; did you mean spotlight?',
        "call.audio_only: 1 is not true or false",
        'media.width: "wide" is not a whole number from 160 to 1920',
        'media.ice_servers[0].urls: "stun:stun.example" is not a list',
        "buttons.bell.pin: is missing: a text or a whole number",
        "groups.residents.members: 3 is not a list",
        'cameras.frnt: the name "frnt" is not one of front, rear; did you mean front?',
        (
            'contacts.alice.may[1]: "unlok" is not one of call, answer, view, unlock, moderate;'
            " did you mean unlock?"
        ),
        "buton: there is no such key; did you mean buttons?",
    ]


def test_load_raises_them_together(author: Author) -> None:
    author.writes("[mqtt]\nport = 0\n[http]\nport = 0\n")
    with pytest.raises(ConfigError) as caught:
        load(author.file, {})
    assert len(caught.value.faults) == 2
    assert str(caught.value).count("\n") == 1


@pytest.mark.parametrize("number", ["nan", "inf", "-1", "1e9"])
def test_numbers_have_bounds(author: Author, number: str) -> None:
    author.writes(f"[call]\nring_timeout_s = {number}\nidle_timeout_s = {number}\n")
    faults = author.faults()
    assert any(fault.startswith("call.ring_timeout_s: ") for fault in faults)
    assert number == "1e9" or any(fault.startswith("call.idle_timeout_s: ") for fault in faults)


def test_a_secret_is_refused_and_not_repeated(author: Author) -> None:
    author.writes('[mqtt]\npassword = "hunter2"\n')
    assert author.faults() == [
        (
            "mqtt.password: never stands in the configuration itself: put it into a file, named by"
            " password_file"
        )
    ]
    assert "hunter2" not in "".join(author.faults({"APPLIANCE__MQTT__PASSWORD": "hunter2"}))


def test_values_become_what_the_program_uses(author: Author) -> None:
    author.writes("""
        [groups.home]
        members = ["alice"]
        [contacts.alice]
        may = ["answer", "unlock"]
        keys = ["11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"]
        [audio.bluetooth]
        playback = "silence"
        [leds.rgb]
        pin = [5, "GPIO6", 13]
        kind = "rgb"
        [leds.rgb.patterns]
        ringing = "red:blink"
        [call]
        layout = "tile"
        main_video_container = {fit = "cover"}
    """)
    config = load(author.file, {})
    assert config.contacts["alice"].may == (Right.ANSWER, Right.UNLOCK)
    assert config.audio[AudioMode.BLUETOOTH].playback == "silence"
    assert config.leds["rgb"].pin == (5, "GPIO6", 13)
    assert config.call.main_video_container.fit == "cover"
    assert config.call.main_video_container.name_label
    assert config.call.ring_timeout_s == 30


# -------------------- together


KNOWN = """
    [contacts.alice]
    may = ["answer"]
    [contacts.bob]
    [groups.residents]
    members = ["alice", "bob"]
    [security]
    unsigned = "allow"
"""


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            '[call]\nreceiver = "user:alicee"',
            "call.receiver: alicee is no contact; did you mean alice?",
        ),
        ('[call]\nreceiver = "group:all"', "call.receiver: all is no group"),
        ('[call]\nreceiver = "alice"', 'call.receiver: "alice:" is to be user:<uid> or group:<id>'),
        (
            '[call]\nauto_answer = ["bbo"]',
            "call.auto_answer[0]: bbo is no contact; did you mean bob?",
        ),
        ('[call]\nquiet_hours = "22-7"', 'call.quiet_hours: is not spelled like "22:00-07:00"'),
        (
            '[call]\naccept_video = "aks"',
            "call.accept_video: aks is not one of auto, ask; did you mean ask?",
        ),
        ('[call]\nmain_video = "carol"', "call.main_video: carol is no contact"),
        ('[groups.x]\nmembers = ["eve"]', "groups.x.members[0]: eve is no contact"),
        ("[contacts.door]", "contacts.door: is this device's own id"),
        (
            '[contacts.eve]\nkeys = ["short"]',
            "contacts.eve.keys[0]: is not a public Ed25519 key: 43 characters of base64url",
        ),
        (
            '[buttons.a]\npin = 1\npress = "cal"',
            'buttons.a.press: "cal" is no action; did you mean call?',
        ),
        ('[buttons.a]\npin = 1\nhold = "call:user:eve"', "buttons.a.hold: eve is no contact"),
        (
            '[buttons.a]\npin = 1\npress = "command:mute_adio"',
            'buttons.a.press: "mute_adio" is no command; did you mean mute_audio?',
        ),
        (
            '[leds.a]\npin = 1\npatterns = {idle = "blnk"}',
            'leds.a.patterns.idle: "blnk" is no pattern; did you mean blink?',
        ),
        (
            '[leds.a]\npin = 1\npatterns = {ideal = "on"}',
            "leds.a.patterns.ideal: ideal is not one of ringing, ",
        ),
        (
            "[leds.a]\npin = [1, 2, 3]",
            "leds.a.pin: wants three pins for an rgb LED, and one for any other",
        ),
        ('[relays.a]\npin = 1\non = "rining"', "relays.a.on: rining is not one of ringing, "),
        (
            '[mqtt]\nplain_commands = ["unlok"]',
            "mqtt.plain_commands[0]: unlok is no command; did you mean unlock?",
        ),
        (
            '[mqtt]\nplain_commands = ["start_session"]',
            "mqtt.plain_commands[0]: start_session is never taken plain",
        ),
        ('[mqtt]\nroot = "a/+"', "mqtt.root: is no topic"),
        ('[mqtt]\nhost = "broker.example"', "mqtt.host: broker.example is more than this machine"),
        ('[mqtt]\nhost = "localhost.example"', "mqtt.host: localhost.example is more than"),
        ('[mqtt]\nhost = "broker.localhost"', "mqtt.host: broker.localhost is more than"),
        ('[mqtt]\nhost = "192.168.1.2"', "mqtt.host: 192.168.1.2 is more than this machine"),
        ('[mqtt]\nhost = "0.0.0.0"', "mqtt.host: 0.0.0.0 is more than this machine"),
        ("[mqtt]\ntls_insecure = true", "mqtt.tls_insecure: there is no such key"),
        ('[mqtt]\nwebsocket_url = "http://a/"', "mqtt.websocket_url: is not spelled like wss://"),
        ('[mqtt]\nwebsocket_url = "ws://broker/"', "mqtt.websocket_url: broker is more than this"),
        ('[update]\nurl = "http://a/b.raucb"', "update.url: is not spelled like https://"),
        ('[update]\nurl = "https:///b.raucb"', "update.url: is not spelled like https://"),
        ('[update]\nurl = "https://["', "update.url: is not spelled like https://"),
        ('[mqtt]\nwebsocket_url = "wss://a:b@c/"', "mqtt.websocket_url: has a password in it"),
        ('[mqtt]\naccounts_socket = "a"', "mqtt.accounts_socket: is to be a whole path"),
        ('[mqtt]\nca_file = "/none.pem"', "mqtt.ca_file: there is no file /none.pem"),
        (
            '[[media.ice_servers]]\nurls = ["turn:a"]\nsecret_file = "/none"',
            "media.ice_servers[0].secret_file: there is no file /none",
        ),
        (
            '[[media.ice_servers]]\nurls = ["turn:a"]\nusername = "u"',
            "media.ice_servers[0].urls: a TURN server wants secret_file, or username and ",
        ),
        (
            '[[media.ice_servers]]\nurls = ["turn:a"]\nusername = "u"\nsecret_file = "/dev/null"',
            "media.ice_servers[0].secret_file: takes the place of username and ",
        ),
        (
            '[[media.ice_servers]]\nurls = ["https://a"]',
            "media.ice_servers[0].urls: https://a begins with none of ",
        ),
        ('[mqtt]\ncert_file = "/dev/null"', "mqtt.cert_file: is of no use without key_file"),
        ('[http]\nkey_file = "/dev/null"', "http.key_file: is of no use without cert_file"),
        (
            '[buttons.a]\npin = 1\nkind = "hook"\nhold = "leave"',
            "buttons.a.hold: is nothing that a handset can do",
        ),
        ('[hooks]\ndirectory = "/none"', "hooks.directory: there is no folder /none"),
    ],
)
def test_what_does_not_fit_together_is_a_fault(author: Author, text: str, fault: str) -> None:
    faults = author.writes(KNOWN + text).faults()
    assert any(each.startswith(fault) for each in faults), faults
    assert len(faults) <= 2


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            '[mqtt]\nplain_commands = ["unlock"]',
            "mqtt.plain_commands[0]: unlock: whoever controls the broker can",
        ),
        (
            '[call]\nreceiver = "user:bob"',
            "call.receiver: nobody behind user:bob has the right to answer",
        ),
        (
            '[buttons.a]\npin = 1\npress = "call"',
            "buttons.a.press: calls nobody: [call] names no receiver",
        ),
        (
            '[buttons.a]\npin = 1\npress = "unlock"',
            "buttons.a.press: opens nothing: there is no [relays.door]",
        ),
        (
            '[contacts.carol]\nname = "Carol"\nmay = ["unlock"]',
            'contacts.carol.may: "unlock" opens nothing: there is no [relays.door]',
        ),
        ("[buttons.a]\npin = 1", "buttons.a: does nothing"),
        (
            "[media]\nwidth = 1920\nheight = 1080\nframerate = 5",
            "media.height: 1920x1080 at 5/s is more than H.264 level 3.1",
        ),
        (
            "[media]\nframerate = 60",
            "media.framerate: 1280x720 at 60/s is more than H.264 level 3.1",
        ),
        (
            '[buttons.a]\npin = "GPIO77"\npress = "leave"',
            "buttons.a.pin: GPIO77 is no GPIO of the 40-pin header",
        ),
        (
            '[http]\nhost = "0.0.0.0"',
            "http.host: 0.0.0.0 is more than this machine: the page is not served before",
        ),
    ],
)
def test_what_is_allowed_and_unwise_is_a_warning(author: Author, text: str, warning: str) -> None:
    author.writes(KNOWN + text)
    assert author.faults() == []
    assert [each for each in author.warnings() if each.startswith(warning)]


@pytest.mark.parametrize("size", [(1280, 720, 30), (720, 1088, 30), (640, 360, 60)])
def test_what_level_3_1_carries_is_nothing_to_warn_of(
    author: Author, size: tuple[int, int, int]
) -> None:
    author.writes(KNOWN + "[media]\nwidth = {}\nheight = {}\nframerate = {}".format(*size))
    assert not [each for each in author.warnings() if each.startswith("media")]


def test_what_would_not_be_started_from_the_hooks_folder_is_told(author: Author) -> None:
    folder = author.folder / "hooks.d"
    for name, mode in [
        ("call_ended.sh", 0o755),
        ("all", 0o644),
        ("call_endd", 0o755),
        ("error.py", 0o775),
        ("README.md", 0o644),
    ]:
        author.writes("#!/bin/sh\n", f"hooks.d/{name}")
        (folder / name).chmod(mode)
    author.writes('[hooks]\ndirectory = "hooks.d"\n')
    assert author.faults() == []
    told = "hooks.directory: "
    assert author.warnings() == [
        f"{told}{folder}/all is not executable: chmod +x {folder}/all",
        f"{told}call_endd is started for no event; did you mean call_ended?",
        f"{told}{folder}/error.py can be changed by others: chmod go-w {folder}/error.py",
    ]
    folder.chmod(0o777)
    assert f"{told}{folder} can be changed by others: chmod go-w {folder}" in author.warnings()


def test_a_plug_in_is_looked_for_and_not_imported(
    author: Author, monkeypatch: pytest.MonkeyPatch
) -> None:
    author.writes("raise SystemExit", "doors/__init__.py").writes("", "doors/front.py")
    monkeypatch.syspath_prepend(author.folder)
    author.writes('[plugins]\nmodules = ["json", "doors.front", "doors.back", "no_such", "a-b"]\n')
    assert author.faults() == [
        'plugins.modules[4]: "a-b" is no name of a module, such as "my_door"'
    ]
    assert author.warnings() == [
        f"plugins.modules[2]: doors.back is no module that {sys.executable} finds",
        f"plugins.modules[3]: no_such is no module that {sys.executable} finds",
    ]


def test_a_contact_without_keys_is_warned_of_where_signatures_are_wanted(author: Author) -> None:
    author.writes("[contacts.alice]\n")
    assert author.warnings() == [
        (
            "contacts.alice: has no keys yet: neither rung nor believed until it is paired "
            "(`appliance pair`)"
        )
    ]


@pytest.mark.parametrize("installed", [True, False])
def test_an_echo_canceller_that_is_asked_for_and_not_installed_is_warned_of(
    author: Author, installed: bool
) -> None:
    author.writes(
        """
        [audio.speaker]
        capture = "tone"
        echo = "aec3"
        gain_control = true
        [audio.earpiece]
        capture = "tone"
        gain_control = true
        [audio.headphones]
        capture = "tone"
        echo = "off"
        gain_control = true
        [audio.bluetooth]
        capture = "tone"
        echo = "duck"
        """
    )
    reading = read(author.file, {}, [echo(lambda: installed)])
    told = [each.removeprefix(f"{author.file}: ") for each in reading.warnings]
    useless = "gain_control: has no effect without WebRTC's echo canceller"
    if installed:
        assert told == [f"audio.headphones.{useless}"]
    else:
        assert told == [
            (
                "audio.speaker.echo: WebRTC's echo canceller is not installed (the extra `echo`): "
                "the microphone is made quieter instead while the other side speaks"
            ),
            f"audio.speaker.{useless}",
            f"audio.earpiece.{useless}",
            f"audio.headphones.{useless}",
        ]


def test_how_an_echo_is_cancelled_is_one_of_four_words(author: Author) -> None:
    assert author.writes('[audio.speaker]\necho = "aec4"').faults() == [
        'audio.speaker.echo: "aec4" is not one of auto, aec3, duck, off; did you mean aec3?'
    ]


def test_a_broker_with_tls_may_be_anywhere_and_without_it_here(author: Author) -> None:
    for host, more in (
        ("broker.example", "port = 8883"),
        ("broker.example", f'port = 8885\nca_file = "{__file__}"'),
        ("127.0.0.1", 'websocket_url = "ws://localhost:8083/"'),
        ("::1", 'websocket_url = "wss://broker.example/"'),
        ("localhost", ""),
    ):
        author.writes(f'[mqtt]\nhost = "{host}"\n{more}\n')
        assert (author.faults(), author.warnings()) == ([], []), host


def test_a_secret_that_everybody_can_read_is_warned_of(author: Author, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("s3cret")
    for mode, warned in ((0o600, False), (0o640, False), (0o644, True), (0o602, True)):
        secret.chmod(mode)
        author.writes(f'[mqtt]\npassword_file = "{secret}"\n')
        assert author.faults() == []
        assert (f"everybody on this machine can read {secret}" in str(author.warnings())) is warned


def test_loading_logs_the_warnings(author: Author, caplog: pytest.LogCaptureFixture) -> None:
    author.writes("[contacts.alice]\n")
    with caplog.at_level(logging.WARNING):
        load(author.file, {})
    assert "contacts.alice: has no keys yet" in caplog.text


def test_who_names_something_broken_is_not_blamed(author: Author) -> None:
    author.writes("""
        [security]
        unsigned = "allow"
        [contacts.alice]
        may = ["anser"]
        [groups.all]
        [call]
        receiver = "group:all"
        auto_answer = ["alice"]
    """)
    assert [fault.split(":")[0] for fault in author.faults()] == [
        "contacts.alice.may[0]",
        "groups.all.members",
    ]


@pytest.mark.parametrize(
    "spelling", ["17", '"GPIO17"', '"17"', '"BCM17"', '"BOARD11"', '"J8:11"', '"WPI0"']
)
def test_a_pin_has_one_use_however_it_is_spelled(author: Author, spelling: str) -> None:
    author.writes(f"""
        [leds.red]
        pin = {spelling}
        [buttons.bell]
        pin = "GPIO17"
        press = "leave"
    """)
    pin = spelling.strip('"')
    assert author.faults() == [f"leds.red.pin: {pin} is the pin of buttons.bell already"]


@pytest.mark.parametrize(
    "spelling",
    ["javascript:alert(1)", "mailto:", "me@house.example", "mailto:a b", "https://a\\nX: y"],
)
def test_whom_to_tell_of_a_fault_is_an_address(author: Author, spelling: str) -> None:
    author.writes(f"""
        [http]
        security_contact = "{spelling}"
    """)
    (fault,) = author.faults()
    assert fault.startswith("http.security_contact: ")


# -------------------- what comes with the program


@pytest.mark.parametrize("name", ["appliance.toml", "simulated.toml"])
def test_the_shipped_configurations_have_no_faults(name: str) -> None:
    reading = read(shipped(name), {}, [patterns(parse_pattern)])
    assert reading.faults == ()
    expected = ("no keys yet",)
    assert [one for one in reading.warnings if not any(why in one for why in expected)] == []


def test_two_cameras_are_two_devices(author: Author) -> None:
    author.writes('[cameras.front]\ndevice = "0"\n[cameras.rear]\ndevice = "0"\n')
    assert author.warnings() == ['cameras.rear.device: "0" is the device of cameras.front already']
    author.writes('[cameras.front]\ndevice = "0"\n[cameras.rear]\ndevice = "imx708"\n')
    assert author.warnings() == []
    author.writes('[cameras.front]\ndevice = " "\n')
    assert author.faults() == [
        "cameras.front.device: is empty: a camera's number, model or id, or test-card"
    ]


def test_more_than_the_hardware_encodes_is_told(author: Author) -> None:
    fast = "[media]\nwidth = 1920\nheight = 1080\nframerate = 60\nencoder = "

    def warned() -> list[str]:
        return [each for each in author.warnings() if each.startswith("media.encoder")]

    author.writes(fast + '"v4l2"\n')
    assert warned() == ["media.encoder: 1920x1080 at 60/s is more than it can encode"]
    author.writes(fast + '"auto"\n')
    assert warned() == []


def test_the_names_of_sound_devices_are_looked_at(author: Author) -> None:
    author.writes("""
        [audio.speaker]
        playback = "hw:1,0"
        capture = "plughw:CARD=Box"
        [audio.headphones]
        playback = "Tone"
        capture = "default"
        [audio.bluetooth]
        playback = "bluealsa:DEV=00:11:22:33:44:55"
        capture = "silence"
        [audio.earpiece]
        playback = ""
        capture = " hw:0"
    """)
    assert author.faults() == [
        "audio.earpiece.playback: is no ALSA device: it has no name, or space around it",
        "audio.earpiece.capture: is no ALSA device: it has no name, or space around it",
    ]
    assert author.warnings() == [
        'audio.speaker.playback: few cards have mono at 48 kHz as it is; "plughw:1,0" converts',
        "audio.headphones.playback: Tone is taken for an ALSA device; did you mean tone?",
    ]


def test_a_simulated_board_hears_what_is_simulated(author: Author) -> None:
    author.writes('[device]\nboard = "simulated"\n[audio.speaker]\n')
    assert author.warnings() == [
        'audio.speaker.capture: a simulated board has no "default"; "tone" and "silence" work',
    ]


def test_a_folder_for_recordings_is_there_or_can_be_made(author: Author, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    author.writes(f'[recording]\ndirectory = "{tmp_path}/new/below"\n')
    assert author.faults() == author.warnings() == []
    author.writes(f'[recording]\ndirectory = "{tmp_path}/file/below"\n')
    assert author.faults() == [f"recording.directory: {tmp_path}/file is no folder"]


def test_a_folder_that_who_asks_may_not_write_is_a_warning(
    author: Author, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    author.writes('[recording]\ndirectory = "/var/lib/appliance/recordings"\n')
    (warning,) = author.warnings()
    assert warning.endswith("cannot be written by who asks now")


def test_a_button_that_switches_to_no_camera_is_told(author: Author) -> None:
    front = (
        '[buttons.eye]\npin = 5\npress = "switch_camera"\n[cameras.front]\ndevice = "test-card"\n'
    )
    author.writes(front)
    assert author.warnings() == [
        "buttons.eye.press: switches to nothing: there is no [cameras.rear]"
    ]
    author.writes(front + '[cameras.rear]\ndevice = "test-card"\n')
    assert author.warnings() == []


def test_a_button_that_could_leave_no_call_is_told(author: Author) -> None:
    confirming = '[call]\nhang_up_confirmation = "hold"\n[buttons.end]\npin = 5\npress = "leave"\n'
    author.writes(confirming + 'hold = "chat"')
    assert author.warnings() == [
        'buttons.end.hold: with [call] hang_up_confirmation = "hold" a press leaves no running call'
    ]
    for rest in ("", 'hold = "decline"', 'kind = "hook"'):
        author.writes(confirming + rest)
        assert author.warnings() == []


def test_the_simulated_one_lets_everybody_in_and_needs_no_hardware() -> None:
    config = load(shipped("simulated.toml"), {})
    assert config.device.board == "simulated"
    assert config.security.unsigned == "allow"
    assert config.groups["residents"].members == ("alice", "bob", "carol")
    assert config.call.receiver == "group:residents"
    assert config.cameras["front"].device == "test-card"
    assert all(
        {Right.CALL, Right.ANSWER, Right.UNLOCK} <= {*who.may} for who in config.contacts.values()
    )


def test_the_shipped_configuration_shows_every_key() -> None:
    text = shipped("appliance.toml").read_text()
    sections = re.split(r"^(?:# )?\[+([\w.]+)\]+", text, flags=re.MULTILINE)
    shown = dict(zip(sections[1::2], sections[2::2], strict=True))
    hints = {"contacts": "alice", "groups": "residents", "cameras": "front", "audio": "speaker",
             "buttons": "call", "keypads": "front", "leds": "status", "relays": "door",
             "inputs": "door"}  # fmt: skip
    config = load(shipped("appliance.toml"), {})
    missing = []
    for section in structs.fields(config):
        value: Any = getattr(config, section.name)
        heading = section.name
        if section.name in hints:
            heading = f"{section.name}.{hints[section.name]}"
            value = value.get(hints[section.name], Keypad((), (), ()))
        for key in structs.fields(value):
            lines = "".join(
                body for name, body in shown.items() if name.startswith(heading.split(".")[0])
            )
            own = any(name.endswith(f".{key.name}") for name in shown)
            if not own and not re.search(rf"^(# )?{key.name} = ", lines, re.MULTILINE):
                missing.append(f"{heading}.{key.name}")
    assert missing == []


def test_the_defaults_that_are_shown_are_the_defaults() -> None:
    shown = tomllib.loads(shipped("appliance.toml").read_text())
    chosen = {"device": {"id", "name"}, "call": {"receiver"}}
    default = Config()
    for section in ("device", "mqtt", "security", "call", "media", "recording", "http", "screen"):
        for key, value in shown[section].items():
            if key not in chosen.get(section, ()) and not isinstance(value, dict):
                ours = getattr(getattr(default, section), key)
                assert (list(ours) if isinstance(ours, tuple) else ours) == value, (section, key)


def test_shipped_files_are_readable_by_everybody() -> None:
    assert shipped("simulated.toml").stat().st_mode & stat.S_IROTH
