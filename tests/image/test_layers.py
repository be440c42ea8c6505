"""What image-build has for rpi-image-gen, against the rules by which that reads it; what it names exists.

The rules are rpi-image-gen's own, of commit 262d4df: headers in layer_rules.py; keys of `mmdebstrap` in
docs/layer/index.adoc and bdebstrap(1), configuration in docs/config/index.adoc, shared paths in
image/gpt/ab_userdata/image.adoc. It is no package of any archive; with a checkout of it its own linter and
its own resolver of layers are asked as well:

    git clone https://github.com/raspberrypi/rpi-image-gen /tmp/rpi-image-gen
    sudo apt install python3-debian python3-yaml
    RPI_IMAGE_GEN=/tmp/rpi-image-gen .venv/bin/pytest tests/image/test_layers.py
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from appliance import __version__
from tests.image.layer_rules import Wrong, check_value, faults, listed, loaded, metadata
from tests.parts import need
from tests.parts.need import skip_or_fail

PLACE = Path(__file__).parents[2] / "image-build"
OVERLAY = PLACE / "layer" / "appliance.rootfs-overlay"
FIRMWARE = PLACE / "device" / "device" / "rootfs-overlay" / "boot" / "firmware"
LAYERS = sorted((PLACE / "layer").glob("*.yaml"))
CONFIGS = sorted((PLACE / "config").glob("*.yaml"))

WORK = "$(realpath --canonicalize-missing ./work)"
VERSION = "$(git describe --tags --always --dirty 2>/dev/null || date +%Y-%m-%d)"
SAID_IN_README = {
    "IGconf_image_outputdir": f"{WORK}/image-appliance",
    "IGconf_image_suffix": "img",
    "IGconf_deploy_dir": f"{WORK}/deploy-{VERSION}",
    "IGconf_deploy_compression": "zstd",
    "IGconf_target_dir": f"{WORK}/chroot-{VERSION}",
    "IGconf_sbom_filename": f"filesystem-{VERSION}.sbom",
}
"""Where README.md says that things are, as rpi-image-gen resolves it."""
STEPS = {
    *("packages", "mirrors", "suite", "variant", "architectures", "mode", "keyrings", "components"),
    *("setup-hooks", "extract-hooks", "essential-hooks", "customize-hooks", "cleanup-hooks"),
    *("aptopts", "dpkgopts", "target", "hostname", "format"),
}
THEIRS = {
    *("debian-trixie-arm64", "rpi-debian-trixie", "rpi-essential-base", "network-manager-iwd"),
    *("wireless-regulatory", "openssh-server", "systemd-timesyncd", "ca-certificates"),
    *("rpi4", "rpi5", "image-rota"),
}
"""The layers of rpi-image-gen that are named here, of layer/, device/ and image/."""
PROVIDED = {"systemd", "image", "device"}
"""What their layers and the boards' provide of what ours ask for."""
VARIABLES = {
    "device": {
        "layer": "string",
        "assetdir": "string",
        "hostname": "string",
        "user1": "string",
        "user1sudo": "none,passwd,nopasswd",
    },
    "rpisec": {"eepromupd": "bool"},
    "locale": {"timezone": "string"},
    "ssh": {"pubkey_only": "bool"},
    "image": {
        "layer": "string",
        "name": "string",
        "boot_part_size": "size",
        "system_part_size": "size",
        "data_part_size": "size",
        "rootfs_type": "ext4,erofs",
    },
}
"""Of what the named layers declare what is set here, each with its rule; registry.defs has none of them."""


def body(layer: Path) -> dict[str, Any]:
    read = loaded(layer.read_text())
    assert set(read) <= {"mmdebstrap", "env", "name"}, layer
    mmdebstrap: dict[str, Any] = read["mmdebstrap"]
    return mmdebstrap


OURS = {metadata(layer.read_text())["X-Env-Layer-Name"]: layer for layer in LAYERS}


