"""What an image gets: RAUC's configuration, units, keys; each file as it lies there."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

from tests.parts import need
from tests.updating import bundles
from tests.updating.conftest import Published

UPDATE = bundles.UPDATE
SCRIPTS = ("slots", "keys", "bundle", "install", "hook")
UNITS = sorted(one.name for one in (UPDATE / "units").iterdir() if one.is_file())


@pytest.fixture(scope="module")
def image(published: Published, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of an image, into which it was installed."""
    root = tmp_path_factory.mktemp("image")
    words: list[str | Path] = [UPDATE / "install", root, "pi5", published.keys / "authority.crt"]
    subprocess.run([*words, "1.2"], check=True)
    return root


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_are_shell(script: str) -> None:
    subprocess.run(["sh", "-n", UPDATE / script], check=True)


def test_nothing_is_left_to_be_filled_in(image: Path, published: Published) -> None:
    conf = (image / "etc/rauc/system.conf").read_text()
    assert "@" not in re.sub(r"(?m)^#.*", "", conf)
    assert "compatible=appliance-pi5\n" in conf
    assert "min-bundle-version=1.2\n" in conf
    assert (image / "usr/lib/appliance-image/version").read_text() == "1.2\n"
    keyring = (image / "etc/rauc/keyring.pem").read_bytes()
    assert keyring == (published.keys / "authority.crt").read_bytes()
    assert stat.S_IMODE((image / "usr/lib/appliance/slots").stat().st_mode) == 0o755


@pytest.mark.parametrize("version", ["1.2.3.4", "1.2.3+4", "1.2~rc1", "1.2-3-4", "next"])
def test_a_version_that_rauc_cannot_compare_is_given_to_no_image(
    published: Published, tmp_path: Path, version: str
) -> None:
    """Its configuration would be wrong with it, and nothing could be installed any more."""
    keyring = published.keys / "authority.crt"
    words: list[str | Path] = [UPDATE / "install", tmp_path, "pi5", keyring, version]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, "RAUC compares no version" in done.stderr) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_rauc_takes_the_configuration(image: Path, published: Published) -> None:
    """The real one reads it, but for what version 1.8 does not know, and believes by it."""
    conf = bundles.system_conf(image / "etc/rauc", published.keys, "paper")
    words: list[str | Path] = [bundles.needed(), f"--conf={conf}", "info", published.good]
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0


def test_every_unit_is_wanted_by_what_its_install_section_says(image: Path) -> None:
    for name in UNITS:
        wanted = re.findall(r"(?m)^WantedBy=(\S+)", (UPDATE / "units" / name).read_text())
        made = (image / "etc/systemd/system").glob("*.wants/*")  # links into the image's own root
        links = {one.parent.name for one in made if one.name == name}
        assert links == {f"{one}.wants" for one in wanted}, name


def test_the_end_of_a_trial_needs_nothing_of_what_is_tried() -> None:
    """Whatever is broken in a new system, its trial ends."""
    for name in ("appliance-update-limit.timer", "appliance-update-limit.service"):
        text = (UPDATE / "units" / name).read_text()
        assert "DefaultDependencies=no" in text
        assert "/opt/" not in text
        assert "After=" not in text
    assert "FailureAction=reboot" in (UPDATE / "units/appliance-update-trial.service").read_text()


def test_nobody_but_root_speaks_with_rauc(image: Path) -> None:
    """By D-Bus's own reading of it; RAUC's own policy lets everybody."""
    text = (image / "etc/dbus-1/system.d/appliance-rauc.conf").read_text()
    rules = re.findall(r"<policy (.*?)>\s*<(\w+) send_destination=\"(.*?)\"/>", text)
    assert rules == [
        ('context="default"', "deny", "de.pengutronix.rauc"),
        ('user="root"', "allow", "de.pengutronix.rauc"),
    ]


# -------------------- the keys


def test_keys_are_for_one_eyes_only_and_certificates_for_their_purpose(
    published: Published,
) -> None:
    for name in ("authority.key", "signer.key"):
        assert stat.S_IMODE((published.keys / name).stat().st_mode) == 0o600
    authority, signer = (
        subprocess.check_output(
            [need.program("openssl"), "x509", "-noout", "-text", "-in", published.keys / name],
            text=True,
        )
        for name in ("authority.crt", "signer.crt")
    )
    assert "CA:TRUE, pathlen:0" in authority
    assert "Certificate Sign, CRL Sign" in authority
    assert "Code Signing" in signer
    assert "CA:FALSE" in signer


OWN = "dtoverlay=hifiberry-dac\n[pi4]\ndtparam=i2c_arm=on\n"
LINE = "# -------------------- what is added below this line, updates take along\n"


