"""The playout buffer: calls of minutes, and an hour, over networks by the seed, and packets by hand.

Packets of `Numbered` sound as their number, so what is heard tells what was played.
"""

from __future__ import annotations

import random
from itertools import pairwise
from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.media.base import FRAME_BYTES, FRAME_S, SILENT_FRAME
from appliance.media.opus import Samples, decoder
from appliance.media.playout import CAPACITY, Playout, VoicePacket
from appliance.media.synthetic import dominant_hz
from tests.media.speech import packets_of, speech, tone
from tests.media.way import Card, Heard, Numbered, Way, payload, play

FRAME = 960


# -------------------- what it costs in delay


def test_a_steady_network_costs_a_frame_and_a_half() -> None:
    heard = play(Way(), 60)
    assert median(heard.kept_s) <= 0.04
    assert not any(heard.made_up)
    assert heard.decoder.decoded == list(range(len(heard.decoder.decoded))), "each, and in order"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_with_jitter_it_is_at_most_60_ms(seed: int) -> None:
    """Of 5 ms in the mean, so that one packet in fifty is 20 ms late."""
    heard = play(Way(seed=seed, jitter_s=0.005), 120)
    assert median(heard.kept_s) <= 0.06
    assert sum(heard.made_up) / len(heard.made_up) < 0.005


@pytest.mark.parametrize("phase_s", [0.003, 0.0135])
@pytest.mark.parametrize(("loss", "most_s"), [(0.0, 0.06), (0.02, 0.08)])
def test_nor_is_it_more_until_the_card_takes_it(loss: float, most_s: float, phase_s: float) -> None:
    """What is kept in hand behind the playout, between the two clocks, counts too."""
    card = Card()
    heard = play(Way(jitter_s=0.005, loss=loss), 180, phase_s=phase_s, card=card)
    behind_s = median(heard.card_s[-500:]) - median(heard.kept_s[-500:])
    assert 0.01 < behind_s < 0.021
    assert median(heard.card_s[-500:]) <= most_s
    assert (card.voice.holes, card.voice.cuts) == (0, 0)


@pytest.mark.parametrize("ppm", [-200, 200])
def test_both_clocks_may_be_wrong_on_the_way_to_the_card(ppm: int) -> None:
    card = Card(ppm=-ppm)
    heard = play(Way(ppm=ppm, jitter_s=0.002), 600, card=card)
    course = [median(heard.card_s[k : k + 500]) for k in range(1000, len(heard.card_s), 500)]
    assert max(course) - min(course) <= FRAME_S
    assert max(course) <= 0.06
    assert (card.voice.holes, card.voice.cuts) == (0, 0)


@pytest.mark.parametrize("seed", [1, 2])
def test_with_2_percent_loss_it_is_at_most_80_ms_after_ten_minutes(seed: int) -> None:
    heard = play(Way(seed=seed, jitter_s=0.005, loss=0.02), 610)
    assert median(heard.kept_s) <= 0.08
    assert median(heard.kept_s[-500:]) <= 0.08
    assert abs(median(heard.kept_s[-500:]) - median(heard.kept_s[1000:1500])) < FRAME_S
    lost = 610 * 50 * 0.02
    assert heard.playout.counts.corrected > 0.85 * lost, "one hole in fifty has another beside it"
    assert heard.longest_gap_s() <= 0.06


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
def test_at_20_percent_loss_a_voice_is_understood(seed: int, twice: bool) -> None:
    """Of the frames two in 48 are lost with the one behind them; said twice, hardly any is."""
    way = Way(seed=seed, jitter_s=0.005, loss=0.2, twice=twice)
    heard = play(way, 120, calm_s=60)
    lossy = [made_up for at_s, made_up in zip(heard.at_s, heard.made_up, strict=True) if at_s < 121]
    assert sum(lossy) / len(lossy) < (0.004 if twice else 0.055)
    assert heard.longest_gap_s() <= (0.04 if twice else 0.1)
    assert heard.playout.counts.corrected > 120 * 50 * (0.03 if twice else 0.14)
    assert median(heard.kept_s[1000:5500]) <= 0.08
    assert median(heard.kept_s[-500:]) <= 0.04, "nothing of it stays"
    assert heard.playout.counts.restarts == 0


