"""The words and files of what a visitor is told; and the configuration of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace

from appliance.app import running
from appliance.calls.effects import Sound
from appliance.config import Config, Http, Mqtt, Prompts, load
from appliance.demo import door_station
from appliance.loading.checks import prompts
from appliance.loading.shipped import shipped
from appliance.media.sounds import length_s
from appliance.model import Notice
from appliance.panel.chime import LASTS_S
from appliance.prompts import LANGUAGES, PROMPTS, WORDS, own_file, spoken_file, words_of
from appliance.reporting.conversation import Conversation
from tests.panel.wires import until
from tests.parts.mosquitto import free_port

CHECK = prompts(length_s, list(Sound))


def found(section: Prompts) -> list[tuple[str, str, bool]]:
    findings = CHECK(Config(prompts=section))
    return [(str(one.path[-1]), one.sentence, one.warning) for one in findings]


def test_each_notice_is_a_sound_as_well() -> None:
    assert {Sound(notice) for notice in Notice} <= set(Sound)


def test_a_language_that_is_none_of_ours_is_english() -> None:
    assert words_of(Notice.NO_ANSWER, "tlh") == WORDS["en"][Notice.NO_ANSWER]
    assert spoken_file(Notice.NO_ANSWER, "tlh") == PROMPTS / "en" / "no_answer.opus"


def test_nobody_is_told_that_the_house_is_empty() -> None:
    said = {words[notice] for words in WORDS.values() for notice in words}
    assert len(said) == len(LANGUAGES) * len(Notice), "each says something else"
    for word in ("home", "nobody is in", "zu Hause", "maison", "casa", "thuis"):
        assert not any(word in one for one in said), word


def test_a_configuration_without_faults(tmp_path: Path) -> None:
    shutil.copy(PROMPTS / "de" / "door_open.opus", tmp_path / "door_open.ogg")
    (tmp_path / "README.md").write_text("what these are")
    assert found(Prompts()) == []
    assert found(Prompts(language="nl", directory=str(tmp_path))) == []
    assert own_file("door_open", str(tmp_path)) == tmp_path / "door_open.ogg"
    assert own_file("chime", str(tmp_path)) is None
    assert own_file("chime", None) is None


def test_a_language_that_is_not_there_is_told_with_those_that_are() -> None:
    [(key, sentence, warning)] = found(Prompts(language="ed"))
    assert (key, warning) == ("language", False)
    assert sentence.startswith("ed is not one of de, en, es, fr, it, nl")


def test_own_files_that_are_no_use_are_told(tmp_path: Path) -> None:
    (tmp_path / "dor_open.wav").touch()
    (tmp_path / "chime.wav").write_bytes(b"no sound")
    told = found(Prompts(directory=str(tmp_path)))
    assert [warning for *_, warning in told] == [False, True]
    assert f"{tmp_path / 'chime.wav'} cannot be played" in told[0][1]
    assert told[1][1].startswith("dor_open.wav is no sound")
    assert "door_open" in told[1][1]
    missing = tmp_path / "none"
    assert found(Prompts(directory=str(missing))) == [
        ("directory", f"there is no folder {missing}", False)
    ]


async def test_in_a_running_appliance_each_sound_lasts_as_long_as_its_own_file(
    tmp_path: Path,
) -> None:
    shutil.copy(PROMPTS / "de" / "door_open.opus", tmp_path / "chime.opus")
    config = replace(
        load(shipped("simulated.toml"), {}),
        prompts=Prompts(language="fr", directory=str(tmp_path)),
        mqtt=Mqtt(host="127.0.0.1", port=free_port()),
        http=Http(port=free_port()),
    )
    async with running(config, socket_path=tmp_path / "socket", state_folder=tmp_path) as appliance:
        await until(lambda: appliance.board._chime.lasts_s is not LASTS_S)
        lasts_s = appliance.board._chime.lasts_s
        chime_s = length_s(PROMPTS / "de" / "door_open.opus")
        assert lasts_s[Sound.CHIME] == pytest.approx(chime_s, abs=0.03)
        spoken_s = length_s(PROMPTS / "fr" / "not_now.opus")
        assert spoken_s < lasts_s[Sound.NOT_NOW] < spoken_s + 1.5
        assert appliance.screen is not None
        assert appliance.screen._language == "fr"
        page = door_station(appliance, lambda send: Conversation.__new__(Conversation))
        assert page.words["door_open"] == "La porte est ouverte."
        assert page.sound is not None
        wav = page.sound("chime")
        assert wav is not None
        assert wav.startswith(b"RIFF")
        assert len(wav) == pytest.approx(44 + 2 * 48_000 * chime_s, rel=0.03)
        assert page.sound("siren") is None


async def test_an_appliance_whose_sounds_cannot_be_made_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError("no such codec")

    monkeypatch.setattr("appliance.media.sounds.lengths", broken)
    config = replace(
        load(shipped("simulated.toml"), {}),
        mqtt=Mqtt(host="127.0.0.1", port=free_port()),
        http=Http(port=free_port()),
    )
    async with running(config, socket_path=tmp_path / "socket", state_folder=tmp_path) as appliance:
        await until(lambda: "how long the sounds are" in caplog.text)
        await appliance.board.press("call")
        await until(lambda: bool(appliance.engine.state.calls))
        assert appliance.board._chime.lasts_s is LASTS_S


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_end_as_sentences(language: str) -> None:
    assert all(words.endswith(".") and words[0].isupper() for words in WORDS[language].values())