@pytest.mark.parametrize("layer", LAYERS, ids=lambda path: path.stem)
def test_a_layer_is_as_rpi_image_gen_reads_it(layer: Path) -> None:
    fields = metadata(layer.read_text())
    assert faults(fields) == []
    assert fields["X-Env-Layer-Name"] == layer.stem
    for needed in listed(fields.get("X-Env-Layer-Requires", "")):
        assert needed in OURS or needed in THEIRS, needed
    for capability in listed(fields.get("X-Env-Layer-RequiresProvider", "")):
        assert capability in PROVIDED, capability
    steps = body(layer)
    assert set(steps) <= STEPS
    assert len(set(steps["packages"])) == len(steps["packages"])
    for name, hooks in steps.items():
        assert all(isinstance(one, str) for one in hooks), name


def test_an_image_has_what_a_package_only_recommends() -> None:
    """rpi-image-gen installs no more than what is named, and SDL depends on nothing that draws."""
    control = (PLACE / "debian" / "control").read_text()
    [recommended] = re.findall(r"(?m)^Recommends: (.*)$", control)
    [screen] = re.findall(
        r"(?m)^\| `kms` .*`apt install (.*?)`", (PLACE.parent / "docs" / "screen.md").read_text()
    )
    assert set(screen.split()) <= set(recommended.split(", "))
    assert set(recommended.split(", ")) <= set(body(OURS["appliance-deps"])["packages"])


DEB, MORE = "# X-Env-Var-deb", "# X-Env-Var-more: 1\n# X-Env-Var-more"

WHEN = "#  when=IGconf_a in ['a set b', 'c'] set IGconf_d=\"e f\" policy=lazy"

BAD = (
    ("# X-Env-Layer-Colour: red", "unsupported"),
    ("# X-Env-Layer-Description: long", "unsupported"),
    (f"{DEB}-Purpose: a package", "unsupported"),
    ("# X-Env-Var-other-Desc: of nothing", "unsupported"),
    ("# X-Env-Something: else", "unsupported"),
    ("# X-Env-Trait-x-Colour: red", "unsupported"),
    ("# X-Env-Layer-Name: again", "twice"),
    ("# Package: x", "no field"),
    ("# X-Env-Layer-Type: growing", "no type"),
    ("# X-Env-Layer-Type: dynamic", "generates"),
    ("# X-Env-Layer-Provides: door bell", "no comma"),
    ("# X-Env-Layer-Provides: bell when=IGconf_a == 'b'", "only what is required"),
    ("# X-Env-Layer-AfterProvider: hw:bell", "a trait"),
    ("# X-Env-Layer-Sets: IGconf_x=1", "of its own"),
    ("# X-Env-VarRequires: 1st", "no variable's name"),
    ("# X-Env-VarRequires-Valid: string", "more rules"),
    ("# X-Env-VarOptional: IGconf_a\n# X-Env-VarOptional-Valid: colour", "no rule: colour"),
    (f"{MORE}-Set: perhaps", "no policy: perhaps"),
    (f"{MORE}-Required: perhaps", "neither y nor n"),
    (f"{MORE}-Anchor: WORK", "begins with @"),
    (f"{MORE}-Valid: colour", "no rule: colour"),
    (f"{MORE}-Valid: int:1", "no rule: int:1"),
    (f"{MORE}-Valid: regex:(", "no expression"),
    (f"{MORE}-Valid: int:2-9", "is not int:2-9"),
    (f"{MORE}-Valid: keywords:a,b", "is not keywords"),
    (f"{MORE}-Valid: list:a,b", "is not list"),
    (f"{MORE}-Valid: a,b", "is not a,b"),
    (f"{MORE}-Valid: regex:[a-z]", "is not regex"),
    (f"{MORE}-Valid: capacity", "is not capacity"),
    (f"{MORE}-Conflicts: IGconf_a > 'b'", "cannot have Compare"),
    (f"{MORE}-Conflicts: IGconf_a == 1", "cannot have Constant"),
    (f"{MORE}-Conflicts: IGconf_a", "no condition"),
    (f"{MORE}-Conflicts: not IGconf_a", "cannot have UnaryOp"),
    (f"{MORE}-Conflicts: had('hw:x')", "cannot have Call"),
    (f"{MORE}-Triggers: IGconf_a=b", "no action"),
    (f"{MORE}-Triggers: set 1a=b", "no action"),
    (f"{MORE}-Triggers: when=IGconf_a == 'b' IGconf_c=d", "no condition and action"),
    (f"{MORE}-Triggers: when=IGconf_a set IGconf_c=d", "no condition: IGconf_a"),
    (f"{MORE}-Triggers:\n#  set IGconf_c=d\n#  set IGconf_c=d policy=perhaps", "no policy"),
)
"""What may not be in a header, and a word of what is said of it."""


