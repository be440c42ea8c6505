"""The head of a packet of sound, read as aiortc reads it."""

from __future__ import annotations

from appliance.media.voice_packets import voice_packet


def packet(*, sources: int = 0, extension: bytes | None = None, padding: int = 0) -> bytes:
    """By RFC 3550, section 5.1."""
    first = 0x80 | sources | (0x10 if extension is not None else 0) | (0x20 if padding else 0)
    head = bytes([first, 111, 0x12, 0x34]) + (960).to_bytes(4, "big") + (77).to_bytes(4, "big")
    head += b"\x00\x00\x00\x05" * sources
    if extension is not None:
        head += b"\x00\x01" + (len(extension) // 4).to_bytes(2, "big") + extension
    return head + b"sound" + (bytes(padding - 1) + bytes([padding]) if padding else b"")


def test_what_is_before_and_behind_the_sound_is_left_out() -> None:
    for one in (
        packet(),
        packet(sources=3),
        packet(extension=b"abcdefgh"),
        packet(padding=4),
        packet(sources=15, extension=b"", padding=1),
    ):
        assert voice_packet(one) == (77, 0x1234, 960, b"sound")


def test_what_is_not_whole_is_none() -> None:
    whole = packet(sources=2, extension=b"abcd")
    for length in range(len(whole) - len(b"sound")):
        assert voice_packet(whole[:length]) is None
    assert voice_packet(b"\x40" + whole[1:]) is None, "another version"
    assert voice_packet(packet(padding=1)[:-1] + b"\x00") is None
    assert voice_packet(packet(padding=1)[:-1] + b"\x07") is None
