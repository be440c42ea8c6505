"""The decoders of Opus: one contract for libopus, wherever it comes from, and for what stands in for it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.media import opus
from appliance.media.base import FRAME_SAMPLES
from appliance.media.opus import (
    BadPacket,
    Libopus,
    LibopusDecoder,
    NoLibopus,
    PlainDecoder,
    Samples,
    VoiceDecoder,
    decoder,
    duration,
    load,
    names,
)
from appliance.media.synthetic import dominant_hz
from tests.media.speech import likeness_db, packets_of, speech, tone
from tests.parts.need import skip_or_fail

SYSTEM, *BUNDLED = names(Path(av.__file__).parent)


def libopus(name: str | None) -> Callable[[], VoiceDecoder]:
    def make() -> VoiceDecoder:
        if name is None:
            skip_or_fail("this PyAV has brought no libopus along")
        try:
            return LibopusDecoder(Libopus(name))
        except NoLibopus as fault:
            skip_or_fail(f"{fault} (apt install libopus0)")

    return make


MAKERS = {
    "the system's libopus": libopus(SYSTEM),
    "PyAV's libopus": libopus(BUNDLED[0] if BUNDLED else None),
    "without libopus": PlainDecoder,
}


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest) -> Callable[[], VoiceDecoder]:
    return MAKERS[request.param]


def encoded(
    samples: Samples, frame_ms: str, *, layout: str = "mono", application: str = "audio"
) -> list[bytes]:
    """Packets as others make them."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.format, encoder.layout, encoder.sample_rate = "s16", layout, 48_000
    encoder.time_base, encoder.bit_rate = Fraction(1, 48_000), 64_000
    encoder.options = {"frame_duration": frame_ms, "application": application}
    size = int(float(frame_ms) * 48)
    packets = []
    for at in range(0, len(samples) - size + 1, size):
        frame = av.AudioFrame(format="s16", layout=layout, samples=size)
        part = samples[at : at + size]
        frame.planes[0].update(np.repeat(part, 2 if layout == "stereo" else 1).tobytes())
        frame.sample_rate, frame.pts, frame.time_base = 48_000, at, Fraction(1, 48_000)
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets


# -------------------- the contract


@pytest.mark.parametrize("layout", ["mono", "stereo"])
@pytest.mark.parametrize("frame_ms", ["2.5", "5", "10", "20", "40", "60"])
def test_a_tone_is_decoded_whatever_the_length_of_its_packets(
    make: Callable[[], VoiceDecoder], frame_ms: str, layout: str
) -> None:
    decoder = make()
    packets = encoded(tone(440, 1.2), frame_ms, layout=layout)
    sound = [decoder.decode(packet) for packet in packets]
    assert {len(part) for part in sound} == {int(float(frame_ms) * 48)}
    assert {duration(packet) for packet in packets} == {int(float(frame_ms) * 48)}
    heard = np.concatenate(sound)[-24_000:]
    assert heard.dtype == np.int16
    assert dominant_hz(heard) == pytest.approx(440, abs=4)
    assert np.abs(heard.astype(int)).max() == pytest.approx(8000, rel=0.15)


@pytest.mark.parametrize("samples", [120, 240, 480, 960, 1920, 2880, 5760])
def test_whatever_is_missing_is_made_up_even_before_there_was_anything(
    make: Callable[[], VoiceDecoder], samples: int
) -> None:
    decoder = make()
    assert len(decoder.conceal(samples)) == samples
    for packet in packets_of(speech(0.2)):
        decoder.decode(packet)
    assert len(decoder.conceal(samples)) == samples
    assert len(decoder.conceal(samples, packets_of(speech(0.2))[-1])) == samples
    assert len(decoder.conceal(samples, b"\xff")) == samples, "of a packet that is none"


def test_one_lost_packet_of_a_voice_leaves_no_hole_and_no_click(
    make: Callable[[], VoiceDecoder],
) -> None:
    decoder = make()
    packets = packets_of(speech(2))
    sound = []
    for number, packet in enumerate(packets):
        if number % 25 == 24:
            sound.append(decoder.conceal(FRAME_SAMPLES))
        else:
            sound.append(decoder.decode(packet))
    power = [float(np.mean(part.astype(np.float64) ** 2)) for part in sound]
    for number in range(24, len(packets), 25):
        assert power[number] > power[number - 1] / 10, "no more than 10 dB less"
    steps = np.abs(np.diff(np.concatenate(sound).astype(int)))
    whole = np.abs(
        np.diff(np.concatenate([decoder.decode(packet) for packet in packets]).astype(int))
    )
    assert steps.max() < 2 * whole.max()


