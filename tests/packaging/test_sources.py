"""What the package is made of: pinned as the tests are, scripts that are shell, pages that tell all."""

from __future__ import annotations

import argparse
import re
import struct
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from appliance.app import told_to_systemd
from appliance.calls.inputs import ButtonGestured, ButtonPressed, LinkState
from appliance.cli import _parser, main
from appliance.config import load
from appliance.model import CallState, Gesture
from tests.parts.need import program
from tests.parts.play import Play

ROOT = Path(__file__).parents[2]
PACKAGING = ROOT / "image-build" / "debian"
SUITES = ("bookworm", "trixie")
MACHINES = 2
"""Architectures that it is built for: a file that is not for all has a hash for each."""


def pins(file: Path) -> dict[str, str]:
    """Versions by name."""
    lines = (line.split()[0] for line in file.read_text().splitlines() if line)
    return dict(line.split("==") for line in lines if "==" in line)


def needed() -> set[str]:
    """What the project names for a package, without what comes with that."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["echo"], *extras["screen"], *extras["pi"]]
    return {re.split(r"[<>=~ ]", each)[0] for each in wanted}


@pytest.mark.parametrize("suite", SUITES)
def test_the_package_has_what_the_tests_have(suite: str) -> None:
    """After `make lock` comes `make deb-lock`. On bookworm numpy is the one that its picamera2 takes."""
    tested = pins(ROOT / ".ci" / "constraints.txt")
    packed = pins(PACKAGING / f"wheels-{suite}.txt") | pins(PACKAGING / "sources.txt")
    others = {name for name, version in packed.items() if tested.get(name) != version}
    assert others == ({"numpy"} if suite == "bookworm" else set())
    assert packed["numpy"].startswith("1." if suite == "bookworm" else "2.")
    assert needed() <= packed.keys()


@pytest.mark.parametrize("suite", SUITES)
def test_every_file_is_known_by_its_hash(suite: str) -> None:
    for line in (PACKAGING / f"wheels-{suite}.txt").read_text().splitlines():
        assert re.fullmatch(r"[a-z0-9-]+==\S+( --hash=sha256:[0-9a-f]{64}){1,2}", line), line


@pytest.mark.parametrize(
    "script",
    [
        "build",
        "headers",
        *(f"appliance.{each}" for each in ("preinst", "postinst", "prerm", "postrm")),
    ],
)
def test_the_scripts_are_shell(script: str) -> None:
    done = subprocess.run(
        ["sh", "-n", PACKAGING / script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_every_file_of_systemd_is_in_the_package() -> None:
    installed = {
        line.split()[0]
        for line in (PACKAGING / "appliance.install").read_text().split("\n")
        if line
    }
    there = {str(one.relative_to(ROOT)) for one in (ROOT / "systemd").rglob("*") if one.is_file()}
    assert there <= installed


def test_who_removes_it_stops_every_unit_of_it(tmp_path: Path) -> None:
    """The script itself: of a template all that runs, and of a unit that is yet to be written, too."""
    lines = (PACKAGING / "appliance.install").read_text().splitlines()
    files = [f"/{where}/{Path(what).name}" for what, where in map(str.split, lines)]
    told, running = tmp_path / "told", tmp_path / "running"
    running.mkdir()
    for name, does in (
        ("dpkg-query", f"printf '%s\\n' /. /usr/lib/systemd/system {' '.join(files)}"),
        ("deb-systemd-invoke", f'printf "%s\\n" "$@" > {told}'),
        ("find", "true"),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    script = (PACKAGING / "appliance.prerm").read_text()
    script = script.replace("/run/systemd/system", str(running))
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    words = ["sh", "-c", script, "prerm"]
    subprocess.run([*words, "upgrade"], env=environ, check=True)
    assert not told.exists()
    subprocess.run([*words, "remove"], env=environ, check=True)
    does, *units = told.read_text().split()
    kinds = {".service", ".socket", ".timer", ".path"}
    ours = {one.name for one in (ROOT / "systemd").iterdir() if one.suffix in kinds}
    assert does == "stop"
    assert sorted(units) == sorted(one.replace("@.", "@*.") for one in ours)


def played(tmp_path: Path, told: str) -> int:
    """How often an upgrade of the daemon that tells this has waited; whatever it waits for is over then."""
    file, programs = tmp_path / "told", tmp_path / "programs"
    programs.mkdir(exist_ok=True)
    file.write_text(f"{told}\n")
    for name, does in (
        ("systemctl", f"cat {file}"),
        ("sleep", f"echo broker connected, idle > {file}; echo slept"),
    ):
        (programs / name).write_text(f"#!/bin/sh\n{does}\n")
        (programs / name).chmod(0o755)
    waits = f". {PACKAGING}/appliance.postinst; wait_for_the_call"
    words, environ = ["sh", "-c", waits, "postinst"], {"PATH": f"{programs}:/usr/bin:/bin"}
    out = subprocess.run(words, env=environ, check=True, capture_output=True, text=True).stdout
    waited = out.count("slept")
    assert ("a call is on" in out) is (waited > 0)
    return waited


@pytest.mark.parametrize("doing", [*CallState, None])
@pytest.mark.parametrize("link", LinkState)
def test_an_upgrade_waits_for_the_end_of_a_call(
    tmp_path: Path, link: LinkState, doing: CallState | None
) -> None:
    """Whatever else does not work, and as soon as somebody has pressed: before there is any media."""
    play = Play(online={"alice": ["phone"]})
    play.happens(ButtonPressed("call"), ButtonGestured("call", Gesture.PRESS))
    calls = (replace(play.call, state=doing),) if doing else ()
    for faults in ({}, {"leds.status": "pin_unavailable", "hooks": "connected"}):
        state = replace(play.state, link=link, calls=calls, faults=faults)
        for media in (True, False):
            told = told_to_systemd(state, media=media)
            on = doing not in (None, CallState.IDLE, CallState.ENDED)
            assert played(tmp_path, told) == on, told


@pytest.mark.parametrize(
    "told",
    [
        "",
        "buttons and LEDs are alive",
        "the watchdog is not fed, since this hangs: broker",
        "the watchdog is not fed, since this hangs: relay connected, device topics",
    ],
)
def test_what_else_a_daemon_tells_is_no_call(tmp_path: Path, told: str) -> None:
    """Least of all that it hangs, which an upgrade may be there to mend."""
    assert played(tmp_path, told) == 0


def test_nobody_else_tells_systemd_anything() -> None:
    """Whoever begins to has a sentence above, too."""
    tells = re.compile(r"systemd\.show\(")
    found = {
        str(one.relative_to(ROOT / "appliance"))
        for one in (ROOT / "appliance").rglob("*.py")
        if tells.search(one.read_text())
    }
    assert found == {"app.py", "service/heartbeats.py"}


def test_the_first_configuration_has_no_faults_and_simulates_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = PACKAGING / "appliance.toml"
    assert main(["check-config", str(file)]) == 0
    assert "no faults" in capsys.readouterr().out
    config = load(file, {})
    assert (config.device.board, config.http.host, config.security.unsigned) == (
        "pi", "127.0.0.1", "refuse",
    )  # fmt: skip
    assert config.contacts == {}


def test_what_is_commented_out_in_it_is_right_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who takes all its comments away has a whole door station."""
    text = re.sub(r"(?m)^# (?=\w+ = |\[)", "", (PACKAGING / "appliance.toml").read_text())
    text = re.sub(r"(?m)^(port|password_file) = .*\n", "", text)
    file = tmp_path / "appliance.toml"
    file.write_text(text)
    assert main(["check-config", str(file)]) == 0, capsys.readouterr().out
    assert set(load(file, {}).buttons) == {"call"}


