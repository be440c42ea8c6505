"""What RAUC itself believes of a bundle, and what its refusals are called; all are really signed."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings

from appliance.updating import rauc
from appliance.updating.rauc import CannotUpdate
from tests.fuzz.test_parsers import DEEP, spoilt_json
from tests.updating import bundles
from tests.updating.conftest import Device, Published

UNANSWERED = (
    "rauc-nbd-Message: 11:57:43.055: request failed: {} (retrying 1/5)\n"
    "rauc-nbd-Message: 11:57:53.286: request failed (no more retries)\n"
    "Failed to stream bundle https://a/b.raucb: failed to configure streaming: server not responding\n"
)
"""What RAUC 1.13 says where libcurl has said this."""


class Real:
    """RAUC with the configuration of a device that knows one publisher."""

    def __init__(self, conf: Path) -> None:
        self._words: list[str | Path] = [bundles.needed(), f"--conf={conf}"]

    def __call__(self, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self._words, *words], capture_output=True, text=True, check=False)


@pytest.fixture
def real(published: Published, tmp_path: Path) -> Real:
    return Real(bundles.system_conf(tmp_path, published.keys))


def refused(real: Real, file: Path) -> str:
    with pytest.raises(CannotUpdate) as refusal:
        rauc.look_into(str(file), real)
    return str(refusal.value)


def test_what_a_bundle_is(real: Real, published: Published) -> None:
    found = rauc.look_into(str(published.good), real)
    assert (found.compatible, found.version) == ("appliance-paper", "9.0")
    assert found.description == "appliance 9.0 for paper"


def test_of_another_publisher(real: Real, published: Published, tmp_path: Path) -> None:
    other = bundles.bundle(tmp_path / "other.raucb", bundles.keys(tmp_path / "other"))
    assert "key that this device does not know" in refused(real, other)


def test_signed_with_a_certificate_that_has_expired(
    real: Real, published: Published, tmp_path: Path
) -> None:
    """By a signer of the right authority, whose time was over before today."""
    keys = Path(shutil.copytree(published.keys, tmp_path / "keys"))
    bundles.expired_signer(keys)
    old = bundles.unbelieved(tmp_path / "old.raucb", keys)
    assert "certificate has expired" in refused(real, old)


def test_signed_with_a_key_that_is_for_something_else(
    real: Real, published: Published, tmp_path: Path
) -> None:
    """The authority vouches for it, and not for updates: a certificate of a web server's."""
    keys = Path(shutil.copytree(published.keys, tmp_path / "keys"))
    bundles.servers_signer(keys)
    wrong = bundles.unbelieved(tmp_path / "wrong.raucb", keys)
    assert "key that is not for updates" in refused(real, wrong)


@pytest.mark.parametrize("left", [0, 8, 4096, 50_000, -1, -8, -3000])
def test_cut_off(real: Real, published: Published, tmp_path: Path, left: int) -> None:
    cut = tmp_path / "cut.raucb"
    cut.write_bytes(published.good.read_bytes()[:left])
    assert "is refused: " in refused(real, cut)


def test_flipped_bits_of_what_is_signed(real: Real, published: Published, tmp_path: Path) -> None:
    """Of signature and manifest, which stand at the end; the rest is dm-verity's, block by block."""
    data = published.good.read_bytes()
    size = int.from_bytes(data[-8:], "big")
    start = len(data) - 8 - size
    spoilt = tmp_path / "spoilt.raucb"
    for place in range(start, len(data), 131):
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        spoilt.write_bytes(bytes(changed))
        try:
            found = rauc.look_into(str(spoilt), real)
        except CannotUpdate:
            continue
        assert found == rauc.look_into(str(published.good), real), f"byte {place - start} of {size}"


def test_what_is_no_bundle(real: Real, tmp_path: Path) -> None:
    (tmp_path / "no.raucb").write_text("nothing of the kind" * 1000)
    assert "is refused" in refused(real, tmp_path / "no.raucb")
    assert "no such file" in refused(real, tmp_path / "none.raucb")


def test_without_rauc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotUpdate, match="rauc is not installed"):
        rauc.run(["info"])


def test_what_was_written_to_each_slot(device: Device) -> None:
    assert (rauc.compatible(), rauc.versions()) == ("appliance-paper", {"A": None, "B": None})
    (device.pi.folder / "version-B").write_text("1.2")
    assert rauc.versions() == {"A": None, "B": "1.2"}


def test_marks_go_to_what_runs(device: Device) -> None:
    device.pi.has("A", "tried")
    device.pi.runs("B")
    rauc.mark_bad()
    assert device.pi.status()["default"] == "A"
    rauc.mark_good()
    assert device.pi.status()["default"] == "B"


@pytest.mark.parametrize(("late", "is_marked"), [(0, True), (2, True), (3, False)])
def test_who_answers_too_late_is_asked_again(late: int, is_marked: bool) -> None:
    """On a busy machine RAUC's service may have done it, and its command not have heard so."""
    answers = [1] * late + [0] * 3

    def run(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(words, answers.pop(0), "", "Timeout was reached")

    if is_marked:
        rauc.mark_good(run)
    else:
        with pytest.raises(CannotUpdate, match="cannot be marked good: Timeout was reached"):
            rauc.mark_good(run)


@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(
    spoilt_json(
        {"compatible": "a", "version": "1", "images": []},
        {
            "compatible": "a",
            "slots": [{"system.0": {"bootname": "A", "slot_status": {"bundle": {}}}}],
        },
    )
)
@example(DEEP)
@example(b'{"slots": [{"system.0": null}]}')
@example(b'{"slots": [{"system.0": {"bootname": "A", "slot_status": {"bundle": 3}}}]}')
def test_what_is_spoilt_of_what_rauc_says(data: bytes) -> None:
    def run(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(words, 0, data.decode("utf-8", "replace"), "")

    for ask in (lambda: rauc.look_into("a.raucb", run), lambda: rauc.versions(run)):
        with contextlib.suppress(CannotUpdate):
            ask()


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ("LastError: Installation error: Compatible mismatch: Expected 'a'", "another kind"),
        ("rauc-Message: 1\nLastError: Failed to mount bundle\n", "Failed to mount bundle"),
        (" 20% Checking\n 40% Checking done.\n", "does not say why"),
        ("", "does not say why"),
        (
            UNANSWERED.format(
                "server verification failed: certificate signer not trusted."
                " (CAfile: /etc/ssl/certs/ca-certificates.crt CRLfile: none)"
            ),
            "its server's certificate is not believed: certificate signer not trusted",
        ),
        (  # and not that of whoever signed the bundle
            UNANSWERED.format("SSL certificate problem: certificate has expired"),
            "its server's certificate is not believed: certificate has expired",
        ),
        (
            UNANSWERED.format("Could not resolve host: nowhere.example"),
            "its server cannot be asked: Could not resolve host: nowhere.example",
        ),
        ("failed to configure streaming: server not responding\n", "server not responding"),
    ],
)
def test_what_rauc_says_of_it(said: str, meaning: str) -> None:
    assert meaning in rauc.reason(said)