@pytest.mark.parametrize(("lines", "said"), BAD)
def test_what_it_would_not_take_is_found(lines: str, said: str) -> None:
    text = OURS["appliance"].read_text().replace("# METAEND", f"{lines}\n# METAEND")
    try:
        found = "\n".join(faults(metadata(text)))
    except Wrong as wrong:
        found = str(wrong)
    assert said in found


GOOD = (
    f"{MORE}-Valid: int:0-9",
    f"{MORE}-Valid: regex:[0-9]",
    f"{MORE}-Valid: size\n{DEB}-Conflicts: has('hw:bell') and not has('hw:x') or IGconf_a in ['b']",
    f"{MORE}-Valid: 1,\n{DEB}-Anchor: @DEB\n{DEB}-Triggers:\n#  set IGconf_a=b\n{WHEN}",
    f"{MORE}-Valid: colour,\n{MORE.partition(chr(10))[2]}-Set: skip",
    "# X-Env-Layer-Sets: A=b C=d",
    "# X-Env-VarOptional: IGconf_a,IGconf_b\n# X-Env-VarOptional-Valid: bool,file-nzero",
    "# X-Env-Trait-bell: y\n# X-Env-Trait-bell-Desc: It rings\n# X-Env-Trait-bell-Valid: bool",
)


@pytest.mark.parametrize("lines", GOOD)
def test_and_what_it_takes_is_taken(lines: str) -> None:
    text = OURS["appliance"].read_text().replace("# METAEND", f"{lines}\n# METAEND")
    assert faults(metadata(text)) == []


def test_a_key_that_comes_twice_is_found_in_whatever_depth() -> None:
    assert loaded("layer:\n  a: 1\n  b: 1\n") == {"layer": {"a": 1, "b": 1}}
    for text in ("a: 1\na: 1\n", "layer:\n  a: 1\n  b: 2\n  a: 1\n"):
        with pytest.raises(Wrong, match="twice: a"):
            loaded(text)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda path: path.stem)
