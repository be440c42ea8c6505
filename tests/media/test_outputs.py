"""The outputs of a laptop, and the loudspeaker that uses one of them."""

from __future__ import annotations

import errno

import numpy as np
import pytest

from appliance.calls.inputs import FaultCleared, FaultReported, Input
from appliance.config import Audio
from appliance.media.base import SILENT_FRAME, Measuring, SourceFailed
from appliance.media.outputs import Loudspeaker, gain, scaled
from appliance.media.synthetic import Meter, SimulatedOutputs
from appliance.model import AudioMode, DeviceException

SPEAKER, EARPIECE, BLUETOOTH, HEADPHONES = AudioMode
LOUD = np.full(960, 20_000, "<i2").tobytes()


def outputs(*modes: AudioMode, capture: str = "tone") -> SimulatedOutputs:
    return SimulatedOutputs({mode: Audio(playback="tone", capture=capture) for mode in modes})


def peak(outputs: SimulatedOutputs, mode: AudioMode) -> int:
    meter = outputs.sink(mode)
    assert isinstance(meter, Meter)
    return int(meter.heard().max())


def test_the_outputs_are_offered_in_their_order_whichever_was_configured_first() -> None:
    there = outputs(HEADPHONES, BLUETOOTH, SPEAKER)
    speaker = Loudspeaker(there, {})
    assert [*speaker.available] == [SPEAKER, BLUETOOTH, HEADPHONES]
    assert speaker.mode is SPEAKER
    there.plug(BLUETOOTH, False)
    assert [*speaker.available] == [SPEAKER, HEADPHONES]


def test_each_voice_is_heard_at_the_output_in_use_and_at_no_other() -> None:
    there = outputs(SPEAKER, HEADPHONES)
    speaker = Loudspeaker(there, {})
    speaker.push("alice", LOUD)
    assert (peak(there, SPEAKER), peak(there, HEADPHONES)) == (20_000, 0)
    speaker.use(HEADPHONES)
    assert peak(there, SPEAKER) == 0, "nothing is left of her there"
    speaker.push("alice", LOUD)
    assert (peak(there, SPEAKER), peak(there, HEADPHONES)) == (0, 20_000)
    speaker.remove("alice")
    assert peak(there, HEADPHONES) == 0


