"""The outputs of a real board; and what all outputs have in common, on each kind of them."""

from __future__ import annotations

import contextlib
import errno
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from appliance.calls.effects import StartCapture, StopCapture
from appliance.calls.inputs import AudioOutputs
from appliance.config import Audio
from appliance.media.alsa import AlsaMicrophone
from appliance.media.alsa_outputs import AlsaOutputs
from appliance.media.base import FRAME_BYTES, SILENT_FRAME, Counting, Devices, SourceFailed
from appliance.media.outputs import Loudspeaker
from appliance.media.pcm import Direction, Pcm
from appliance.media.synthetic import Meter, SimulatedOutputs, ToneMicrophone
from appliance.model import AudioMode, DeviceException
from tests.media.booth import a_booth
from tests.media.softcard import SoftCard, because
from tests.media.soundcontract import SPEAKER, Bench, OutputsContract, listen, speak, until
from tests.media.soundlab import SoundLab, lab
from tests.media.stranger import until as patience
from tests.media.test_sound_cards import Kernel

__all__ = ["lab"]

_, EARPIECE, BLUETOOTH, HEADPHONES = AudioMode


class TestSimulated(OutputsContract):
    @pytest.fixture
    def bench(self) -> Bench:
        outputs = SimulatedOutputs({SPEAKER: Audio("tone", "tone")})
        meter = outputs.sink(SPEAKER)
        assert isinstance(meter, Meter)
        return Bench(outputs, meter.heard, says_hz=440)


class TestOnACardOfSoftware(OutputsContract):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[Bench]:
        card, kernel = SoftCard(), Kernel(tmp_path)
        kernel.plug(0, "Box", "D0p", "D0c")
        audio = {SPEAKER: Audio("plughw:Box", "plughw:Box")}
        outputs = AlsaOutputs(audio, cards=kernel.cards, opens=card.opens)
        yield Bench(outputs, card.samples, says_hz=440)
        outputs.close()


class TestWithAlsa(OutputsContract):
    @pytest.fixture
    def bench(self, lab: SoundLab) -> Iterator[Bench]:
        (lab.folder / "played").touch()
        outputs = AlsaOutputs({SPEAKER: Audio("speaker", "microphone")})
        yield Bench(outputs, lab.played, says_hz=440)
        outputs.close()


@pytest.mark.hardware
class TestOnARealCard(OutputsContract):
    """The default device, which is heard meanwhile."""

    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        faults: list[tuple[AudioMode, SourceFailed | None]] = []
        outputs = AlsaOutputs(
            {SPEAKER: Audio()}, failed=lambda mode, fault: faults.append((mode, fault))
        )
        yield Bench(outputs)
        outputs.close()
        assert faults == []

    def test_nothing_is_lost_and_the_delay_is_small(self, bench: Bench) -> None:
        frames: list[bytes] = []
        source = bench.outputs.source(SPEAKER)
        source.start(frames.append, lambda fault: pytest.fail(str(fault)))
        speak(bench, 5, alice=700)
        source.stop()
        bench.outputs.sink(SPEAKER).remove("alice")
        assert isinstance(bench.outputs, Counting)
        counts = bench.outputs.counts()
        assert counts["playback_xruns"] == counts["capture_xruns"] == 0
        assert 0 < counts["playback_delay_ms"] <= 60
        assert len(frames) == pytest.approx(250, rel=0.02)


# -------------------- what is there


def three_modes(kernel: Kernel, card: SoftCard, **kept: object) -> AlsaOutputs:
    audio = {
        SPEAKER: Audio("plughw:Box", "plughw:Box"),
        HEADPHONES: Audio("hw:CARD=Phones", "silence"),
        EARPIECE: Audio("tone", "tone"),
    }
    return AlsaOutputs(audio, cards=kernel.cards, opens=card.opens, look_s=0.01, **kept)  # type: ignore[arg-type]