def test_what_is_missing_for_long_dies_away(make: Callable[[], VoiceDecoder]) -> None:
    decoder = make()
    for packet in packets_of(speech(0.5)):
        last = decoder.decode(packet)
    for _ in range(50):
        made_up = decoder.conceal(FRAME_SAMPLES)
    assert np.abs(made_up.astype(int)).mean() < np.abs(last.astype(int)).mean() / 10


def test_who_corrects_is_much_nearer_to_what_was_lost(make: Callable[[], VoiceDecoder]) -> None:
    """The encoder's in-band error correction is really there, and is really used."""
    packets = packets_of(speech(4))
    reference = make()
    likeness: dict[bool, list[float]] = {True: [], False: []}
    truth = [reference.decode(packet) for packet in packets]
    for correct in (True, False):
        decoder = make()
        for number, packet in enumerate(packets[:-1]):
            if number % 10 == 9:
                following = packets[number + 1] if correct else None
                made_up = decoder.conceal(FRAME_SAMPLES, following)
                likeness[correct].append(likeness_db(made_up, truth[number]))
            else:
                decoder.decode(packet)
    gain_db = float(np.median(likeness[True]) - np.median(likeness[False]))
    if reference.corrects:
        assert gain_db > 6
    else:
        assert gain_db == 0


def test_what_is_no_opus_is_refused_and_what_follows_is_decoded(
    make: Callable[[], VoiceDecoder],
) -> None:
    decoder = make()
    good = packets_of(tone(440, 0.5))
    for packet in good[:10]:
        decoder.decode(packet)
    for bad in (b"\xff", b"\x03\x00", b"\xfb\xbf", b"\xfb\x02\x00"):
        with pytest.raises(BadPacket):
            decoder.decode(bad)
    heard = np.concatenate([decoder.decode(packet) for packet in good[10:]])
    assert dominant_hz(heard) == pytest.approx(440, abs=8)


@settings(max_examples=300, deadline=None)
@given(packet=st.binary(min_size=1, max_size=80), plain=st.booleans())
def test_no_bytes_do_any_harm(packet: bytes, plain: bool) -> None:
    one = PlainDecoder() if plain else decoder()
    try:
        sound = one.decode(packet)
    except BadPacket:
        return
    assert len(sound) == duration(packet)


# -------------------- durations


def test_the_duration_is_in_the_first_bytes() -> None:
    """RFC 6716, table 2."""
    for configuration in range(32):
        if configuration < 12:
            frame = (480, 960, 1920, 2880)[configuration % 4]
        elif configuration < 16:
            frame = (480, 960)[configuration % 2]
        else:
            frame = (120, 240, 480, 960)[configuration % 4]
        first = configuration << 3
        assert duration(bytes([first])) == frame
        assert duration(bytes([first | 1])) == duration(bytes([first | 2])) == 2 * frame
        for count in range(64):
            packet = bytes([first | 3, count])
            if 0 < count * frame <= 5760:
                assert duration(packet) == count * frame
            else:
                with pytest.raises(BadPacket):
                    duration(packet)
    for nothing in (b"", b"\x03"):
        with pytest.raises(BadPacket):
            duration(nothing)


# -------------------- which one


def test_the_system_s_library_comes_before_the_one_that_pyav_brings(tmp_path: Path) -> None:
    (tmp_path / "av").mkdir()
    assert list(names(tmp_path / "av")) == ["libopus.so.0"]
    (tmp_path / "av.libs").mkdir()
    (tmp_path / "av.libs" / "libopus-12ab.so.0.11.1").touch()
    (tmp_path / "av.libs" / "libx264-12ab.so.164").touch()
    system, bundled = names(tmp_path / "av")
    assert system == "libopus.so.0"
    assert bundled == str(tmp_path / "av.libs" / "libopus-12ab.so.0.11.1")


def test_what_cannot_be_used_is_told_and_done_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "libopus.so.0"
    broken.write_bytes(b"no library")
    another = "libm.so.6"
    assert load(iter([str(broken), another, str(tmp_path / "nowhere.so")])) is None
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    for word in ("apt install libopus0", str(broken), another, "nowhere.so"):
        assert word in record.getMessage()
    monkeypatch.setattr(opus, "installed", lambda: None)
    assert isinstance(decoder(), PlainDecoder)


def test_a_library_that_does_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    maker = MAKERS["the system's libopus"]()
    assert isinstance(maker, LibopusDecoder)

    def short(self: LibopusDecoder, packet: bytes) -> Samples:
        return np.zeros(480, np.int16)

    monkeypatch.setattr(LibopusDecoder, "decode", short)
    with pytest.raises(NoLibopus, match="480, 960, 960"):
        Libopus(SYSTEM)
