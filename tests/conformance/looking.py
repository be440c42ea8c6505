"""Who may look through the camera without a call, and who may not."""

from __future__ import annotations

from aiohttp import ClientSession, CookieJar

from appliance.trust.keys import DeviceKey
from tests.conformance.houses import ERIN, FRED
from tests.conformance.scenes import scene
from tests.conformance.stage import Stage
from tests.media.stranger import Stranger, until
from tests.web.knowing import log_in


@scene("bare")
async def who_may_looks_through_the_camera_and_nobody_is_rung(stage: Stage) -> None:
    page = stage.house.appliance.page
    assert page is not None
    url = page.replace("localhost", "127.0.0.1")

    async def looks(uid: str, key: DeviceKey, stranger: Stranger) -> int:
        async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as client:
            assert await log_in(client, url, uid, key) == 200
            offer = await stranger.call()
            headers = {"Content-Type": "application/sdp"}
            async with client.post(f"{url}whep", data=offer.sdp, headers=headers) as response:
                if response.status == 201:
                    answer = await response.text()
                    await stranger.take(type(offer)("answer", answer))
                return response.status

    async with Stranger() as fred:
        assert await looks("fred", FRED, fred) == 403
    async with Stranger() as erin:
        assert await looks("erin", ERIN, erin) == 201
        await until(lambda: len(erin.numbers) > 5, "the picture")
        assert [one["uid"] for one in stage.status()["viewers"]] == ["erin"]
        assert stage.status()["call"] is None
        stage.seen.note("enum:right=view")
    await stage.until(lambda: not stage.status()["viewers"])