def test_what_is_plugged_in_and_out_is_told(tmp_path: Path) -> None:
    kernel = Kernel(tmp_path)
    kernel.plug(0, "Box", "D0p", "D0c")
    outputs = three_modes(kernel, SoftCard())
    assert outputs.present() == {SPEAKER, EARPIECE}
    told: list[frozenset[AudioMode]] = []
    outputs.watch(lambda: told.append(outputs.present()))
    kernel.plug(3, "Phones", "D0p")
    until(lambda: told, "the headphones")
    kernel.unplug(0)
    until(lambda: len(told) == 2, "the box to be gone")
    kernel.plug(1, "Box", "D0p", "D0c")
    until(lambda: len(told) == 3, "the box by another number")
    outputs.close()
    kernel.unplug(1)
    assert told == [
        {SPEAKER, EARPIECE, HEADPHONES},
        {EARPIECE, HEADPHONES},
        {SPEAKER, EARPIECE, HEADPHONES},
    ]


def test_a_name_without_a_card_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.media.alsa_outputs.PROBE_S", 0.0)
    card, tried = SoftCard(), []

    def opens(direction: Direction, device: str) -> Pcm:
        tried.append(device)
        return card.opens(direction, device)

    audio = {SPEAKER: Audio("default", "tone"), BLUETOOTH: Audio("bluealsa:DEV=1", "tone")}
    outputs = AlsaOutputs(audio, cards=Kernel(tmp_path).cards, opens=opens, look_s=0.01)
    assert outputs.present() == {SPEAKER, BLUETOOTH}, "until it was tried"
    assert tried == []
    told: list[frozenset[AudioMode]] = []
    card.refuses = because(errno.ENODEV)
    outputs.watch(lambda: told.append(outputs.present()))
    until(lambda: told == [frozenset()], "both to be gone")
    card.refuses = because(errno.EBUSY)
    until(lambda: len(told) == 2, "both to be there: somebody uses them")
    count = len(tried)
    outputs.sink(SPEAKER).push("alice", SILENT_FRAME)
    until(lambda: len(tried) > count, "an attempt to be heard")
    outputs.close()
    assert told[1] == {SPEAKER, BLUETOOTH}


def test_what_is_there_is_not_tried_again_and_again(tmp_path: Path) -> None:
    card, looked = SoftCard(), threading.Event()
    kernel = Kernel(tmp_path)
    outputs = AlsaOutputs(
        {SPEAKER: Audio("default")}, cards=kernel.cards, opens=card.opens, look_s=0.001
    )
    looks = 0
    seen = kernel.cards.seen

    def counted() -> frozenset[str]:
        nonlocal looks
        looks += 1
        if looks > 50:
            looked.set()
        return seen()

    kernel.cards.seen = counted  # type: ignore[method-assign]
    outputs.watch(lambda: None)
    assert looked.wait(30)
    outputs.close()
    assert card.opened == 1


def test_when_a_card_comes_or_goes_all_names_without_one_are_tried_again(tmp_path: Path) -> None:
    kernel, card = Kernel(tmp_path), SoftCard()
    kernel.plug(0, "Box", "D0p")
    audio = {SPEAKER: Audio("default")}
    outputs = AlsaOutputs(audio, cards=kernel.cards, opens=card.opens, look_s=0.01)
    told: list[frozenset[AudioMode]] = []
    outputs.watch(lambda: told.append(outputs.present()))
    until(lambda: card.opened == 1, "it to be tried")
    card.refuses = because(errno.ENOENT)
    kernel.unplug(0)
    until(lambda: told == [frozenset()], "it to be gone")
    card.refuses = None
    kernel.plug(1, "Other", "D0p")
    until(lambda: len(told) == 2, "it to be there")
    outputs.close()


def test_a_loudspeaker_that_fails_is_told_by_its_modes(tmp_path: Path) -> None:
    kernel, card = Kernel(tmp_path), SoftCard()
    kernel.plug(0, "Box", "D0p", "D0c")
    told: list[tuple[AudioMode, SourceFailed | None]] = []
    audio = {SPEAKER: Audio("hw:Box"), HEADPHONES: Audio("hw:Box"), EARPIECE: Audio("tone")}
    outputs = AlsaOutputs(
        audio,
        cards=kernel.cards,
        opens=card.opens,
        failed=lambda mode, fault: told.append((mode, fault)),
    )
    assert outputs.sink(SPEAKER) is outputs.sink(HEADPHONES), "one device is opened once"
    card.refuses = because(errno.EBUSY)
    outputs.sink(SPEAKER).push("alice", SILENT_FRAME)
    until(lambda: len(told) == 2, "the failure")
    outputs.close()
    assert [mode for mode, _ in told] == [SPEAKER, HEADPHONES]
    assert {fault and fault.type for _, fault in told} == {DeviceException.DEVICE_OCCUPIED}