@pytest.mark.parametrize(
    ("runs", "written", "found"),
    [
        (f"a=1\n[all]\n{LINE}{OWN}", f"b=2\n[all]\n{LINE}", f"b=2\n[all]\n{LINE}{OWN}"),
        (f"a=1\n{LINE}{OWN}", "b=2\n", f"b=2\n{LINE}{OWN}"),
        (f"a=1\n{LINE}", f"b=2\n{LINE}", f"b=2\n{LINE}"),
        (f"a=1\n{OWN}", f"b=2\n{LINE}", f"b=2\n{LINE}"),
        (None, f"b=2\n{LINE}", f"b=2\n{LINE}"),
    ],
    ids=["added", "to what has no such line", "nothing", "elsewhere", "nothing to be read"],
)
def test_what_an_owner_has_added_to_config_txt_goes_along(
    runs: str | None, written: str, found: str, tmp_path: Path
) -> None:
    """Of a real bundle, run as RAUC does; the partition is a folder."""
    if runs is not None:
        (tmp_path / "config.txt").write_text(runs)
    partition, programs = tmp_path / "partition", tmp_path / "programs"
    partition.mkdir()
    (partition / "config.txt").write_text(written)
    programs.mkdir()
    # what is mounted is a link in the place of the folder, which is there again afterwards
    (programs / "mount").write_text('#!/bin/sh\nrmdir "$2" && ln -s "$1" "$2"\n')
    (programs / "umount").write_text('#!/bin/sh\nrm "$1" && mkdir "$1"\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    environ = {
        "PATH": f"{programs}:/usr/bin:/bin",
        "TMPDIR": str(tmp_path),
        "APPLIANCE_FIRMWARE": str(tmp_path),
        "RAUC_SLOT_DEVICE": str(partition),
    }
    before = sorted(tmp_path.iterdir())
    for what, slot in (("slot-post-install", "system"), ("slot-post-install", "boot")):
        subprocess.run(
            [UPDATE / "hook", what], env={**environ, "RAUC_SLOT_CLASS": slot}, check=True
        )
    assert (partition / "config.txt").read_text() == found
    assert sorted(tmp_path.iterdir()) == before, "nothing is left of it"


def test_a_bundle_has_rauc_run_it_for_the_boot_partition_alone(
    published: Published, tmp_path: Path
) -> None:
    conf = bundles.system_conf(tmp_path, published.keys)
    words: list[str | Path] = [bundles.needed(), f"--conf={conf}"]
    told = [*words, "info", "--output-format=json", published.good]
    images = json.loads(subprocess.run(told, capture_output=True, check=True).stdout)["images"]
    hooks = {name: one["hooks"] for image in images for name, one in image.items()}
    assert hooks == {"boot": ["post-install"], "system": []}
    subprocess.run([*words, "extract", published.good, tmp_path / "in"], check=True)
    hook = tmp_path / "in" / "hook"
    assert hook.read_bytes() == (UPDATE / "hook").read_bytes()
    assert os.access(hook, os.X_OK)


def test_another_signer_is_believed_by_who_knows_the_authority(
    published: Published, tmp_path: Path
) -> None:
    """Every two years: no device need be told."""
    keys = bundles.keys(tmp_path / "keys")
    first = (keys / "signer.crt").read_bytes()
    subprocess.run([UPDATE / "keys", "signer", keys, "--plain"], check=True)
    assert (keys / "signer.crt").read_bytes() != first
    bundles.bundle(tmp_path / "next.raucb", keys)


def test_an_authority_is_never_made_over_another(published: Published) -> None:
    words: list[str | Path] = [UPDATE / "keys", "new", published.keys, "--plain"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, "has an authority already" in done.stderr) == (1, True)


def test_a_bundle_is_of_the_version_that_its_system_says(
    published: Published, tmp_path: Path
) -> None:
    """Or devices would take what they run for another one, and write it anew night for night."""
    file = bundles.bundle(tmp_path / "a.raucb", published.keys, "1.2.3-1", VERSION="1.2.3-1")
    conf = bundles.system_conf(tmp_path, published.keys)
    words: list[str | Path] = [bundles.needed(), f"--conf={conf}", "info"]
    assert (
        json.loads(subprocess.check_output([*words, "--output-format=json", file]))["version"]
        == "1.2.3-1"
    )
    with pytest.raises(AssertionError, match=r"b\.system is 1\.2\.3, not 1\.2\.4"):
        bundles.bundle(tmp_path / "b.raucb", published.keys, "1.2.3", VERSION="1.2.4")
    with pytest.raises(AssertionError, match=r"c\.system does not say which version it is"):
        bundles.bundle(tmp_path / "c.raucb", published.keys, None)


def test_a_bundle_that_devices_would_not_believe_is_not_made(
    published: Published, tmp_path: Path
) -> None:
    keys = bundles.keys(tmp_path / "keys")
    bundles.servers_signer(keys)
    with pytest.raises(AssertionError, match="purpose"):
        bundles.bundle(tmp_path / "wrong.raucb", keys)
    assert not (tmp_path / "wrong.raucb").exists()