@pytest.mark.parametrize("jitter_s", [0.0, 0.003, 0.006])
def test_one_lost_packet_is_a_gap_of_a_frame_and_leaves_nothing(jitter_s: float) -> None:
    heard = play(Way(jitter_s=jitter_s, drop=lambda number: number == 1500), 60)
    unhurt = play(Way(jitter_s=jitter_s), 60)
    assert 1500 not in heard.decoder.decoded
    assert heard.longest_gap_s() <= 0.06
    after, otherwise = median(heard.kept_s[1600:]), median(unhurt.kept_s[1601:])
    assert after == pytest.approx(otherwise, abs=0.005), "no lasting delay"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("ppm", [200, -200])
def test_an_hour_of_drifting_clocks_stays_within_a_frame(ppm: float) -> None:
    """3600 s at 200 ppm are 720 ms, 36 frames."""
    heard = play(Way(ppm=ppm, jitter_s=0.002), 3600)
    settled = heard.after(20, heard.excess_s)
    assert max(map(abs, settled)) <= FRAME_S
    assert abs(median(heard.kept_s[-3000:]) - median(heard.kept_s[1000:4000])) < 0.01
    assert heard.longest_gap_s() <= FRAME_S
    assert sum(heard.made_up) < 50
    assert heard.playout.counts.restarts == heard.playout.counts.late == 0


def test_drift_of_ten_times_as_much_is_followed_too() -> None:
    for ppm in (2000, -2000):
        heard = play(Way(ppm=ppm), 120)
        assert max(map(abs, heard.after(20, heard.excess_s))) <= FRAME_S


# -------------------- what is bad for a while leaves nothing


@pytest.mark.parametrize("quiet", [True, False])
@pytest.mark.parametrize("stall_s", [0.05, 0.15, 0.4, 2.0, 5.0, 12.0])
def test_a_stall_of_the_network_leaves_no_delay(stall_s: float, quiet: bool) -> None:
    """Everything that waited comes at once when it ends."""
    heard = play(Way(stalls=((20, 20 + stall_s),)), 60, quiet=quiet)
    end_s = 20 + stall_s
    assert max(heard.after(end_s + 10, heard.delay_s)) < 0.06
    assert median(heard.after(end_s + 10, heard.delay_s)) < 0.045
    assert not any(heard.after(end_s + 1, [float(one) for one in heard.made_up]))


@pytest.mark.parametrize("change_s", [0.1, 0.3, 0.9, -0.1, -0.3, -0.9])
def test_another_way_is_followed(change_s: float) -> None:
    """From the packet 1000 on, at 20 s, all are later, or earlier."""

    def extra_s(number: int) -> float:
        return max(0.0, change_s) if number >= 1000 else max(0.0, -change_s)

    heard = play(Way(extra_s=extra_s), 60)
    late = [number for number in heard.decoder.decoded if number > 1020]
    assert late == list(range(1021, late[-1] + 1)), "nothing is lost of what comes after"
    assert max(heard.after(45, heard.delay_s)) < 0.06, (
        "ten seconds to be sure, and a few to be there"
    )
    assert heard.longest_gap_s() <= max(0.0, change_s) + 0.06


def test_first_packets_that_were_held_up_leave_no_delay() -> None:
    """As when the connection was made meanwhile."""
    heard = play(Way(extra_s=lambda number: max(0.0, 0.18 - number * FRAME_S)), 30)
    assert max(heard.after(12, heard.delay_s)) < 0.06


def test_what_is_played_is_never_more_than_a_frame_late_where_packets_are() -> None:
    """Many short spells of bad network: the delay comes and goes."""
    rng = random.Random(5)
    stalls = tuple((at, at + rng.uniform(0.03, 0.3)) for at in range(10, 100, 9))
    heard = play(Way(jitter_s=0.004, loss=0.01, stalls=stalls), 200)
    assert max(heard.after(115, heard.delay_s)) < 0.09


# -------------------- packets of every kind


