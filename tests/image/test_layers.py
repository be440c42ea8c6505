"""What image-build has for rpi-image-gen, against the rules by which that reads it; what it names exists.

The rules are rpi-image-gen's own, of commit 262d4df: fields in site/metadata_parser.py (SUPPORTED_FIELDS,
SUPPORTED_FIELD_PATTERNS), policies in site/env_types.py, keys of `mmdebstrap` in docs/layer/index.adoc and
bdebstrap(1), configuration in docs/config/index.adoc, shared paths in image/gpt/ab_userdata/image.adoc. It
is no package of any archive; with RPI_IMAGE_GEN=/path/to/a/checkout its own linter and its own resolver of
layers are asked as well.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.parts import need
from tests.parts.need import skip_or_fail

PLACE = Path(__file__).parents[2] / "image-build"
OVERLAY = PLACE / "layer" / "appliance.rootfs-overlay"
FIRMWARE = PLACE / "device" / "device" / "rootfs-overlay" / "boot" / "firmware"
LAYERS = sorted((PLACE / "layer").glob("*.yaml"))
CONFIGS = sorted((PLACE / "config").glob("*.yaml"))

LAYER_FIELDS = {
    *("Name", "Description", "Desc", "Category", "Version", "Requires", "Provides"),
    *("RequiresProvider", "AfterProvider", "Conflicts", "Type", "Generator", "Sets"),
}
VARIABLE_FIELDS = {"Desc", "Required", "Valid", "Set", "Anchor", "Conflicts", "Triggers"}
OTHERS = {"X-Env-VarPrefix", "X-Env-VarRequires", "X-Env-VarRequires-Valid"}
POLICIES = {"immediate", "y", "lazy", "force", "skip", "n"}
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
VARIABLES = {
    "device": {"layer", "assetdir", "hostname", "user1", "user1sudo"},
    "ssh": {"pubkey_only"},
    "image": {
        "layer",
        "name",
        "boot_part_size",
        "system_part_size",
        "data_part_size",
        "rootfs_type",
    },
}
"""Of what the named layers declare (and registry.defs: `layer`) what is set here."""


def metadata(text: str) -> dict[str, str]:
    """The fields of the header: DEB822 in comments; a line that begins with a space goes on."""
    header = re.fullmatch(r"# METABEGIN\n(.*?)# METAEND\n---\n.*", text, re.DOTALL)
    assert header, "a layer begins with its header, and its YAML with a line of its own"
    fields: dict[str, str] = {}
    name = ""
    for line in header[1].splitlines():
        assert line.startswith("#"), line
        line = line[2:]
        if line.startswith(" "):
            fields[name] += " " + line.strip()
        elif line.strip():
            name, colon, value = line.partition(":")
            assert colon, f"no field: {line}"
            assert name not in fields, f"twice: {name}"
            fields[name] = value.strip()
    return fields


def faults(fields: dict[str, str]) -> list[str]:
    """What rpi-image-gen would say of a header."""
    found = []
    variables = {
        name.removeprefix("X-Env-Var-")
        for name in fields
        if re.fullmatch(r"X-Env-Var-[A-Za-z0-9_]+", name)
    }
    for name, value in fields.items():
        if kind := re.fullmatch(r"X-Env-Layer-(\w+)", name):
            if kind[1] not in LAYER_FIELDS:
                found.append(f"unsupported: {name}")
        elif kind := re.fullmatch(r"X-Env-Var-([A-Za-z0-9_]+)-(\w+)", name):
            if kind[2] not in VARIABLE_FIELDS or kind[1] not in variables:
                found.append(f"unsupported: {name}")
            if kind[2] == "Set" and value not in POLICIES:
                found.append(f"no policy: {value}")
            if kind[2] == "Required" and value not in {"y", "n"}:
                found.append(f"neither y nor n: {name}")
        elif name not in OTHERS and name.removeprefix("X-Env-Var-") not in variables:
            found.append(f"unsupported: {name}")
    if variables and "X-Env-VarPrefix" not in fields:
        found.append("variables without a prefix")
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", fields.get("X-Env-Layer-Name", "")):
        found.append("no name")
    if not re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", fields.get("X-Env-Layer-Version", "")):
        found.append("no version")
    return found


def body(layer: Path) -> dict[str, Any]:
    loaded = yaml.safe_load(layer.read_text())
    assert set(loaded) <= {"mmdebstrap", "env", "name"}, layer
    mmdebstrap: dict[str, Any] = loaded["mmdebstrap"]
    return mmdebstrap


def listed(value: str) -> list[str]:
    return [word for word in re.split(r"[,\s]+", value) if word]


OURS = {metadata(layer.read_text())["X-Env-Layer-Name"]: layer for layer in LAYERS}


@pytest.mark.parametrize("layer", LAYERS, ids=lambda path: path.stem)
def test_a_layer_is_as_rpi_image_gen_reads_it(layer: Path) -> None:
    fields = metadata(layer.read_text())
    assert faults(fields) == []
    assert fields["X-Env-Layer-Name"] == layer.stem
    for needed in listed(fields.get("X-Env-Layer-Requires", "")):
        assert needed in OURS or needed in THEIRS, needed
    steps = body(layer)
    assert set(steps) <= STEPS
    assert len(set(steps["packages"])) == len(steps["packages"])
    for name, hooks in steps.items():
        assert all(isinstance(one, str) for one in hooks), name


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("# X-Env-Layer-Colour: red", "unsupported"),
        ("# X-Env-Var-deb-Purpose: a package", "unsupported"),
        ("# X-Env-Var-other-Desc: of nothing", "unsupported"),
        ("# X-Env-Something: else", "unsupported"),
        (
            "# X-Env-Var-deb-Conflicts:\n# X-Env-Var-more: 1\n# X-Env-Var-more-Set: perhaps",
            "policy",
        ),
    ],
)
def test_what_it_would_not_take_is_found(line: str, said: str) -> None:
    text = OURS["appliance"].read_text().replace("# METAEND", f"{line}\n# METAEND")
    assert said in " ".join(faults(metadata(text)))


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
    settings = yaml.safe_load(config.read_text())
    if (include := settings.pop("include", None)) is not None:
        assert (config.parent / include["file"]).is_file()
    for section, values in settings.items():
        if section == "layer":
            assert set(values.values()) <= set(OURS)
            continue
        assert set(values) <= VARIABLES[section], section
        assert values.get("layer", "rpi4") in THEIRS
        for value in values.values():
            if str(value).startswith("${@SRCROOT}/"):
                assert (PLACE / value.removeprefix("${@SRCROOT}/")).is_dir(), value


def test_folders_that_outlive_an_update_are_declared_as_image_rota_reads_them() -> None:
    [file] = (OVERLAY / "etc" / "rpi-image-gen" / "slot-shared.d").glob("*.conf")
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "Version=1"
    paths = [line.removeprefix("Path=") for line in lines[1:]]
    assert all(path.startswith("/") and " " not in path for path in paths)
    assert {"/etc/appliance", "/etc/credstore", "/var/lib/appliance"} <= set(paths)
    # image-rota writes the image's own files over them at each start
    assert not [path for path in paths if (OVERLAY / path.lstrip("/")).exists()]


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


def test_the_firmware_is_told_in_its_own_words() -> None:
    config = (FIRMWARE / "config.txt").read_text()
    for line in filter(None, (line.partition("#")[0].strip() for line in config.splitlines())):
        assert re.fullmatch(r"\[(all|pi\d)\]|[a-z_0-9]+=[a-z0-9_=,-]+", line), line
    assert "\ndtparam=watchdog=on\n" in config
    [cmdline] = (FIRMWARE / "cmdline.txt").read_text().splitlines()
    words = cmdline.split()
    # what image-rota's slot-post-process.sh puts the slot's root in place of
    assert "root=ROOTDEV" in words
    assert {"ro", "rootwait"} <= set(words)


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
            "rpi-image-gen is no package: RPI_IMAGE_GEN=/path/to/a/checkout asks its own linter"
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
    layers = re.findall(
        r'(?m)^IGconf_(?:layer_\w+|device_layer|image_layer)="(.*)"', user.read_text()
    )
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
    resolved = (tmp_path / "resolved").read_text()
    assert f"IGconf_appliance_settle={PLACE / 'layer' / 'settle'}" in resolved.replace('"', "")
