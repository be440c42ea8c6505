"""What of aiortc is private is as it was; where it is not, that is said at once."""

from __future__ import annotations

import aiortc
import pytest
from aiortc import RTCRtpSender

from appliance.media.seams.check import UnknownAiortc, self_check


def test_the_installed_aiortc_is_the_one_that_is_known() -> None:
    self_check()


@pytest.mark.parametrize(
    ("target", "name", "value", "says"),
    [
        (aiortc, "__version__", "1.17.0", "version 1.17.0"),
        (RTCRtpSender, "_handle_rtcp_packet", lambda self, packet, when: None, "other arguments"),
        (RTCRtpSender, "__init__", lambda self: None, "no longer uses _ssrc"),
    ],
)
def test_another_aiortc_is_refused(
    target: object, name: str, value: object, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target, name, value)
    with pytest.raises(UnknownAiortc, match=says):
        self_check()