class Weak:
    """A loudspeaker whose driver raises when the test says so."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.raises: Exception | None = None

    def push(self, participant: str, frame: bytes) -> None:
        if self.raises is not None:
            raise self.raises
        self.heard.append(participant)

    def remove(self, participant: str) -> None:
        if self.raises is not None:
            raise self.raises


def test_an_output_whose_driver_tells_that_it_broke_is_left_until_it_works_again() -> None:
    told: list[Input] = []
    changes: list[AudioMode] = []
    there = SimulatedOutputs(
        {mode: Audio(playback="tone") for mode in (SPEAKER, HEADPHONES)},
        failed=lambda mode, fault: speaker.failed(mode, fault),
    )
    speaker = Loudspeaker(there, {}, told.append)
    speaker.changed = lambda: changes.append(speaker.mode)
    broken = SourceFailed(DeviceException.DEVICE_UNPLUGGED, "the amplifier is gone")
    there.fail(SPEAKER, broken)
    there.fail(SPEAKER, broken)
    assert told == [
        FaultReported(
            "device_unplugged", "the amplifier is gone", where="audio.speaker", lasts=True
        )
    ]
    assert (speaker.mode, speaker.available) == (HEADPHONES, (HEADPHONES,))
    speaker.push("alice", LOUD)
    assert (peak(there, SPEAKER), peak(there, HEADPHONES)) == (0, 20_000)
    there.fail(SPEAKER, None)
    assert told[1:] == [FaultCleared("audio.speaker")]
    assert (speaker.mode, speaker.available) == (SPEAKER, (SPEAKER, HEADPHONES))
    assert changes == [HEADPHONES, SPEAKER]


def test_whoever_chose_another_meanwhile_stays_there() -> None:
    there = outputs(SPEAKER, BLUETOOTH, HEADPHONES)
    speaker = Loudspeaker(there, {})
    speaker.failed(SPEAKER, SourceFailed(DeviceException.GENERIC, "it broke"))
    assert speaker.mode is BLUETOOTH
    speaker.use(HEADPHONES)
    speaker.failed(SPEAKER, None)
    assert speaker.mode is HEADPHONES


def test_an_output_whose_driver_raises_is_tried_again_and_the_call_goes_on() -> None:
    told: list[Input] = []
    weak, now_s = Weak(), [100.0]
    there = SimulatedOutputs({SPEAKER: Audio(), HEADPHONES: Audio()}, weak)
    speaker = Loudspeaker(there, {}, told.append, lambda: now_s[0])
    weak.raises = OSError(errno.ENODEV, "No such device")
    speaker.push("alice", LOUD)
    assert [one.code for one in told if isinstance(one, FaultReported)] == ["device_unplugged"]
    speaker.push("alice", LOUD)
    assert peak(there, HEADPHONES) == 20_000
    now_s[0] += 3.1
    speaker.push("alice", LOUD)
    weak.raises = None
    speaker.push("alice", LOUD)
    assert weak.heard == [], "it is not asked fifty times a second"
    now_s[0] += 3.1
    speaker.push("alice", LOUD)
    assert weak.heard == ["alice"]
    assert told[1:] == [FaultCleared("audio.speaker")]
    assert speaker.mode is SPEAKER


def test_the_only_output_stays_in_use_while_it_is_broken() -> None:
    weak, now_s = Weak(), [100.0]
    speaker = Loudspeaker(SimulatedOutputs({SPEAKER: Audio()}, weak), {}, clock=lambda: now_s[0])
    weak.raises = RuntimeError("boom")
    speaker.push("alice", LOUD)
    speaker.remove("alice")
    assert (speaker.mode, speaker.available) == (SPEAKER, ())
    weak.raises = None
    now_s[0] += 3.1
    speaker.push("alice", LOUD)
    assert (weak.heard, speaker.available) == (["alice"], (SPEAKER,))


def test_volume_is_kept_for_each_output() -> None:
    there = outputs(SPEAKER, HEADPHONES)
    speaker = Loudspeaker(there, {HEADPHONES: 50})
    assert speaker.volume_percent == 100
    speaker.set_volume(SPEAKER, 20)
    speaker.push("alice", LOUD)
    assert (speaker.volume_percent, peak(there, SPEAKER)) == (20, 160)
    speaker.use(HEADPHONES)
    speaker.push("alice", LOUD)
    assert (speaker.volume_percent, peak(there, HEADPHONES)) == (50, 2500)
    speaker.use(SPEAKER)
    assert speaker.volume_percent == 20


@pytest.mark.parametrize(("percent", "db"), [(100, 0), (50, -18.06), (10, -60)])
def test_volume_goes_by_the_cube(percent: int, db: float) -> None:
    assert 20 * np.log10(gain(percent)) == pytest.approx(db, abs=0.01)


def test_full_volume_changes_nothing_and_none_is_silence() -> None:
    assert scaled(LOUD, gain(100)) is LOUD
    assert scaled(LOUD, gain(0)) == SILENT_FRAME


def test_a_tap_gets_what_is_said_at_full_volume() -> None:
    speaker = Loudspeaker(outputs(SPEAKER), {SPEAKER: 0})
    heard: list[tuple[str, bytes]] = []
    speaker.tap = lambda *said: heard.append(said)
    speaker.push("alice", LOUD)
    assert heard == [("alice", LOUD)]


def test_the_first_that_is_there_stands_in_for_one_that_has_gone() -> None:
    there = outputs(EARPIECE, HEADPHONES)
    speaker = Loudspeaker(there, {})
    speaker.use(HEADPHONES)
    there.plug(EARPIECE, False)
    speaker.fall_back()
    assert speaker.mode is HEADPHONES, "another one went"
    there.plug(EARPIECE, True)
    there.plug(HEADPHONES, False)
    speaker.fall_back()
    assert speaker.mode is EARPIECE
    there.plug(EARPIECE, False)
    speaker.fall_back()
    assert (speaker.mode, speaker.available) == (EARPIECE, ())
    speaker.push("alice", LOUD)


def test_plugging_is_told_where_it_changes_something() -> None:
    there, told = outputs(SPEAKER, HEADPHONES), []
    there.watch(lambda: told.append(there.present()))
    there.plug(HEADPHONES, True)
    there.plug(HEADPHONES, False)
    there.plug(HEADPHONES, False)
    there.plug(HEADPHONES, True)
    there.close()
    there.plug(HEADPHONES, False)
    assert told == [{SPEAKER}, {SPEAKER, HEADPHONES}]
    with pytest.raises(ValueError, match=r"no bluetooth: .*\[audio.bluetooth\]"):
        there.plug(BLUETOOTH, True)


def test_outputs_with_the_same_microphone_share_it() -> None:
    there = SimulatedOutputs(
        {
            SPEAKER: Audio("tone", "tone"),
            EARPIECE: Audio("tone", "tone"),
            HEADPHONES: Audio("tone", "silence"),
        }
    )
    assert there.source(SPEAKER) is there.source(EARPIECE)
    assert there.source(SPEAKER) is not there.source(HEADPHONES)


def test_a_microphone_that_is_none_of_a_laptops_is_refused() -> None:
    with pytest.raises(SourceFailed, match='no microphone "hw:1"') as refused:
        outputs(SPEAKER, capture="hw:1").source(SPEAKER)
    assert refused.value.type is DeviceException.INVALID_ID


def test_what_stands_in_for_the_loudspeaker_is_used_in_its_mode() -> None:
    class Deaf:
        def push(self, participant: str, frame: bytes) -> None: ...
        def remove(self, participant: str) -> None: ...

    deaf = Deaf()
    there = SimulatedOutputs({HEADPHONES: Audio()}, deaf)
    assert there.sink(SPEAKER) is deaf
    speaker = Loudspeaker(there, {})
    assert speaker.measured is None
    speaker.use(HEADPHONES)
    assert isinstance(speaker.measured, Measuring)