# -------------------- the pages


def subcommands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """All of them, and those within them."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield each
                yield from subcommands(each)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Both, as `man` shows them, by the commands of the package's rules."""
    folder = tmp_path_factory.mktemp("man")
    manpage, rst2man = (
        program("argparse-manpage", "python3-argparse-manpage"),
        program("rst2man", "python3-docutils"),
    )
    man = program("man", "man-db")
    page = folder / "appliance.1"
    words = ["--module", "appliance.cli", "--function", "_parser", "--project-name", "appliance"]
    environ = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "LC_ALL": "C.UTF-8",
        "MANWIDTH": "200",
    }
    assert rst2man
    write: list[str | Path] = [manpage, *words, "--output", page]
    subprocess.run(write, cwd=ROOT, env=environ, check=True)
    finish: list[str | Path] = [
        "/usr/bin/python3",
        "-P",  # beside it lies another appliance.py
        PACKAGING / "manual.py",
        page,
        ROOT / "config/appliance.toml",
        folder,
    ]
    subprocess.run(finish, env=environ, check=True)
    shown = {}
    for name in ("appliance.1", "appliance.toml.5"):
        command: list[str | Path] = [
            man,
            "--warnings",
            "--no-hyphenation",
            "--no-justification",
            "-l",
            folder / name,
        ]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        shown[name] = re.sub(r"\s+", " ", done.stdout)
    return shown


def test_the_page_has_every_subcommand_and_option(pages: dict[str, str]) -> None:
    found = list(subcommands(_parser()))
    assert len(found) > 15
    for each in found:
        assert each.prog in pages["appliance.1"]
        for action in each._actions:
            if not isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
                for word in action.option_strings:
                    assert word in pages["appliance.1"], f"{each.prog} {word}"


def test_the_page_of_the_configuration_has_every_key_in_its_table(pages: dict[str, str]) -> None:
    shown = pages["appliance.toml.5"]
    place = 0
    for line in (ROOT / "config" / "appliance.toml").read_text().splitlines():
        if match := re.match(r"(?:# )?(\[\[?[a-z_.]+\]\]?(?=$|\s+#)|\"?[\w#]+\"? = )", line):
            place = shown.find(match[1].strip(), place)
            assert place >= 0, f"{line} is not in the page, or not where it belongs"