@pytest.mark.parametrize("samples", [480, 960, 1920, 2880])
def test_packets_of_any_length_are_played_whole(samples: int) -> None:
    heard = play(Way(samples=samples, jitter_s=0.002), 30)
    assert heard.decoder.decoded == list(range(len(heard.decoder.decoded)))
    assert median(heard.kept_s) < 0.06
    lossy = play(Way(samples=samples, jitter_s=0.002, loss=0.02), 120)
    assert median(lossy.kept_s) < 0.08
    assert max(lossy.after(110, lossy.delay_s)) < 0.1


class Table:
    """A buffer, and packets that are put into it by hand: one each 20 ms, from 1 s on."""

    def __init__(self) -> None:
        self.decoder = Numbered()
        self.playout = Playout(self.decoder)
        self.heard: list[int] = []

    def put(
        self,
        number: int,
        at_s: float | None = None,
        *,
        sequence: int | None = None,
        ssrc: int = 7,
        timestamp: int | None = None,
        content: bytes | None = None,
    ) -> None:
        self.playout.put(
            VoicePacket(
                ssrc,
                (number if sequence is None else sequence) & 0xFFFF,
                (number * FRAME if timestamp is None else timestamp) & 0xFFFFFFFF,
                payload(number) if content is None else content,
            ),
            1 + number * FRAME_S if at_s is None else at_s,
        )

    def pull(self, at_s: float) -> int:
        """The value that most of the frame has."""
        frame = np.frombuffer(self.playout.pull(at_s), "<i2")
        values, counts = np.unique(frame, return_counts=True)
        self.heard.append(int(values[counts.argmax()]))
        return self.heard[-1]

    def run(self, numbers: range, *, ssrc: int = 7, shift: int = 0) -> None:
        """Packets one after the other, each with a pull 5 ms after it."""
        for number in numbers:
            self.put(number, ssrc=ssrc, timestamp=number * FRAME + shift)
            self.pull(1.005 + number * FRAME_S)

    @property
    def numbers(self) -> list[int]:
        return self.decoder.decoded


def test_nothing_is_silence() -> None:
    playout = Playout(Numbered())
    assert playout.silent
    assert playout.pull(1) == SILENT_FRAME
    assert (playout.delay_s(1), playout.excess_s(1)) == (0, 0)


def test_each_is_played_once_however_often_it_comes() -> None:
    table = Table()
    for number in range(100):
        for _ in range(3):
            table.put(number)
        if number > 10:
            table.put(number - 8, 1 + number * FRAME_S)
        table.pull(1.005 + number * FRAME_S)
    assert table.numbers == list(range(len(table.numbers)))
    assert len(table.numbers) > 90
    assert table.playout.counts.duplicates == 200 + 89
    assert table.playout.counts.late == 0


def test_what_overtakes_is_put_in_order() -> None:
    heard = play(Way(extra_s=lambda number: 0.025 if number % 7 == 3 else 0.0), 30)
    assert heard.decoder.decoded == list(range(len(heard.decoder.decoded)))


def test_who_is_too_late_is_left_out_and_counted() -> None:
    table = Table()
    for number in range(100):
        if number != 50:
            table.put(number)
        if number == 55:
            table.put(50, 1 + 55 * FRAME_S)
        table.pull(1.005 + number * FRAME_S)
    assert 50 not in table.numbers
    assert table.playout.counts.late == 1


def test_the_hole_is_filled_from_the_packet_after_it_where_that_is_there() -> None:
    heard = play(Way(drop=lambda number: number in (500, 600, 1500)), 40)
    assert heard.decoder.corrected == [1500], "once two were lost, it is waited for"
    assert heard.longest_gap_s() == pytest.approx(FRAME_S)


def test_another_source_takes_over_when_it_goes_on() -> None:
    table = Table()
    table.run(range(50))
    table.put(9999, 2.001, ssrc=8, timestamp=123)
    table.run(range(50, 100))
    assert table.playout.counts.restarts == 0
    assert table.playout.counts.out_of_place == 1, "a single one changes nothing"
    table.run(range(100, 150), ssrc=8, shift=77_000_000)
    assert table.playout.counts.restarts == 1
    assert table.numbers[-44:] == list(range(table.numbers[-1] - 43, table.numbers[-1] + 1))
    assert table.numbers[-1] >= 147


