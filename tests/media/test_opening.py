"""picamera2's own source, at what it does not clear up itself."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from appliance.media.base import SourceFailed
from appliance.media.camera import PiCamera
from appliance.media.opening import offer_memory, without_display
from appliance.model import DeviceException
from tests.media.videosource import Film
from tests.parts.pi import Pi, pi, plan, refused, works

__all__ = ["pi"]


def test_a_camera_that_is_not_there_is_an_invalid_id_and_those_that_are_are_named(pi: Pi) -> None:
    fault = refused(PiCamera(plan("2")))
    assert fault.type is DeviceException.INVALID_ID
    assert "imx708" in str(fault)
    assert "ov5647" in str(fault)
    pi.front.plugged = pi.rear.plugged = False
    assert "libcamera sees none" in str(refused(PiCamera(plan("0"))))


def test_a_camera_that_another_program_has_is_occupied_until_it_is_free(pi: Pi) -> None:
    camera = PiCamera(plan(pi.front.model))
    pi.front.busy = True
    assert refused(camera).type is DeviceException.DEVICE_OCCUPIED
    pi.front.busy = False
    works(camera)


def test_a_computer_without_picamera2_says_what_to_install(
    pi: Pi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    fault = refused(PiCamera(plan()))
    assert fault.type is DeviceException.INVALID_ID
    assert "apt install python3-picamera2" in str(fault)


@pytest.mark.parametrize(
    "step",
    ["acquire", "generate_configuration", "configure", "create_request", "start", "queue_request"],
)
def test_whatever_call_of_libcamera_fails_nothing_is_left_open(
    pi: Pi, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.parts.libcamera_standin import Camera

    def fails(*_: Any) -> None:
        raise RuntimeError(f"{step}: {os.strerror(errno.EIO)}")

    with monkeypatch.context() as patch:
        patch.setattr(Camera, step, fails)
        fault = refused(PiCamera(plan()))
        assert fault.type is DeviceException.GENERIC
        assert fault.errno == errno.EIO
    works(PiCamera(plan()))


@pytest.mark.parametrize("step", ["stop", "release"])
def test_a_camera_that_does_not_close_as_it_should_is_let_go_of(
    pi: Pi, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.parts.libcamera_standin import Camera

    real = getattr(Camera, step)

    def does_it_and_fails(camera: Camera) -> None:
        real(camera)
        raise RuntimeError(f"{step}: {os.strerror(errno.EIO)}")

    camera = PiCamera(plan())
    Film(camera).take()
    with monkeypatch.context() as patch:
        patch.setattr(Camera, step, does_it_and_fails)
        camera.stop()
    works(PiCamera(plan()))


def test_a_camera_is_looked_for_without_being_opened(pi: Pi) -> None:
    camera = PiCamera(plan(pi.front.model))
    pi.front.busy = True
    camera.locate()
    camera.locate()
    assert not pi.front.configured
    pi.front.busy = False
    works(camera)
    pi.front.plugged = False
    with pytest.raises(SourceFailed) as caught:
        camera.locate()
    assert caught.value.type is DeviceException.DEVICE_UNPLUGGED
    with pytest.raises(SourceFailed) as caught:
        PiCamera(plan(pi.front.model)).locate()
    assert caught.value.type is DeviceException.INVALID_ID


def test_picamera2_that_cannot_be_loaded_is_told(pi: Pi, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: str) -> None:
        raise ValueError("numpy.dtype size changed, may indicate binary incompatibility")

    monkeypatch.setattr(importlib, "import_module", broken)
    fault = refused(PiCamera(plan()))
    assert fault.type is DeviceException.MEDIA_SERVICES_WERE_LOST
    assert "numpy.dtype size changed" in str(fault)


def test_picamera2_without_a_display_leaves_no_module_that_others_might_take_for_one(
    pi: Pi,
) -> None:
    from picamera2.previews import drm_preview

    assert "pykms" not in sys.modules
    assert "RGB888" in drm_preview.DrmPreview.FMT_MAP.values()


def test_a_display_that_is_there_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ModuleType("pykms")
    monkeypatch.setitem(sys.modules, "pykms", real)
    with without_display():
        assert sys.modules["pykms"] is real
    assert sys.modules["pykms"] is real


@pytest.mark.parametrize(
    ("present", "taken"),
    [
        (["system"], ["cma", "system"]),
        (["system", "cma"], ["cma"]),
        ([], ["cma"]),
    ],
)
def test_memory_of_any_computer_is_taken_where_there_is_none_of_a_pi(
    present: list[str], taken: list[str], tmp_path: Path
) -> None:
    for name in present:
        (tmp_path / name).touch()
    dma_heap = SimpleNamespace(heapNames=[str(tmp_path / "cma")])
    for _ in range(2):
        offer_memory(dma_heap, tmp_path / "system")
        assert dma_heap.heapNames == [str(tmp_path / name) for name in taken]
