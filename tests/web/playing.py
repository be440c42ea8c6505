"""Playing the phone's calls: inputs in, the state and what is to be done out, in order."""

from __future__ import annotations

from typing import Any

from playwright.async_api import Page

Input = dict[str, Any]
CALL, SESSION = "c" * 32, "5" * 32
OFFER = {"type": "offer", "sdp": "o"}
ANSWER = {"type": "answer", "sdp": "a"}
ME = {"uid": "alice", "name": "Alice"}
HERE = {"uid": "alice", "endpoint": "phone-1"}

PLAY = """async (inputs) => {
  const { advance, IDLE } = await import('/call.js');
  const turns = [];
  let state = IDLE;
  for (const { at = 0, ...input } of inputs) {
    let effects;
    [state, effects] = advance(state, input, at);
    turns.push({ state, effects });
  }
  return turns;
}"""


class Turn:
    """What one input led to."""

    def __init__(self, turn: dict[str, Any]) -> None:
        self.state = turn["state"]
        self.call = self.state["call"]
        self.effects = turn["effects"]

    @property
    def phase(self) -> str:
        """The phase, and why where it is over."""
        reason = self.state["reason"]
        return f"{self.state['phase']}: {reason}" if reason else str(self.state["phase"])

    @property
    def did(self) -> list[str]:
        """The effects in short, without the timers and what every end does."""
        return [word for effect in self.effects if (word := self._word(effect))]

    def link(self, id_: str = "host") -> dict[str, Any]:
        """One connection."""
        return dict(self.call["links"][id_])

    def sent(self, kind: str) -> dict[str, Any]:
        """The body of the message of that kind."""
        (body,) = [e["body"] for e in self.effects if e["do"] == "send" and e["kind"] == kind]
        return dict(body)

    def _word(self, effect: dict[str, Any]) -> str | None:
        match effect:
            case {"do": "send", "kind": kind}:
                return f"send {kind}"
            case {"do": "ring" | "ringback" as what, "on": True}:
                return str(what)
            case {"do": "open_media" | "take_answer" | "take_candidate" as what}:
                return f"{what} {self._where(effect)}"
            case {"do": "close_media"}:
                return f"close_media {self._where(effect)}"
            case {"do": "settle", "kinds": kinds}:
                return f"settle {' '.join(kinds)}"
            case {"do": "silence" as what, "link": link, "on": on}:
                return f"{what} {link} {'on' if on else 'off'}"
            case {"do": "microphone" | "camera" | "share" | "hold_tone" as what, "on": on}:
                return f"{what} {'on' if on else 'off'}"
            case {"do": "tones", "digits": digits}:
                return f"tones {digits}"
        return None

    @staticmethod
    def _where(effect: dict[str, Any]) -> str:
        """Of which connection: the host's goes without saying."""
        link, generation = effect["link"], effect["generation"]
        if link is None:
            return "all"
        where = "" if link == "host" else f"{link} "
        return f"{where}{generation or 'all'}".strip()

    def timers(self, what: str = "start_timer") -> dict[str, float]:
        """The timers that were started (or stopped)."""
        return {e["name"]: e.get("delay_s", 0) for e in self.effects if e["do"] == what}


async def play(page: Page, *inputs: Input) -> list[Turn]:
    """Play inputs from rest."""
    return [Turn(turn) for turn in await page.evaluate(PLAY, list(inputs))]


def says(kind: str, body: dict[str, Any] | None = None, **more: Any) -> Input:
    """A message of the door's."""
    envelope = {"from": "front-door", "endpoint": "main", "call_id": CALL, "me": HERE}
    return {"type": "message", "kind": kind, "body": body or {}, **envelope, **more}


def invite(**more: Any) -> Input:
    """The door rings, without an offer."""
    body = {
        "session_id": SESSION,
        "call_type": "video",
        "caller": {"uid": "front-door", "name": "Front door"},
        "timeout_s": 30,
        "offer": more.pop("offer", None),
    }
    return says("invite", body, **more)


def described(
    description: dict[str, str] = OFFER, generation: int = 1, link: str = "host"
) -> Input:
    """Our description of a connection is ready."""
    return at_link("described", generation, link) | {"description": description}


def at_link(type_: str, generation: int = 1, link: str = "host", **more: Any) -> Input:
    """Something happened to a connection."""
    return {"type": type_, "link": link, "generation": generation, **more}


def placed(call_id: str = CALL) -> Input:
    """Somebody calls the door."""
    to = {"uid": "front-door", "endpoint": "main", "name": "Front door"}
    ids = {"call_id": call_id, "session_id": SESSION}
    return {"type": "call", "call_type": "video", "me": ME, "to": to, **ids}


def timer(name: str, at: int = 0) -> Input:
    """A timer ran out."""
    return {"type": "timer", "name": name, "at": at}


ANSWERED = [invite(), {"type": "answer"}, described(), says("answer", {"answer": ANSWER})]
TALKING = [*ANSWERED, at_link("connected", at=5000)]