def test_a_loudspeaker_that_has_failed_is_tried_until_it_works_again(tmp_path: Path) -> None:
    kernel, card = Kernel(tmp_path), SoftCard()
    kernel.plug(0, "Box", "D0p", "D0c")
    told: list[SourceFailed | None] = []
    outputs = AlsaOutputs(
        {SPEAKER: Audio("hw:Box")},
        cards=kernel.cards,
        opens=card.opens,
        failed=lambda _, fault: told.append(fault),
        look_s=0.01,
    )
    outputs.watch(lambda: None)
    card.refuses = because(errno.EBUSY)
    sink = outputs.sink(SPEAKER)
    sink.push("alice", SILENT_FRAME)
    until(lambda: told, "the failure")
    sink.remove("alice")  # she is heard elsewhere meanwhile
    card.refuses = None
    until(lambda: told[-1] is None, "it to work again")
    until(lambda: not card.open, "it to be closed")
    outputs.close()


def test_two_names_of_one_card_are_not_in_each_others_way(tmp_path: Path) -> None:
    card = SoftCard()
    told: list[SourceFailed | None] = []
    outputs = AlsaOutputs(
        {SPEAKER: Audio("line"), HEADPHONES: Audio("phones")},
        cards=Kernel(tmp_path).cards,
        opens=card.opens,
        failed=lambda _, fault: told.append(fault),
        look_s=0.001,
    )
    outputs.watch(lambda: None)
    loudspeaker = Loudspeaker(outputs, {})
    for mode in (SPEAKER, HEADPHONES) * 3:
        loudspeaker.use(mode)
        count = card.opened
        loudspeaker.push("alice", SILENT_FRAME)
        until(lambda count=count: card.opened > count, "the other one")  # type: ignore[misc]
        until(lambda: card.open, "it to be open")
    outputs.close()
    assert told == []


async def test_who_talks_on_a_card_that_is_pulled_out_goes_on_with_another(tmp_path: Path) -> None:
    kernel = Kernel(tmp_path)
    kernel.plug(0, "Box", "D0p", "D0c")
    kernel.plug(3, "Phones", "D0p")
    cards = {"plughw:Box": SoftCard(), "hw:CARD=Phones": SoftCard()}
    audio = {
        SPEAKER: Audio("plughw:Box", "plughw:Box"),
        HEADPHONES: Audio("hw:CARD=Phones", "tone"),
    }
    outputs = AlsaOutputs(
        audio,
        cards=kernel.cards,
        opens=lambda direction, device: cards[device].opens(direction, device),
        look_s=0.01,
    )
    async with a_booth(audio=audio, devices=Devices(outputs=outputs)) as booth:
        assert (await booth.next(AudioOutputs)).available == (SPEAKER, HEADPHONES)
        booth.studio.perform(StartCapture(video=False))
        await patience(lambda: booth.equipment.audio.source is outputs.source(SPEAKER))
        booth.equipment.speaker.push("alice", SILENT_FRAME)
        await patience(lambda: len(cards["plughw:Box"].open) == 2, "both ends to be open")
        kernel.unplug(0)
        cards["plughw:Box"].unplug()
        told = await booth.next(AudioOutputs)
        assert (told.mode, told.available) == (HEADPHONES, (HEADPHONES,))
        booth.equipment.speaker.push("alice", SILENT_FRAME)
        await patience(lambda: cards["hw:CARD=Phones"].open, "the headphones to be open")
        await patience(lambda: booth.equipment.audio.source is outputs.source(HEADPHONES))
        await patience(lambda: not cards["plughw:Box"].open, "the box to be let go")
        booth.studio.perform(StopCapture())


# -------------------- the two ends


