"""What the page signs the appliance believes, and the other way round; and neither anything else."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from playwright.async_api import Page

from appliance.invitation import link_of
from appliance.signaling.pairing import proof_of
from appliance.trust.jws import seal, unseal
from appliance.trust.keys import DeviceKey, PublicKey, encoded, thumbprint

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

SEAL = """async (payload) => {
  const { makeSigner, seal } = await import('/jws.js');
  const signer = await makeSigner();
  let readable = true;
  await crypto.subtle.exportKey('pkcs8', signer.key).catch(() => { readable = false; });
  return { ...signer, key: null, readable, compact: await seal(signer, payload) };
}"""

OPEN = """async ([compacts, keys]) => {
  const { open } = await import('/jws.js');
  const known = new Map(Object.entries(keys));
  return Promise.all(compacts.map((one) => open(one, known).catch((error) => error.message)));
}"""

TRUST = """async ([pinned, listed, said]) => {
  const { Pinned, OtherKey } = await import('/trust.js');
  const pairing = (one) => ({ ...one, signer: { kid: 'mine' } });
  const trust = new Pinned(pairing(pinned[0]), pinned.slice(1).map(pairing));
  trust.know(listed);
  return Promise.all(said.map(([from, payload]) => trust.open(from, payload).then(
    (text) => text.text,
    (error) => (error instanceof OtherKey ? 'other key' : 'refused'),
  )));
}"""


def text(compact: bytes) -> str:
    return compact.decode()


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return encoded(raw)


async def test_the_appliance_believes_what_the_page_signs_with_a_key_that_cannot_be_read(
    modules: Page,
) -> None:
    payload = '{"name":"Zoë — ☎"}'
    made = await modules.evaluate(SEAL, payload)
    assert not made["readable"]
    key = PublicKey.read(made["public_key"])
    assert made["kid"] == key.kid, "both name a key alike (RFC 7638)"
    opened = unseal(made["compact"].encode(), {key.kid: key})
    assert opened.payload.decode() == payload
    header = json.loads(base64.urlsafe_b64decode(made["compact"].split(".")[0] + "=="))
    assert header == {"alg": "Ed25519", "kid": key.kid, "typ": "appliance+json"}


async def test_the_page_believes_the_key_that_it_knows_and_nothing_that_was_changed(
    modules: Page,
) -> None:
    key, other = DeviceKey.make(), DeviceKey.make()
    good = text(seal('{"text":"ü"}'.encode(), key))
    header, payload, signature = good.split(".")
    claims = {"alg": "Ed25519", "kid": key.kid, "typ": "appliance+json"}

    def signed(head: Any, by: DeviceKey = key) -> str:
        first = f"{part(head)}.{payload}"
        return f"{first}.{encoded(by.sign(first.encode()))}"

    bad = [
        text(seal(b"{}", other)),
        signed(claims, by=other),
        f"{header}.{part({'text': 'changed'})}.{signature}",
        f"{header}.{payload}.{encoded(bytes(64))}",
        f"{header}.{payload}.",
        f"{header}.{payload}",
        f"{good}.{signature}",
        f"{good}=",
        f"{header}.{payload}.{signature[:-1]}{chr(ord(signature[-1]) + 1)}",  # its bits to spare
        signed({**claims, "alg": "none"}),
        signed({**claims, "alg": "EdDSA"}),
        signed({**claims, "crit": ["x"]}),
        signed({**claims, "jwk": {"x": other.public}}),
        signed({**claims, "typ": "JWT"}),
        signed({"alg": "Ed25519", "typ": "appliance+json"}),
        signed(b"not json"),
        signed(json.dumps(claims).encode().replace(b"{", b'{"alg": "none", ', 1)),
        signed(json.dumps(claims).encode().replace(b"{", b'{"kid": "other", ', 1)),
        '{"v":1}',
        "",
    ]
    said = await modules.evaluate(OPEN, [[good, *bad], {key.kid: key.public}])
    assert said[0] == '{"text":"ü"}'
    assert [one for one in said[1:] if "text" in one or one == "{}"] == []
    for changed in range(0, len(good), 7):  # any letter, wherever it stands
        letter = "A" if good[changed] != "A" else "B"
        bent = good[:changed] + letter + good[changed + 1 :]
        assert (await modules.evaluate(OPEN, [[bent], {key.kid: key.public}]))[0] != said[0]


WEAK = [
    b"\x01" + bytes(31),
    b"\x01" + bytes(30) + b"\x80",
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes(32),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
]
"""Points of small order, as the appliance's `PublicKey` refuses them, and one written as more than p."""


