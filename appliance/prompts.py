"""What a visitor is told, in each language: the words, spoken and shown, and where the files lie."""

from __future__ import annotations

from pathlib import Path

from appliance.model import Notice

ENGLISH = "en"
WORDS: dict[str, dict[Notice, str]] = {
    "de": {
        Notice.IT_IS_RINGING: "Es klingelt.",
        Notice.NO_ANSWER: "Es meldet sich niemand.",
        Notice.NOT_NOW: "Gerade kann niemand an die Tür kommen.",
        Notice.DOOR_OPEN: "Die Tür ist offen.",
    },
    "en": {
        Notice.IT_IS_RINGING: "It is ringing.",
        Notice.NO_ANSWER: "Nobody is answering.",
        Notice.NOT_NOW: "Nobody can come to the door now.",
        Notice.DOOR_OPEN: "The door is open.",
    },
    "es": {
        Notice.IT_IS_RINGING: "Está sonando.",
        Notice.NO_ANSWER: "Nadie contesta.",
        Notice.NOT_NOW: "Ahora nadie puede atender la puerta.",
        Notice.DOOR_OPEN: "La puerta está abierta.",
    },
    "fr": {
        Notice.IT_IS_RINGING: "Ça sonne.",
        Notice.NO_ANSWER: "Personne ne répond.",
        Notice.NOT_NOW: "Personne ne peut venir à la porte.",
        Notice.DOOR_OPEN: "La porte est ouverte.",
    },
    "it": {
        Notice.IT_IS_RINGING: "Sta suonando.",
        Notice.NO_ANSWER: "Non risponde nessuno.",
        Notice.NOT_NOW: "Ora nessuno può venire alla porta.",
        Notice.DOOR_OPEN: "La porta è aperta.",
    },
    "nl": {
        Notice.IT_IS_RINGING: "De bel gaat over.",
        Notice.NO_ANSWER: "Er wordt niet opgenomen.",
        Notice.NOT_NOW: "Er kan nu niemand aan de deur komen.",
        Notice.DOOR_OPEN: "De deur is open.",
    },
}
"""None says whether anybody is at home: that is no stranger's business, and the device does not know it.

Who changes them runs `make sounds`, which speaks them anew.
"""

LANGUAGES = tuple(WORDS)
ENDINGS = (".opus", ".ogg", ".wav")
"""Of files with sounds, those of the project and those of a household."""
PROMPTS = Path(__file__).parent / "sounds"


def words_of(notice: Notice, language: str) -> str:
    """What a notice says; in English where the language is none of ours."""
    return WORDS.get(language, WORDS[ENGLISH])[notice]


def spoken_file(notice: Notice, language: str, folder: Path = PROMPTS) -> Path | None:
    """The file in which a notice is spoken, in English where the language has none; None: nowhere."""
    files = (folder / one / f"{notice}.opus" for one in (language, ENGLISH))
    return next((file for file in files if file.is_file()), None)


def own_file(sound: str, directory: str | None) -> Path | None:
    """The household's own file for a sound, if there is one."""
    if directory is None:
        return None
    files = (Path(directory) / f"{sound}{ending}" for ending in ENDINGS)
    return next((file for file in files if file.is_file()), None)