@pytest.mark.parametrize("jump", [3_000_000_000, -48_000 * 5, 48_000 * 5, 48_000 * 3600])
def test_a_jump_of_the_time_stamps_is_a_new_beginning(jump: int) -> None:
    table = Table()
    table.run(range(100))
    table.run(range(100, 200), shift=jump)
    assert table.playout.counts.restarts == 1
    assert table.numbers[-1] >= 197
    assert len([number for number in table.numbers if number >= 100]) >= 94, "four packets' time"


@pytest.mark.parametrize("pause", [3, 20, 80, 200, 1000, 100_000])
@pytest.mark.parametrize("counted", [True, False])
def test_after_a_pause_it_goes_on_at_once(pause: int, counted: bool) -> None:
    """A microphone that is muted: time stamps go on meanwhile, or they do not."""
    table = Table()
    table.run(range(100))
    for number in range(100, min(100 + pause, 400)):
        table.pull(1.005 + number * FRAME_S)
    assert pause < 20 or table.playout.silent
    table.run(range(100 + pause, 200 + pause), shift=0 if counted else -pause * FRAME)
    after = [number for number in table.numbers if number >= 100]
    assert len(after) >= (97 if counted else 92)
    assert after[-1] >= 100 + pause + 96
    assert table.playout.delay_s(1.005 + (200 + pause) * FRAME_S) < 0.08