def test_a_line_that_is_neither_key_nor_comment_is_refused(tmp_path: Path) -> None:
    page, file = tmp_path / "page.1", tmp_path / "odd.toml"
    page.write_text(".SH NAME\nappliance\n")
    file.write_text("[device]\nid: 7\n")
    program("rst2man", "python3-docutils")
    words: list[str | Path] = [
        "/usr/bin/python3",
        "-P",
        PACKAGING / "manual.py",
        page,
        file,
        tmp_path,
    ]
    environ = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "id: 7" in done.stderr


# -------------------- libraries for two Pythons


def test_what_two_pythons_have_in_common_lies_there_once(tmp_path: Path) -> None:
    """By file; what differs, and what only one of them has, stays its own, and no folder is a link."""
    both, first, second = tmp_path / "lib", *(tmp_path / "lib" / f"python3.{n}" for n in (11, 13))
    for place in (first, second):
        (place / "av").mkdir(parents=True)
        (place / "av" / "same.py").write_text("a = 1\n")
        (place / "av" / "differs.py").write_text(f"a = '{place.name}'\n")
        (place / "av" / "link.py").symlink_to("same.py")
    (second / "av" / "core.cpython-313.so").write_bytes(b"13")
    (first / "av" / "kind").mkdir()
    (second / "av" / "kind").write_text("a file here, a folder there")
    command = [sys.executable, str(PACKAGING / "common.py"), str(both)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "0 MB of python3.13 are python3.11's\n"
    assert (first / "av" / "same.py").samefile(second / "av" / "same.py")
    assert (first / "av" / "same.py").stat().st_nlink == 2
    assert (second / "av" / "differs.py").read_text() == "a = 'python3.13'\n"
    assert (second / "av" / "link.py").readlink() == Path("same.py")
    assert (second / "av" / "core.cpython-313.so").stat().st_nlink == 1
    assert (second / "av" / "kind").is_file()
    assert not any(one.is_symlink() for one in both.rglob("*") if one.is_dir())


def test_a_package_is_told_of_another_python() -> None:
    """Where the system's comes from, and that its environment has no Python of its own."""
    triggers = (PACKAGING / "appliance.triggers").read_text().splitlines()
    assert "interest-noawait /usr/bin/python3" in triggers
    assert "ln -sf /usr/bin/python3 $(VENV)/bin/python3" in (PACKAGING / "rules").read_text()


# -------------------- pages of 16 KiB, as a Pi 5's own kernel has them


ALIGNED = PACKAGING / "aligned.py"


def library(*parts: tuple[int, int]) -> bytes:
    """The head of a shared library for arm64 with these parts: of which kind, and aligned to what."""
    head = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01", 3, 183, 1, 0, 64, 0, 0, 64, 56, len(parts), 64, 0, 0,
    )  # fmt: skip
    return head + b"".join(
        struct.pack("<IIQQQQQQ", kind, 5, 0, 0, 0, 0, 0, aligned) for kind, aligned in parts
    )


def asked(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ALIGNED), str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_library_that_a_pi_5_cannot_map_is_named(tmp_path: Path) -> None:
    """Only what is loaded counts; what is no library of 64 bit is none."""
    (tmp_path / "within").mkdir()
    (tmp_path / "within" / "good.so.1").write_bytes(library((1, 0x10000), (1, 0x4000), (2, 8)))
    (tmp_path / "text.so").write_text("INPUT(good.so.1)")
    (tmp_path / "no.so").write_bytes(b"\x7fELF\x01\x01")
    (tmp_path / "good.py").write_bytes(library((1, 0x1000)))
    done = asked(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("1 libraries, 0 of them")
    (tmp_path / "within" / "bad.cpython-313-aarch64-linux-gnu.so").write_bytes(
        library((1, 0x10000), (1, 0x1000))
    )
    done = asked(tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("within/bad.cpython-313-aarch64-linux-gnu.so is aligned to 4096")
    assert asked(tmp_path, "4096").returncode == 0


def test_a_folder_without_libraries_is_no_proof(tmp_path: Path) -> None:
    assert asked(tmp_path).returncode == 1


def test_this_machines_own_libraries_can_be_asked() -> None:
    """Wheels are built by their own machine's rules: these are read as they are, on whatever it is."""
    folder = Path(msgspec.__file__).parent
    done = asked(folder, "4096")
    assert (done.returncode, done.stderr) == (0, "")
    assert asked(folder, str(1 << 30)).returncode == 1


def test_whoever_builds_the_package_for_a_pi_is_told() -> None:
    rules = (PACKAGING / "rules").read_text()
    asks = (
        "ifeq ($(DEB_HOST_ARCH),arm64)\n\tpython3 debian/aligned.py $(BUILT)/opt/appliance\nendif"
    )
    assert asks in rules
    [environment] = re.findall(r"(?m)^environment: .*\n((?:.+\n)+)", rules)
    assert asks in environment
