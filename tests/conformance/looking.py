"""Who may look through the camera without a call, and who may not."""

from __future__ import annotations

from aiohttp import ClientSession, CookieJar

from appliance.messages import SessionDescription
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

    async def offers(uid: str, key: DeviceKey, sdp: str) -> tuple[int, str]:
        async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as client:
            assert await log_in(client, url, uid, key) == 200
            headers = {"Content-Type": "application/sdp"}
            async with client.post(f"{url}whep", data=sdp, headers=headers) as response:
                return response.status, await response.text()

    async with Stranger() as erin:
        offer = await erin.call()
        assert (await offers("fred", FRED, offer.sdp))[0] == 403
        status, answer = await offers("erin", ERIN, offer.sdp)
        assert status == 201
        await erin.take(SessionDescription("answer", answer))
        await until(lambda: len(erin.numbers) > 5, "the picture")
        assert [one["uid"] for one in stage.status()["viewers"]] == ["erin"]
        assert stage.status()["call"] is None
        stage.seen.note("enum:right=view")
    await stage.until(lambda: not stage.status()["viewers"])
