"""Microphone and loudspeaker of a sound card: one of software that obeys the test, and ALSA's own."""

from __future__ import annotations

import errno
import queue
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from appliance.media import alsa, pcm_thread
from appliance.media.alsa import LEAD, AlsaMicrophone, AlsaSpeaker
from appliance.media.base import FRAME_BYTES, FRAME_S, SILENT_FRAME, Processed, SourceFailed
from appliance.media.synthetic import dominant_hz, level_dbfs
from appliance.model import DeviceException
from tests.media.softcard import SoftCard, because, tone
from tests.media.soundcontract import PATIENCE_S, no_failure, until
from tests.media.soundlab import SoundLab, lab

__all__ = ["lab"]

GONE = DeviceException.DEVICE_UNPLUGGED


class Clock:
    """For retries: it stands still."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Talk:
    """Somebody who says a tone at an even pace, in a thread, as the loop would."""

    def __init__(self, speaker: AlsaSpeaker, hz: float = 700, name: str = "alice") -> None:
        self._speaker, self._name, self._say = speaker, name, tone(hz, -26)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._talk)
        self._thread.start()

    def _talk(self) -> None:
        begin_s, number = time.monotonic(), 0
        while not self._ended.wait(max(0.0, begin_s + number * FRAME_S - time.monotonic())):
            self._speaker.push(self._name, self._say(number * 960, 960))
            number += 1

    def end(self) -> None:
        self._ended.set()
        self._thread.join()
        self._speaker.remove(self._name)


def until_seen(
    end: AlsaSpeaker | AlsaMicrophone, condition: Callable[[], object], what: str
) -> None:
    """Look after it, as the outputs do, until that is so."""

    def looked() -> object:
        end.look()
        return condition()

    until(looked, what)


@pytest.fixture
def card() -> Iterator[SoftCard]:
    card = SoftCard()
    yield card
    card.goes_on.set()
    until(lambda: not card.open, "the card to be closed")


@pytest.fixture
def told() -> list[SourceFailed | None]:
    return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def speaker(card: SoftCard, told: list[SourceFailed | None]) -> Iterator[AlsaSpeaker]:
    speaker = AlsaSpeaker("hw:0", failed=told.append, opens=card.opens)
    yield speaker
    speaker.close()


# -------------------- loudspeaker


def test_the_loudspeaker_is_open_while_somebody_is_to_be_heard_and_a_moment_longer(
    card: SoftCard, speaker: AlsaSpeaker, told: list[SourceFailed | None]
) -> None:
    assert not card.open
    talk = Talk(speaker)
    until(lambda: len(card.played) > 2 * 48_000, "a second of it")
    assert card.open
    talk.end()
    until(lambda: not card.open, "it to be closed")
    assert not speaker.is_open
    line = card.samples()[9600:48_000]
    assert dominant_hz(line) == pytest.approx(700, rel=0.01)
    assert told == []
    talk = Talk(speaker)
    until(lambda: card.opened == 2, "it to be opened again")
    talk.end()


def test_what_comes_a_moment_after_the_opening_is_heard_right_behind_the_lead(
    card: SoftCard, speaker: AlsaSpeaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alsa, "FIRST_S", 30.0)  # on a slow machine a moment lasts
    say = tone(700, -20)
    speaker.push("chime", say(0, 960))  # too little to begin with
    until(lambda: len(card.played) >= len(LEAD), "the lead")
    for number in (1, 2):
        speaker.push("chime", say(960 * number, 960))
    until(lambda: len(card.played) > len(LEAD), "more")
    line = card.samples()
    assert not line[: len(LEAD) // 2].any()
    assert np.count_nonzero(line[len(LEAD) // 2 :][:100]) > 80


def test_a_card_that_has_run_dry_goes_on_and_is_counted(
    card: SoftCard, speaker: AlsaSpeaker, told: list[SourceFailed | None]
) -> None:
    talk = Talk(speaker)
    until(lambda: card.open, "it to be open")
    for count in (1, 2):
        next(iter(card.open)).must_run_dry = True
        until(lambda count=count: speaker.xruns >= count, "the gap")  # type: ignore[misc]
    card.played.clear()
    until(lambda: len(card.played) > 2 * 24_000, "more")
    talk.end()
    assert told == []
    assert card.opened == 1
    assert dominant_hz(card.samples()[4800:24_000]) == pytest.approx(700, rel=0.02)


def test_a_card_that_only_ever_runs_dry_has_failed(
    card: SoftCard, speaker: AlsaSpeaker, told: list[SourceFailed | None]
) -> None:
    talk = Talk(speaker)
    until(lambda: card.open, "it to be open")
    pcm = next(iter(card.open))
    pcm.dry = True
    until(lambda: told and told[-1], "the failure")
    talk.end()
    assert told[-1] is not None
    assert told[-1].errno == errno.EIO


@pytest.mark.parametrize("fast", [0.9995, 1.0005])
def test_a_card_with_a_clock_of_its_own_is_not_torn(fast: float) -> None:
    card = SoftCard(fast=fast)
    speaker = AlsaSpeaker("hw:0", opens=card.opens)
    talk = Talk(speaker)
    until(lambda: len(card.played) > 2 * 3 * 48_000, "three seconds")
    talk.end()
    speaker.close()
    assert card.opened == 1
    assert dominant_hz(card.samples()[48_000:]) == pytest.approx(700, rel=0.01)


def test_what_is_pulled_out_is_told_once_and_heard_again_when_it_is_back(
    card: SoftCard, told: list[SourceFailed | None], clock: Clock
) -> None:
    speaker = AlsaSpeaker("hw:0", failed=told.append, opens=card.opens, clock=clock)
    talk = Talk(speaker)
    until(lambda: card.played, "sound")
    card.unplug()
    until(lambda: told, "the failure")
    assert told[0] is not None
    assert told[0].type is GONE
    clock.now_s += 1.1
    until(lambda: len(told) == 2, "the opening to fail")
    assert told[1] is not None
    assert (told[1].type, "cannot be opened" in str(told[1])) == (GONE, True), "it has worked"
    for _ in range(3):
        attempts = speaker._failures
        clock.now_s += 11
        until(lambda attempts=attempts: speaker._failures > attempts, "another attempt")  # type: ignore[misc]
    assert len(told) == 2, "the same is not told again"
    card.plug_in()
    clock.now_s += 11
    until(lambda: told[-1] is None, "it to work again")
    talk.end()
    speaker.close()


def test_what_has_failed_is_looked_after_though_nobody_speaks_to_it_any_more(
    card: SoftCard, told: list[SourceFailed | None], clock: Clock
) -> None:
    speaker = AlsaSpeaker("hw:0", failed=told.append, opens=card.opens, clock=clock)
    speaker.look()
    assert card.opened == 0, "it has not failed"
    card.refuses = because(errno.EBUSY)
    speaker.push("alice", SILENT_FRAME)
    until(lambda: told, "the failure")
    speaker.remove("alice")
    speaker.look()
    assert not speaker.is_open, "it is not tried at once"
    card.refuses = None
    clock.now_s += 1.1
    speaker.look()
    until(lambda: told[-1] is None, "it to work again")
    until(lambda: not speaker.is_open, "it to be closed")
    assert card.opened == 1
    speaker.close()


def test_what_takes_nothing_has_been_waited_for_already_and_is_tried_at_once(
    card: SoftCard,
    told: list[SourceFailed | None],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The pause before the next is counted from when it was opened, so that it cannot be none for ever."""
    monkeypatch.setattr(pcm_thread, "STALL_S", 0.1)
    speaker = AlsaSpeaker("hw:0", failed=told.append, opens=card.opens, clock=clock)
    talk = Talk(speaker)
    until(lambda: card.played, "sound")
    for attempt in range(3):
        card.frozen = True
        clock.now_s += 3.0
        until(lambda attempt=attempt: card.opened > attempt + 1, "it to be opened anew")  # type: ignore[misc]
    until(lambda: speaker._failures == 4, "it to take nothing once more")
    until(lambda: not speaker.is_open, "it to be closed")
    time.sleep(10 * FRAME_S)  # frames come meanwhile
    assert card.opened == 4, "no time has passed since it was opened"
    talk.end()
    speaker.close()