def test_what_is_simulated_is_so_on_a_real_board_too(tmp_path: Path) -> None:
    outputs = three_modes(Kernel(tmp_path), SoftCard())
    assert isinstance(outputs.sink(EARPIECE), Meter)
    assert isinstance(outputs.source(EARPIECE), ToneMicrophone)
    assert isinstance(outputs.source(HEADPHONES), ToneMicrophone)
    assert outputs.sink(SPEAKER) is not outputs.sink(HEADPHONES)


def test_a_mode_that_is_not_configured_is_the_first_one(tmp_path: Path) -> None:
    card = SoftCard()
    outputs = AlsaOutputs(
        {HEADPHONES: Audio("hw:0")}, cards=Kernel(tmp_path).cards, opens=card.opens
    )
    assert outputs.present() == frozenset()
    assert outputs.sink(SPEAKER) is outputs.sink(HEADPHONES)
    assert outputs.source(SPEAKER) is outputs.source(HEADPHONES)


def test_what_stands_in_for_the_loudspeaker_is_used_in_its_mode(tmp_path: Path) -> None:
    meter = Meter()
    outputs = AlsaOutputs({HEADPHONES: Audio("hw:0")}, speaker=meter, cards=Kernel(tmp_path).cards)
    assert outputs.present() == {SPEAKER}
    assert outputs.sink(SPEAKER) is meter


def test_a_microphone_is_looked_for_without_being_opened(tmp_path: Path) -> None:
    kernel, card = Kernel(tmp_path), SoftCard()
    kernel.plug(0, "Box", "D0p")
    outputs = three_modes(kernel, card)
    microphone = outputs.source(SPEAKER)
    assert isinstance(microphone, AlsaMicrophone)
    with pytest.raises(SourceFailed, match="cannot be found") as refused:
        microphone.locate()
    assert refused.value.type is DeviceException.INVALID_ID
    kernel.plug(0, "Box", "D0p", "D0c")
    assert microphone.locate()
    listen(microphone, 1)
    kernel.unplug(0)
    with pytest.raises(SourceFailed) as gone:
        microphone.locate()
    assert gone.value.type is DeviceException.DEVICE_UNPLUGGED
    assert card.opened == 1
    outputs.close()


def test_a_name_without_a_card_is_asked_of_alsa_without_being_opened(tmp_path: Path) -> None:
    known: dict[str, bool | None] = {"intercom": True, "default": False}
    card = SoftCard()
    outputs = AlsaOutputs(
        {
            SPEAKER: Audio("hw:0", "default"),
            EARPIECE: Audio("hw:0", "intercom"),
            HEADPHONES: Audio("hw:0", "another"),
        },
        cards=Kernel(tmp_path).cards,
        opens=card.opens,
        knows=known.get,
    )
    sources = [outputs.source(mode) for mode in (SPEAKER, EARPIECE, HEADPHONES)]
    missing, there, untold = (one for one in sources if isinstance(one, AlsaMicrophone))
    with pytest.raises(SourceFailed, match="cannot be found") as refused:
        missing.locate()
    assert refused.value.type is DeviceException.INVALID_ID
    assert not there.locate(), "what it leads to may be away"
    assert not untold.locate()
    known["default"] = True
    assert not missing.locate()
    assert card.opened == 0
    outputs.close()


# -------------------- echo