def test_the_commands_of_a_layer_are_shell(layer: Path) -> None:
    for name, hooks in body(layer).items():
        for hook in hooks if name.endswith("-hooks") else ():
            done = subprocess.run(
                ["sh", "-n", "-c", hook], capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{hook}\n{done.stderr}"


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_a_configuration_names_layers_and_variables_that_exist(config: Path) -> None:
    settings = loaded(config.read_text())
    if (include := settings.pop("include", None)) is not None:
        assert (config.parent / include["file"]).is_file()
    for section, values in settings.items():
        if section == "layer":
            assert set(values.values()) <= set(OURS)
            continue
        assert set(values) <= set(VARIABLES[section]), section
        assert values.get("layer", "rpi4") in THEIRS
        for name, value in values.items():
            check_value(VARIABLES[section][name], str(value))
            if str(value).startswith("${@SRCROOT}/"):
                assert (PLACE / value.removeprefix("${@SRCROOT}/")).is_dir(), value


def test_no_service_of_an_image_writes_where_it_is_only_read() -> None:
    """Beside config.txt, where rpi-device-secpolicy puts the board's own firmware unless told otherwise."""
    settings = loaded((PLACE / "config" / "appliance.yaml").read_text())
    assert (settings["image"]["layer"], settings["rpisec"]) == ("image-rota", {"eepromupd": "n"})


@pytest.mark.parametrize(("said", "version"), [("1.2.3-1", "1.2.3-1"), ("", __version__)])
def test_a_system_is_given_its_version_and_takes_nothing_older(
    said: str, version: str, tmp_path: Path
) -> None:
    [hook] = body(OURS["appliance-update"])["cleanup-hooks"]
    environ = {
        "PATH": os.environ["PATH"],
        "IGconf_update_install": str(PLACE / "update" / "install"),
        "IGconf_device_class": "pi5",
        "IGconf_update_keyring": str(OURS["appliance-update"]),
        "IGconf_update_version": said,
    }
    subprocess.run(["sh", "-euc", hook, "hook", str(tmp_path)], env=environ, check=True)
    assert (tmp_path / "usr/lib/appliance-image/version").read_text() == f"{version}\n"
    conf = (tmp_path / "etc/rauc/system.conf").read_text()
    assert f"\nmin-bundle-version={version}\n" in conf


def test_folders_that_outlive_an_update_are_declared_as_image_rota_reads_them() -> None:
    [file] = (OVERLAY / "etc" / "rpi-image-gen" / "slot-shared.d").glob("*.conf")
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "Version=1"
    paths = [line.removeprefix("Path=") for line in lines[1:]]
    assert all(path.startswith("/") and " " not in path for path in paths)
    assert {"/etc/appliance", "/etc/credstore", "/var/lib/appliance"} <= set(paths)
    # image-rota writes the image's own files over them at each start
    assert not [path for path in paths if (OVERLAY / path.lstrip("/")).exists()]


def test_the_first_configuration_points_to_what_an_image_has() -> None:
    """No manual can be read there, and rpi-image-gen leaves out /usr/share/doc."""
    text = (PLACE / "debian" / "appliance.toml").read_text()
    install = (PLACE / "debian" / "appliance.install").read_text().splitlines()
    brought = {
        f"/{words[1]}/{Path(words[0]).name}": words[0] for words in map(str.split, install) if words
    }
    [named] = re.findall(r"/usr/[\w/.-]+", text)
    assert (PLACE.parent / brought[named]).is_file()
    assert not re.search(r"/usr/share/(doc|man)|`man ", text)


def test_units_of_the_image_start_what_is_in_it() -> None:
    settle = (PLACE / "layer" / "settle").read_text()
    units = sorted((OVERLAY / "usr" / "lib" / "systemd" / "system").glob("*.service"))
    assert units
    for unit in units:
        assert unit.name in settle, f"{unit.name} is not enabled"
        for program in re.findall(
            r"(?m)^Exec\w+=[-+!@:]*(/usr/lib/appliance\S+)", unit.read_text()
        ):
            assert os.access(OVERLAY / program.lstrip("/"), os.X_OK), program


def test_what_was_measured_of_the_stand_in_is_promised_of_every_image() -> None:
    """What is not done by the clock is said in `settle` alone, with which both end: test_scripts.py."""
    assert '\n"$layer/settle" "$root"\n' in (PLACE / "vm" / "assemble").read_text()
    assert body(OURS["appliance"])["cleanup-hooks"] == ['$IGconf_appliance_settle "$1"']
    for file in (PLACE / "vm" / "assemble", PLACE / "vm" / "rota", *LAYERS):
        commands = re.findall(r"systemctl (?:mask|disable)(?:[^\n]|(?<=\\)\n)*", file.read_text())
        assert not re.findall(r"\S+\.timer", "".join(commands)), file.name


def test_the_broker_of_an_image_is_not_started_before_it_has_a_configuration(
    tmp_path: Path,
) -> None:
    """Without one mosquitto lets every program of its machine in, whatever it is told of the anonymous."""
    drop_in = OVERLAY / "etc" / "systemd" / "system" / "mosquitto.service.d" / "appliance.conf"
    [condition] = re.findall(r"(?m)^Condition\w+=.*$", drop_in.read_text())
    folder = condition.partition("=")[2]
    shared = OVERLAY / "etc" / "rpi-image-gen" / "slot-shared.d" / "appliance.conf"
    assert f"Path={folder}" in shared.read_text().splitlines(), "an image has nothing in it"

    def holds() -> bool:
        words = [need.program("systemd-analyze", "systemd"), "condition", condition]
        words[-1] = condition.replace(folder, str(tmp_path))
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert "Conditions" in done.stdout + done.stderr, done.stderr
        return done.returncode == 0

    assert not holds()
    (tmp_path / "appliance.conf").symlink_to(tmp_path / "elsewhere")
    assert holds()


def test_the_authoritys_key_stays_roots_at_each_start(tmp_path: Path) -> None:
    """Though all around it is given to the broker's user."""
    if os.geteuid() != 0:
        need.skip_where_forbidden("files are given away", "by systemd-tmpfiles")
    (tmp_path / "etc").mkdir()
    users = "root:x:0:0::/:/bin/sh\nmosquitto:x:872:872::/:/bin/false\nappliance:x:871:871::/:/bin/false\n"
    (tmp_path / "etc" / "passwd").write_text(users)
    (tmp_path / "etc" / "group").write_text("root:x:0:\nmosquitto:x:872:\nappliance:x:871:\n")
    folder = tmp_path / "etc" / "mosquitto" / "appliance"
    folder.mkdir(parents=True)
    for name in ("ca.key", "server.key"):
        (folder / name).write_bytes(b"")
        os.chown(folder / name, 4321, 4321)
    lines = OVERLAY / "usr" / "lib" / "tmpfiles.d" / "appliance-image.conf"
    tmpfiles = need.program("systemd-tmpfiles", "systemd")
    words = [str(tmpfiles), "--create", f"--root={tmp_path}", str(lines)]
    for _ in range(2):
        subprocess.run(words, check=True, capture_output=True)
        found = {one.name: (one.stat().st_uid, one.stat().st_gid) for one in folder.iterdir()}
        assert found == {"ca.key": (0, 0), "server.key": (872, 872)}
        assert (folder / "ca.key").stat().st_mode & 0o777 == 0o600


def test_the_firmware_is_told_in_its_own_words() -> None:
    config = (FIRMWARE / "config.txt").read_text()
    for line in filter(None, (line.partition("#")[0].strip() for line in config.splitlines())):
        assert re.fullmatch(r"\[(all|pi\d)\]|[a-z_0-9]+=[a-z0-9_=,-]+", line), line
    assert "\ndtparam=watchdog=on\n" in config
    # from before Linux until systemd takes it over, which it is to do, or every start would end there
    assert re.search(r"\nkernel_watchdog_timeout=([6-9]\d|1[0-7]\d)\n", config)
    manager = (PLACE.parent / "systemd" / "system.conf.d" / "appliance.conf").read_text()
    assert re.search(r"\nRuntimeWatchdogSec=[1-9]", manager)
    assert "\nenable_uart=0\n" in config
    # from which on an update takes along what its owner has added
    [line] = re.findall(r"(?m)^line='(.*)'$", (PLACE / "update" / "hook").read_text())
    assert config.endswith(f"\n[all]\n{line}\n")
    [cmdline] = (FIRMWARE / "cmdline.txt").read_text().splitlines()
    words = cmdline.split()
    # what image-rota's slot-post-process.sh puts the slot's root in place of
    assert "root=ROOTDEV" in words
    assert {"ro", "rootwait"} <= set(words)
    # no pin of the header is a line that the kernel writes to
    assert [word for word in words if word.startswith("console=")] == ["console=tty1"]
    # a Pi's device tree has `cgroup_disable=memory` before it: MemoryMax of the units would limit nothing
    assert "cgroup_enable=memory" in words


@pytest.mark.parametrize("name", ["emulate", "foreign", "assemble", "../layer/settle"])
def test_scripts_are_shell(name: str) -> None:
    script = PLACE / "vm" / name
    assert os.access(script, os.X_OK)
    assert subprocess.run(["sh", "-n", script], check=False).returncode == 0


# -------------------- rpi-image-gen's own


@pytest.fixture
def checkout() -> Path:
    if not (named := os.environ.get("RPI_IMAGE_GEN")):
        pytest.skip(
            "rpi-image-gen itself is not asked, only our copy of its rules: it is in no archive of"
            " packages. With a checkout of github.com/raspberrypi/rpi-image-gen and python3-debian:"
            " RPI_IMAGE_GEN=/path/to/it .venv/bin/pytest tests/image/test_layers.py"
        )
    place = Path(named)
    asked = [str(place / "bin" / "ig"), "--help"]
    if subprocess.run(asked, capture_output=True, check=False).returncode:
        skip_or_fail("its linter wants python3-debian and python3-yaml")
    return place


def test_its_own_linter_finds_nothing(checkout: Path) -> None:
    for layer in LAYERS:
        words = [str(checkout / "bin" / "ig"), "metadata", "--lint", str(layer)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_its_own_linter_says_the_same_as_ours(checkout: Path, tmp_path: Path) -> None:
    """But for what ours alone refuses, and for values, which it looks at when an image is built."""
    stricter = ("twice", "perhaps", "is not ", "more rules", "no variable's name", "no name")
    file = tmp_path / "appliance.yaml"
    cases = [(lines, True) for lines in GOOD]
    cases += [
        (lines, False) for lines, said in BAD if not any(one in said + lines for one in stricter)
    ]
    for lines, taken in cases:
        text = OURS["appliance"].read_text().replace("# METAEND", f"{lines}\n# METAEND")
        file.write_text(text)
        words = [str(checkout / "bin" / "ig"), "metadata", "--lint", str(file)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) is taken, f"{lines}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("board", ["appliance-pi4", "appliance-pi5"])
def test_its_own_resolver_makes_a_plan_of_it(checkout: Path, tmp_path: Path, board: str) -> None:
    def ig(*words: str | Path) -> str:
        path = f"{checkout}/bin/generators:{checkout}/bin:{os.environ['PATH']}"
        environ = {**os.environ, "PATH": path, "SRCROOT": str(PLACE), "IGTOP": str(checkout)}
        command = [checkout / "bin" / "ig", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    registry = ig("metadata", "--emit", checkout / "registry.defs")
    user, whole, plan = tmp_path / "user", tmp_path / "whole", tmp_path / "plan"
    folders = f"{PLACE / 'config'}:{checkout / 'config'}"
    ig("config", "--path", folders, PLACE / "config" / f"{board}.yaml", "--write-to", user)
    (tmp_path / "dynamic" / "layer").mkdir(parents=True)
    given = {
        "DEB_BUILD_ARCH": "arm64",
        "DEB_HOST_ARCH": "arm64",
        "TOOLCHAIN_MODE": "native",
        "DEB_BUILD_GNU_TYPE": "aarch64-linux-gnu",
        "DEB_HOST_GNU_TYPE": "aarch64-linux-gnu",
        "IGTOP": checkout,
        "IGROOT": checkout,
        "SRCROOT": PLACE,
        "DYNROOT": tmp_path / "dynamic",
        "LAYER_HOOKS": checkout / "layer-hooks",
        "RPI_TEMPLATES": checkout / "templates" / "rpi",
    }
    lines = "".join(f'{name}="{value}"\n' for name, value in given.items())
    whole.write_text(registry + user.read_text() + lines)
    named = r'(?m)^IGconf_(?:layer_\w+|device_layer|image_layer)="(.*)"'
    layers = ["essential", *re.findall(named, user.read_text())]  # it puts that one before all
    search = ":".join(
        [
            f"DYNlayer={tmp_path / 'dynamic' / 'layer'}",
            f"SRClayer={PLACE / 'layer'}",
            *(f"{kind}={checkout / kind}" for kind in ("layer", "device", "image")),
        ]
    )
    words = ["--path", search, "--env-out", str(tmp_path / "resolved"), "--plan-out", str(plan)]
    ig("pipeline", "--env-in", whole, "--layers", *layers, *words)
    order = [line.split(":")[0] for line in plan.read_text().splitlines()]
    assert order.index("rpi-boot-firmware") < order.index("appliance")
    assert order.index("appliance-deps") < order.index("appliance")
    assert set(OURS) <= set(order)
    # what gives the paths that README.md names
    assert {"essential", "target-config", "deploy-base", "sbom-base"} <= set(order)
    resolved = (tmp_path / "resolved").read_text()
    said = dict(
        line.replace('"', "").split("=", 1) for line in resolved.splitlines() if "=" in line
    )
    assert {name: said[name] for name in SAID_IN_README} == SAID_IN_README
    assert said["IGconf_rpisec_eepromupd"] == "n"
    assert said["IGconf_linux_page_size"] == ("16384" if board == "appliance-pi5" else "4096")
    assert f"IGconf_appliance_settle={PLACE / 'layer' / 'settle'}" in resolved.replace('"', "")