async def test_a_key_with_which_anybody_could_sign_is_none(modules: Page) -> None:
    """Chromium's WebCrypto takes each, and believes what nobody has signed."""
    for raw in WEAK:
        kid, public = thumbprint(raw), encoded(raw)
        head = {"alg": "Ed25519", "kid": kid, "typ": "appliance+json"}
        marks = [encoded(point + bytes(32)) for point in (b"\x01" + bytes(31), raw)]
        forged = [
            f"{part(head)}.{part({'text': number})}.{mark}"
            for number in range(24)
            for mark in marks
        ]
        said = await modules.evaluate(OPEN, [forged, {kid: public}])
        assert set(said) == {"no public key"}, raw.hex()
    ours = DeviceKey.make().public
    script = "async (key) => Array.from((await import('/jws.js')).keyOf(key))"
    assert bytes(await modules.evaluate(script, ours)) == PublicKey.read(ours).raw


async def test_a_device_is_its_pinned_key_and_others_are_what_the_host_lists(modules: Page) -> None:
    door, shed, bob, mallory = (DeviceKey.make() for _ in range(4))
    pinned = [
        {"device_id": "front-door", "public_key": door.public},
        {"device_id": "shed", "public_key": shed.public},
    ]
    listed = [
        {"uid": "bob", "key": bob.public},
        {"uid": "carol", "key": None},
        {"uid": "front-door", "key": mallory.public},  # no list stands against a pairing
    ]
    said = [
        ("front-door", text(seal(b'{"text":"door"}', door))),
        ("shed", text(seal(b'{"text":"shed"}', shed))),
        ("bob", text(seal(b'{"text":"bob"}', bob))),
        ("front-door", text(seal(b'{"text":"no"}', mallory))),
        ("front-door", '{"text":"no"}'),
        ("front-door", text(seal(b'{"text":"no"}', shed))),
        ("bob", text(seal(b'{"text":"no"}', mallory))),
        ("bob", '{"text":"no"}'),
        ("carol", text(seal(b'{"text":"no"}', bob))),
        ("carol", '{"text":"no"}'),
    ]
    assert await modules.evaluate(TRUST, [pinned, listed, said]) == [
        "door",
        "shed",
        "bob",
        "other key",
        "refused",
        "other key",
        "refused",
        "refused",
        "refused",
        "refused",
    ]


async def test_the_proof_of_an_invitation_is_the_same_on_both_sides(modules: Page) -> None:
    secret = bytes(range(200, 216))
    script = "async ([secret, said]) => (await import('/jws.js')).proofOf(secret, said)"
    said = "pair\nfront-door\nalice\nKEY"
    proof = await modules.evaluate(script, [encoded(secret), said])
    assert proof == proof_of(secret, "front-door", "alice", "KEY")


PARSED = """async (hashes) => {
  const { parsePairing } = await import('/pairing.js');
  return hashes.map((hash) => parsePairing(hash));
}"""


async def test_an_invitation_is_whole_or_it_is_none(modules: Page) -> None:
    words = {
        "v": 1,
        "root": "appliance",
        "device_id": "front-door",
        "public_key": DeviceKey.make().public,
        "websocket_url": "wss://door.local:8884/",
        "username": "zoe",
        "password": None,
        "uid": "zoe",
        "name": "Zoë",
        "secret": encoded(bytes(16)),
    }
    good = link_of("https://door.local/", words)
    broken: list[dict[str, Any]] = [
        {"v": 2},
        {"secret": encoded(bytes(8))},
        {"public_key": "short"},
        {"public_key": encoded(b"\x01" + bytes(31))},
        {"uid": None},
        {"websocket_url": ""},
        {"password": 7},
    ]
    hashes = [
        good.split("/")[-1],
        good[:-9].split("/")[-1],
        "#pair=",
        "#pair=%%%",
        *(link_of("", words | change) for change in broken),
        "#token=a.b.c",
        "",
    ]
    said = await modules.evaluate(PARSED, hashes)
    assert said[0] == words
    assert said[1:] == ["broken"] * (len(hashes) - 3) + [None, None]


STORED = """async (pairings) => {
  const { keep, forget, pairingWith } = await import('/pairings.js');
  const { makeSigner, sign } = await import('/jws.js');
  for (const one of pairings) await keep({ ...one, signer: await makeSigner() });
  const who = async (device, uid) => (await pairingWith(device, uid))?.uid ?? null;
  const found = [
    await who('front-door'), await who('front-door', 'alice'), await who('shed'), await who('gate'),
    await who('front-door', 'bob'),
  ];
  const kept = await pairingWith('shed');
  const signature = await sign(kept.signer, 'it still signs');
  await forget(kept);
  return [...found, await who('shed'), await who('front-door'), signature.length];
}"""


async def test_pairings_with_several_devices_do_not_disturb_one_another(modules: Page) -> None:
    kept = [
        {"device_id": "front-door", "uid": "alice", "paired_at": 1},
        {"device_id": "shed", "uid": "alice", "paired_at": 2},
        {"device_id": "front-door", "uid": "zoe", "paired_at": 3},
        {"device_id": "gate", "uid": "alice", "paired_at": 0},  # was never concluded
    ]
    assert await modules.evaluate(STORED, kept) == [
        "zoe",  # the latest
        "alice",
        "alice",
        None,
        None,
        None,
        "zoe",
        86,
    ]