class Canceller:
    """Gives the latest far frame, and notes the delays."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.delays_ms: list[int] = []
        self.closed = False

    def far(self, frame: bytes, /) -> None:
        self.frames.append(frame)

    def near(self, frame: bytes, delay_ms: int, /) -> bytes:
        self.delays_ms.append(delay_ms)
        return bytes((np.frombuffer(frame, "<i2") // 2).astype("<i2").tobytes())

    def close(self) -> None:
        self.closed = True


def test_the_canceller_of_the_mode_in_use_gets_both_ends_and_the_delay(tmp_path: Path) -> None:
    kernel, card = Kernel(tmp_path), SoftCard()
    kernel.plug(0, "Box", "D0p", "D0c")
    made: dict[AudioMode, Canceller] = {}

    def canceller(mode: AudioMode) -> Canceller | None:
        assert all(pcm.direction is Direction.PLAYBACK for pcm in card.open), "it may take its time"
        if mode is EARPIECE:
            return None
        return made.setdefault(mode, Canceller())

    outputs = three_modes(kernel, card, canceller=canceller)
    speak(Bench(outputs), 0.3, alice=700)
    assert not made, "nobody listens yet"
    frames = listen(outputs.source(SPEAKER), 10)
    speak(Bench(outputs), 0.1, alice=700)
    outputs.close()
    assert list(made) == [SPEAKER]
    one = made[SPEAKER]
    assert one.closed
    assert {len(frame) for frame in one.frames} == {FRAME_BYTES}
    assert len(one.delays_ms) >= 10
    assert all(20 <= delay_ms <= 100 for delay_ms in one.delays_ms)
    assert np.abs(np.frombuffer(b"".join(frames), "<i2")).max() == pytest.approx(1638, abs=2)


def test_the_output_in_use_is_the_one_that_was_moved_to_not_the_one_that_was_asked_last(
    tmp_path: Path,
) -> None:
    kernel, card = Kernel(tmp_path), SoftCard()
    kernel.plug(0, "Box", "D0p", "D0c")
    kernel.plug(3, "Phones", "D0p")
    made: list[AudioMode] = []

    def canceller(mode: AudioMode) -> Canceller:
        made.append(mode)
        return Canceller()

    outputs = three_modes(kernel, card, canceller=canceller)
    loudspeaker = Loudspeaker(outputs, {})
    loudspeaker.push("alice", SILENT_FRAME)
    loudspeaker.use(HEADPHONES)  # which forgets alice at the loudspeaker
    outputs.sink(SPEAKER)
    listen(outputs.source(SPEAKER), 1)
    loudspeaker.use(SPEAKER)
    listen(outputs.source(SPEAKER), 1)
    outputs.close()
    assert made == [HEADPHONES, SPEAKER]


def test_what_is_played_does_not_wait_for_a_canceller_that_is_being_made(tmp_path: Path) -> None:
    kernel, card = Kernel(tmp_path), SoftCard()
    kernel.plug(0, "Box", "D0p", "D0c")
    begun, may_end = threading.Event(), threading.Event()

    def canceller(_: AudioMode) -> Canceller:
        begun.set()
        assert may_end.wait(30)
        return Canceller()

    def chime(what: str) -> None:
        before = np.count_nonzero(card.samples())

        def heard() -> bool:
            speak(Bench(outputs), 0.1, chime=700)
            return bool(np.count_nonzero(card.samples()) > before)

        until(heard, what)

    outputs = three_modes(kernel, card, canceller=canceller)
    chime("the first of all sounds")
    assert not begun.is_set()
    microphone = outputs.source(SPEAKER)

    def listen_late() -> None:
        with contextlib.suppress(SourceFailed):  # on a very slow machine it is too late
            microphone.start(lambda _: None, lambda _: None)

    listening = threading.Thread(target=listen_late)
    listening.start()
    assert begun.wait(30)
    chime("a sound while the microphone waits for its canceller")
    outputs.sink(SPEAKER).remove("chime")
    until(lambda: not card.open, "the loudspeaker to be closed")
    chime("a sound for which it is opened meanwhile")
    may_end.set()
    listening.join(30)
    microphone.stop()
    outputs.close()


def test_a_mode_without_a_canceller_hears_what_there_is(tmp_path: Path) -> None:
    kernel, card = Kernel(tmp_path), SoftCard()
    outputs = three_modes(kernel, card)
    outputs.sink(EARPIECE).push("alice", SILENT_FRAME)
    frames = listen(outputs.source(SPEAKER), 5)
    outputs.close()
    assert np.abs(np.frombuffer(b"".join(frames), "<i2")).max() == pytest.approx(3276, abs=2)


def test_what_went_wrong_is_counted(tmp_path: Path) -> None:
    kernel, card = Kernel(tmp_path), SoftCard()
    kernel.plug(0, "Box", "D0p", "D0c")
    outputs = three_modes(kernel, card)
    assert isinstance(outputs, Counting)
    assert set(outputs.counts().values()) == {0}

    def runs_dry() -> bool:
        for one in tuple(card.open):
            one.must_run_dry = True
        speak(Bench(outputs), 0.1, alice=700)
        return outputs.counts()["playback_xruns"] > 0

    until(runs_dry, "the gap")
    outputs.close()
