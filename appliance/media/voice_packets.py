"""What of a packet of RTP (RFC 3550, section 5.1) a voice needs, read without making more of it."""

from __future__ import annotations

import struct

from appliance.media.playout import VoicePacket

HEAD = struct.Struct("!BBHLL")
EXTENSION = struct.Struct("!2xH")
PADDED, EXTENDED, SOURCES = 0x20, 0x10, 0x0F


def voice_packet(data: bytes) -> VoicePacket | None:
    """Read a packet that has been decrypted; None for one that is not whole."""
    if len(data) < HEAD.size:
        return None
    first, _, sequence_number, timestamp, ssrc = HEAD.unpack_from(data)
    if first >> 6 != 2:
        return None
    begin, end = HEAD.size + 4 * (first & SOURCES), len(data)
    if first & EXTENDED:
        if end < begin + EXTENSION.size:
            return None
        begin += EXTENSION.size + 4 * EXTENSION.unpack_from(data, begin)[0]
    if first & PADDED:
        if not data[-1]:
            return None
        end -= data[-1]
    if end < begin:
        return None
    return VoicePacket(ssrc, sequence_number, timestamp, data[begin:end])
