"""A page that looks at the appliance's pictures, and notes when each was decoded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, Page

from appliance.messages import SessionDescription
from tests.web.conftest import WITH_CONSENT, chromium

SCRIPT = """
const pc = window.pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
window.decodedAt = [];
pc.ontrack = async ({ track }) => {
  const element = document.createElement(track.kind);
  element.srcObject = new MediaStream([track]);
  element.muted = element.autoplay = true;
  document.body.append(element);
  if (track.kind !== 'video') return;
  const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
  for (;;) {
    const { value: frame, done } = await reader.read();
    if (done) return;
    window.decodedAt.push((performance.timeOrigin + performance.now()) / 1000);
    window.size = [frame.displayWidth, frame.displayHeight];
    frame.close();
  }
};
window.answer = async (sdp) => {
  await pc.setRemoteDescription({ type: 'offer', sdp });
  await pc.setLocalDescription();
  if (pc.iceGatheringState !== 'complete') {
    await new Promise((resolve) => pc.addEventListener('icegatheringstatechange',
      () => pc.iceGatheringState === 'complete' && resolve()));
  }
  return pc.localDescription.sdp;
};
window.inbound = async () => {
  for (const entry of (await pc.getStats()).values()) {
    if (entry.type === 'inbound-rtp' && entry.kind === 'video') return entry;
  }
  return {};
};
"""


class Receiver:
    """The page."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def answers(self, offer: SessionDescription) -> SessionDescription:
        """Its answer."""
        return SessionDescription(
            "answer", await self._page.evaluate("(sdp) => answer(sdp)", offer.sdp)
        )

    async def decoded_at(self) -> list[float]:
        """When each picture was decoded, in seconds of `time.time`."""
        times: list[float] = await self._page.evaluate("decodedAt")
        return times

    async def size(self) -> tuple[int, int]:
        """Of the latest picture."""
        width, height = await self._page.evaluate("window.size || [0, 0]")
        return width, height

    async def stats(self) -> dict[str, Any]:
        """Of the pictures that come (W3C webrtc-stats, RTCInboundRtpStreamStats)."""
        await asyncio.sleep(0.06)  # Chromium gives the same ones for 50 ms
        found: dict[str, Any] = await self._page.evaluate("inbound()")
        return found

    async def sees(self, more: int = 10) -> None:
        """Wait for so many further pictures."""
        goal = len(await self.decoded_at()) + more
        await self._page.wait_for_function("(goal) => decodedAt.length >= goal", arg=goal)


@asynccontextmanager
async def named_by_address() -> AsyncIterator[Browser]:
    """A Chromium that tells its addresses: aioice looks .local names up for one event loop only."""
    async with chromium(*WITH_CONSENT, without=("WebRtcHideLocalIpsWithMdns",)) as browser:
        yield browser


@asynccontextmanager
async def a_receiver(browser: Browser) -> AsyncIterator[Receiver]:
    """Such a page."""
    async with await browser.new_page() as page:
        await page.evaluate(SCRIPT)
        yield Receiver(page)
        await page.evaluate("pc.close()")