def test_a_sender_that_says_that_it_is_silent_is_not_cut_off_in_between() -> None:
    """DTX: a packet of one byte each 400 ms."""
    table = Table()
    table.run(range(50))
    for number in range(50, 250):
        if number % 20 == 10:
            table.put(number, sequence=50 + number // 20, content=b"\xf8")
        table.pull(1.005 + number * FRAME_S)
        assert not table.playout.silent
    for number in range(250, 300):
        table.put(number, sequence=number - 200 + 12)
        table.pull(1.005 + number * FRAME_S)
    assert table.numbers[-1] >= 297
    assert table.playout.counts.corrected == 0, "nothing was lost"


def test_what_is_no_opus_is_counted_and_made_up() -> None:
    table = Table()
    for number in range(100):
        content = {30: b"", 40: b"\xff", 50: b"\xf8!!"}.get(number)
        table.put(number, content=content)
        table.pull(1.005 + number * FRAME_S)
    assert table.playout.counts.bad == 2
    assert [number for number in range(95) if number not in table.numbers] == [30, 40, 50]


def test_a_flood_does_not_fill_the_memory() -> None:
    table = Table()
    for number in range(10_000):
        table.put(number, 1 + number * 1e-6, timestamp=number * 120)
    assert len(table.playout._kept) <= CAPACITY
    assert table.playout.counts.out_of_place >= 10_000 - CAPACITY


def test_a_listener_who_was_held_up_goes_on_with_what_is_due() -> None:
    """The loop stands still for half a second: neither packets nor pulls."""
    table = Table()
    table.run(range(100))
    for number in range(100, 125):
        table.put(number, 1 + 125 * FRAME_S)
    for number in range(125, 325):
        table.put(number)
        table.pull(1.005 + number * FRAME_S)
    assert table.playout.delay_s(1.005 + 325 * FRAME_S) < 0.08
    assert table.numbers[-1] >= 320


# -------------------- with real sound


def sounds(packets: list[bytes], lost: set[int], *, ahead: int = 2) -> Samples:
    """What is heard of real packets, pulled right after they come."""
    playout = Playout(decoder())
    frames = []
    for number, packet in enumerate(packets):
        if number not in lost:
            playout.put(VoicePacket(1, number, number * FRAME, packet), number * FRAME_S)
        frames.append(np.frombuffer(playout.pull(number * FRAME_S + 0.002), "<i2"))
    return np.concatenate(frames)


def test_a_voice_comes_out_as_it_went_in() -> None:
    packets = packets_of(speech(11))
    plain = decoder()
    truth = np.concatenate([plain.decode(packet) for packet in packets])
    heard = sounds(packets, set())[500_000:501_920]  # it has come to its delay
    before = truth[495_000:502_000]
    errors = [np.abs(heard - before[at : at + 1920].astype(int)).sum() for at in range(5000)]
    place = int(np.argmin(errors))
    assert heard.tolist() == before[place : place + len(heard)].tolist(), "to the last bit"
    assert 500_000 - 495_000 - place < 0.06 * 48_000, "not long ago"


def test_a_tone_over_2_percent_loss_has_no_hole_of_more_than_60_ms() -> None:
    rng = random.Random(3)
    packets = packets_of(tone(440, 20))
    lost = {number for number in range(50, len(packets)) if rng.random() < 0.02}
    heard = sounds(packets, lost)[48_000:]
    power = np.array([np.mean(part.astype(float) ** 2) for part in np.split(heard, 100 * 19)])
    holes = "".join("x" if one < np.median(power) / 10 else " " for one in power).split()
    assert all(len(hole) <= 6 for hole in holes), "in pieces of 10 ms, 10 dB down"
    assert dominant_hz(heard) == pytest.approx(440, abs=3)


def test_what_ends_dies_away_without_a_click() -> None:
    packets = packets_of(tone(300, 1))
    heard = sounds(packets, set(range(40, 50)))
    playout = Playout(decoder())
    assert playout.silent
    tail = heard[45 * FRAME :].astype(int)
    assert np.abs(np.diff(tail)).max() < 1000
    assert np.abs(heard[-FRAME // 4 :].astype(int)).max() < 1500


# -------------------- laws


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    loss=st.sampled_from([0.0, 0.02, 0.2, 0.6]),
    jitter_s=st.sampled_from([0.0, 0.003, 0.02, 0.1]),
    ppm=st.sampled_from([-200.0, 0.0, 200.0]),
    samples=st.sampled_from([480, 960, 1920, 2880]),
    stall_s=st.sampled_from([0.0, 0.1, 1.0, 3.0]),
    timestamp=st.integers(0, 2**32 - 1),
    sequence=st.integers(0, 2**16 - 1),
    phase_s=st.floats(0, 0.02),
)
def test_whatever_the_network_does(
    seed: int,
    loss: float,
    jitter_s: float,
    ppm: float,
    samples: int,
    stall_s: float,
    timestamp: int,
    sequence: int,
    phase_s: float,
) -> None:
    """In order, none twice, bounded, and as it should be again after ten quiet seconds."""
    rough = Way(
        seed=seed,
        loss=loss,
        jitter_s=jitter_s,
        ppm=ppm,
        samples=samples,
        stalls=((4.0, 4.0 + stall_s),),
    )
    heard = play(
        rough,
        10,
        calm_s=14,
        first_timestamp=timestamp,
        first_sequence=sequence,
        phase_s=phase_s,
    )
    played = heard.decoder.decoded
    assert all(before < after for before, after in pairwise(played))
    assert max(heard.delay_s) < 1.5
    assert max(heard.after(23, heard.delay_s)) < 0.1, "never a ratchet"
    assert min(heard.after(23, heard.delay_s)) > 0, "nor played before it is there"


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 0.5),
            st.integers(0, 3),
            st.integers(0, 2**16 - 1),
            st.integers(0, 2**32 - 1),
            st.binary(max_size=6),
            st.integers(0, 4),
        ),
        max_size=40,
    )
)
def test_whatever_comes_there_are_20_ms_to_play(
    packets: list[tuple[float, int, int, int, bytes, int]],
) -> None:
    playout, now_s = Playout(decoder()), 0.0
    for step_s, ssrc, sequence, timestamp, content, pulls in packets:
        now_s += step_s
        playout.put(VoicePacket(ssrc, sequence, timestamp, content), now_s)
        for _ in range(pulls):
            assert len(playout.pull(now_s)) == FRAME_BYTES
            now_s += FRAME_S
    for _ in range(80):
        assert len(playout.pull(now_s)) == FRAME_BYTES
        now_s += FRAME_S
    assert playout.silent, "when nothing comes any more"


def test_the_buffer_tells_what_became_of_all() -> None:
    heard: Heard = play(Way(loss=0.1, jitter_s=0.03, seed=4), 60)
    counts = heard.playout.counts
    assert counts.played == len(heard.decoder.decoded)
    came = 3000 * 0.9
    assert counts.played + counts.late + counts.out_of_place == pytest.approx(came, rel=0.03)
    assert counts.corrected == len(heard.decoder.corrected)