@pytest.mark.parametrize(
    ("number", "type"),
    [
        (errno.EBUSY, DeviceException.DEVICE_OCCUPIED),
        (errno.ENODEV, DeviceException.DEVICE_UNPLUGGED),
        (errno.EACCES, DeviceException.PERMISSION_NOT_GRANTED),
        (errno.ENOENT, DeviceException.INVALID_ID),
        (errno.EIO, DeviceException.GENERIC),
    ],
)
def test_why_it_cannot_be_opened_is_told_in_the_vocabularys_words(
    card: SoftCard,
    speaker: AlsaSpeaker,
    told: list[SourceFailed | None],
    number: int,
    type: DeviceException,
) -> None:
    card.refuses = because(number)
    speaker.push("alice", SILENT_FRAME)
    until(lambda: told, "the failure")
    assert told[0] is not None
    assert (told[0].type, told[0].errno) == (type, number)
    with pytest.raises(SourceFailed) as refused:
        AlsaMicrophone("hw:0", opens=card.opens).start(print, no_failure)
    assert (refused.value.type, refused.value.errno) == (type, number)


def test_a_card_that_hangs_holds_nobody_up_and_is_told(
    card: SoftCard,
    speaker: AlsaSpeaker,
    told: list[SourceFailed | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pcm_thread, "STALL_S", 0.1)
    monkeypatch.setattr(pcm_thread, "STOP_LIMIT_S", 0.1)
    talk = Talk(speaker)
    until(lambda: card.played, "sound")
    card.goes_on.clear()
    until_seen(speaker, lambda: told, "it to be noticed")
    talk.end()
    assert told[0] is not None
    assert told[0].errno == errno.ETIMEDOUT
    begin_s = time.monotonic()
    speaker.close()
    assert time.monotonic() - begin_s < 10, "it is not waited for"
    card.goes_on.set()


def test_closing_returns_whatever_the_card_does(
    card: SoftCard, speaker: AlsaSpeaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pcm_thread, "STOP_LIMIT_S", 0.1)
    card.goes_on.clear()
    speaker.push("alice", SILENT_FRAME)  # it hangs in its opening
    ended = threading.Event()

    def close() -> None:
        speaker.close()
        ended.set()

    threading.Thread(target=close).start()
    assert ended.wait(PATIENCE_S)
    card.goes_on.set()


def test_a_card_whose_clock_stands_still_has_failed(
    card: SoftCard,
    speaker: AlsaSpeaker,
    told: list[SourceFailed | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pcm_thread, "STALL_S", 0.2)
    talk = Talk(speaker)
    until(lambda: card.played, "sound")
    card.frozen = True
    until(lambda: told, "the failure")
    talk.end()
    assert told[0] is not None
    assert told[0].errno == errno.ETIMEDOUT


def test_one_that_still_lets_go_is_waited_for_before_it_is_opened_again(
    card: SoftCard,
    speaker: AlsaSpeaker,
    told: list[SourceFailed | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alsa, "LINGER_S", 0.0)
    for _ in range(20):  # the card refuses whoever comes while it is open
        speaker.push("alice", SILENT_FRAME)
        speaker.push("alice", SILENT_FRAME)
        speaker.remove("alice")
        until(lambda: not speaker.is_open, "it to be left")
    assert told == []


def test_who_cancels_echo_gets_what_is_written_and_how_far_ahead(card: SoftCard) -> None:
    far: list[bytes] = []
    speaker = AlsaSpeaker("hw:0", far=far.append, opens=card.opens)
    talk = Talk(speaker)
    until(lambda: len(far) > 50, "a second")
    talk.end()
    speaker.close()
    assert {len(frame) for frame in far} == {FRAME_BYTES}
    written = b"".join(far)
    assert bytes(card.played).startswith(written)
    assert 0 <= speaker.delay_s <= 0.03


def test_a_closed_loudspeaker_stays_closed(card: SoftCard, speaker: AlsaSpeaker) -> None:
    speaker.close()
    speaker.push("alice", SILENT_FRAME)
    assert card.opened == 0


# -------------------- microphone


def heard_of(microphone: AlsaMicrophone, count: int) -> bytes:
    frames: queue.Queue[bytes] = queue.Queue()
    microphone.start(frames.put, no_failure)
    try:
        return b"".join(frames.get(timeout=PATIENCE_S) for _ in range(count))
    finally:
        microphone.stop()


def test_what_the_microphone_lost_is_counted_and_it_goes_on(card: SoftCard) -> None:
    microphone = AlsaMicrophone("hw:0", opens=card.opens)
    frames: queue.Queue[bytes] = queue.Queue()
    microphone.start(frames.put, no_failure)
    frames.get(timeout=PATIENCE_S)
    next(iter(card.open)).must_run_dry = True
    until(lambda: microphone.xruns, "the gap")
    for _ in range(3):
        frames.get(timeout=PATIENCE_S)
    microphone.stop()
    assert card.opened == 1


def test_a_microphone_that_is_pulled_out_says_so_and_can_be_stopped(card: SoftCard) -> None:
    faults: queue.Queue[SourceFailed] = queue.Queue()
    frames: queue.Queue[bytes] = queue.Queue()
    microphone = AlsaMicrophone("hw:0", opens=card.opens)
    microphone.start(frames.put, faults.put)
    frames.get(timeout=PATIENCE_S)
    card.unplug()
    fault = faults.get(timeout=PATIENCE_S)
    assert (fault.type, "stopped" in str(fault)) == (GONE, True)
    microphone.stop()
    with pytest.raises(SourceFailed) as refused:
        microphone.start(frames.put, faults.put)
    assert refused.value.type is GONE, "its node went away: it has worked"
    card.plug_in()
    assert heard_of(microphone, 2)
    assert faults.empty()


def test_a_microphone_that_hangs_can_be_stopped_and_is_not_opened_twice(
    card: SoftCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pcm_thread, "STALL_S", 0.1)
    monkeypatch.setattr(pcm_thread, "STOP_LIMIT_S", 0.1)
    monkeypatch.setattr(pcm_thread, "OPEN_LIMIT_S", 0.1)
    faults: queue.Queue[SourceFailed] = queue.Queue()
    frames: queue.Queue[bytes] = queue.Queue()
    microphone = AlsaMicrophone("hw:0", opens=card.opens)
    microphone.start(frames.put, faults.put)
    frames.get(timeout=PATIENCE_S)
    card.goes_on.clear()
    until_seen(microphone, lambda: not faults.empty(), "it to be noticed")
    assert faults.get().errno == errno.ETIMEDOUT
    begin_s = time.monotonic()
    microphone.stop()
    assert time.monotonic() - begin_s < 10
    assert microphone.lingers
    with pytest.raises(SourceFailed) as refused:
        microphone.start(frames.put, faults.put)
    assert refused.value.errno == errno.ETIMEDOUT
    assert microphone.lingers, "the first one still does"
    card.goes_on.set()
    until(lambda: not card.open, "it to let go")
    until(lambda: not microphone.lingers, "its thread to end")
    assert heard_of(microphone, 2)


def test_what_hears_for_somebody_may_change_it_and_knows_how_old_it_is(card: SoftCard) -> None:
    ages: list[float] = []

    def half(frame: bytes, ago_s: float) -> bytes:
        ages.append(ago_s)
        return bytes((np.frombuffer(frame, "<i2") // 2).astype("<i2").tobytes())

    line = np.frombuffer(heard_of(AlsaMicrophone("hw:0", half, card.opens), 50), "<i2")
    assert level_dbfs(line) == pytest.approx(-26, abs=0.2)
    assert all(FRAME_S - 0.001 <= age_s <= FRAME_S + 0.04 for age_s in ages)


def test_who_judges_the_microphone_is_given_what_it_heard_itself(card: SoftCard) -> None:
    pairs: list[tuple[bytes, bytes]] = []
    three = threading.Event()
    microphone = AlsaMicrophone("hw:0", lambda frame, _: SILENT_FRAME, card.opens)
    assert isinstance(microphone, Processed)

    def deliver(frame: bytes) -> None:
        pairs.append((frame, microphone.unprocessed))
        if len(pairs) == 3:
            three.set()

    microphone.start(deliver, no_failure)
    assert three.wait(PATIENCE_S)
    microphone.stop()
    assert {frame for frame, _ in pairs} == {SILENT_FRAME}
    heard = b"".join(heard for _, heard in pairs[:3])
    assert heard == tone(440)(0, len(heard) // 2)


def test_who_is_delivered_to_and_fails_ends_it(card: SoftCard) -> None:
    faults: queue.Queue[SourceFailed] = queue.Queue()

    def broken(_: bytes) -> None:
        raise RuntimeError("no room")

    microphone = AlsaMicrophone("hw:0", opens=card.opens)
    microphone.start(broken, faults.put)
    assert "no room" in str(faults.get(timeout=PATIENCE_S))
    microphone.stop()


# -------------------- with ALSA itself


@pytest.mark.parametrize("fast", [0.999, 1.001])
def test_alsa_with_a_card_that_has_a_clock(lab: SoundLab, fast: float) -> None:
    faults: list[SourceFailed | None] = []
    with lab.run(fast=fast):
        speaker = AlsaSpeaker("card", failed=faults.append)
        talk = Talk(speaker)
        heard = np.frombuffer(heard_of(AlsaMicrophone("card_in"), 75), "<i2")
        until(lambda: len(lab.heard_of_card) > 2 * 2 * 48_000, "two seconds")
        talk.end()
        speaker.close()
    assert dominant_hz(heard[9600:]) == pytest.approx(440, rel=0.01)
    played = np.frombuffer(bytes(lab.heard_of_card), "<i2")[24_000:]
    assert dominant_hz(played) == pytest.approx(700, rel=0.02)
    assert faults == []


def test_alsa_that_hangs_in_a_write_is_left_behind(
    lab: SoundLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pcm_thread, "STALL_S", 0.2)
    monkeypatch.setattr(pcm_thread, "STOP_LIMIT_S", 0.2)
    faults: list[SourceFailed | None] = []
    with lab.run(fast=0.0):  # nobody empties its pipe
        speaker = AlsaSpeaker("card", failed=faults.append)
        talk = Talk(speaker)
        until_seen(speaker, lambda: faults, "it to be noticed")
        talk.end()
        begin_s = time.monotonic()
        speaker.close()
        assert time.monotonic() - begin_s < 10
        assert any(fault and fault.errno == errno.ETIMEDOUT for fault in faults)
        lab.drain()
