"""Every module that takes apart what others wrote is known here, with the test that spoils its input.

Found in the source by what it calls; one that nobody has entered fails, and so does an entry whose module
parses no more, or whose test is gone. Who only splits a text, or matches it, is found too, and either reads
what others wrote or has words of its own: which of the two is entered by hand.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import appliance

ROOT = Path(appliance.__file__).parent
PARSING = frozenset(
    [
        "loads",
        "decode",
        "convert",
        "Decoder",
        "load_pem_x509_certificate",
        "load_pem_x509_certificates",
        "load_pem_x509_crl",
        "load_pem_private_key",
        "urlsplit",
        "b64decode",
        "urlsafe_b64decode",
        "fromisoformat",
        "unpack",
        "unpack_from",
        "iter_unpack",
        "splitlines",
        "from_bytes",
    ]
)
"""Called by whatever reads what somebody else wrote."""
SPLITTING = frozenset(
    [
        *("split", "rsplit", "partition", "rpartition"),
        *("fullmatch", "match", "search", "findall", "finditer"),
    ]
)
"""Called by whatever takes a text apart, whoever wrote it."""

HTTP, BESIDE, PARSERS = "test_http.py", "test_beside.py", "test_parsers.py"

TESTED: dict[str, tuple[str, str]] = {
    "accounts": (BESIDE, "test_answers_of_who_makes_accounts"),
    "broker.authority": (BESIDE, "test_the_authority_of_a_broker"),
    "broker.handing_out": (BESIDE, "test_requests_for_accounts"),
    "broker.pages": (BESIDE, "test_the_certificate_that_a_broker_is_given_for_pages"),
    "broker.passwords": (BESIDE, "test_the_file_of_passwords"),
    "calls.quiet": (BESIDE, "test_until_when_nobody_is_disturbed"),
    "calls.sessions": ("test_core.py", "test_commands"),
    "client": (BESIDE, "test_answers_to_the_command_line"),
    "commands": (PARSERS, "test_plain_commands"),
    "loading.checks": (PARSERS, "test_configurations"),
    "loading.conversion": (PARSERS, "test_configurations"),
    "loading.toml": (PARSERS, "test_configurations"),
    "media.admission": ("../media/test_admission.py", "test_what_is_cut_off_is_of_some_source"),
    "media.boxes": ("../media/test_boxes.py", "test_whatever_it_is_it_comes_to_an_end"),
    "media.feedback": (PARSERS, "test_feedback"),
    "media.opus": (PARSERS, "test_packets_of_opus"),
    "media.playout": (PARSERS, "test_packets_of_opus"),
    "media.seams.receiving": (PARSERS, "test_packets_of_sound"),
    "media.voice_packets": (PARSERS, "test_packets_of_sound"),
    "owner.afterwards": (
        "../owner/test_afterwards.py",
        "test_what_is_no_time_zone_is_nothing_to_be_typed",
    ),
    "owner.baggage": (
        "../owner/test_restoring.py",
        "test_what_is_sealed_and_makes_no_sense_is_refused_too",
    ),
    "owner.card": (PARSERS, "test_what_is_on_the_card"),
    "owner.sealed": (
        "../owner/test_sealed.py",
        "test_whatever_is_changed_is_noticed_before_a_passphrase_is_asked_for",
    ),
    "panel.safe": (BESIDE, "test_the_note_of_what_is_driven"),
    "reporting.asking": (PARSERS, "test_plain_commands"),
    "reporting.calllog": (PARSERS, "test_the_call_log"),
    "reporting.conversation": (PARSERS, "test_lines_of_the_local_socket_and_of_the_demo_page"),
    "reporting.ledger": (PARSERS, "test_the_call_log"),
    "reporting.programs": (BESIDE, "test_complaints_of_hooks"),
    "service.addresses": (
        "../service/test_addresses.py",
        "test_what_is_cut_off_or_nonsense_is_passed_over",
    ),
    "service.doctor.certificates": (BESIDE, "test_certificates_that_the_doctor_looks_at"),
    "service.doctor.identity": (BESIDE, "test_the_keys_and_the_authority_of_the_device"),
    "service.doctor.unit": (BESIDE, "test_what_systemd_says"),
    "service.memory": (PARSERS, "test_what_is_remembered"),
    "service.vitals": (
        "../service/test_vitals.py",
        "test_what_makes_no_sense_is_told_as_unknown",
    ),
    "signaling.inflow": (
        "../signaling/test_inflow.py",
        "test_in_whatever_pieces_it_comes_the_rest_is_as_it_was",
    ),
    "signaling.link": (PARSERS, "test_messages"),
    "signaling.orders": (PARSERS, "test_signed_commands"),
    "signaling.presence": (PARSERS, "test_presence"),
    "signaling.wire": (PARSERS, "test_messages"),
    "trust.authority": (BESIDE, "test_the_keys_and_the_authority_of_the_device"),
    "trust.book": (PARSERS, "test_the_book_of_contacts"),
    "trust.jws": (PARSERS, "test_signed_messages"),
    "trust.keys": (PARSERS, "test_keys"),
    "updating.answering": (
        "../updating/test_answering.py",
        "test_whatever_comes_is_refused_in_a_sentence",
    ),
    "updating.command": ("../updating/test_command.py", "test_what_is_refused_is_a_sentence"),
    "updating.installing": (
        "../updating/test_installing.py",
        "test_a_note_that_makes_no_sense_is_none",
    ),
    "updating.rauc": ("../updating/test_rauc.py", "test_what_is_spoilt_of_what_rauc_says"),
    "updating.slots": ("../updating/test_slots.py", "test_what_makes_no_sense_is_nothing"),
    "updating.wellness": (
        "../updating/test_wellness.py",
        "test_a_doctor_that_makes_no_sense_is_itself_a_trouble",
    ),
    "web.access": (HTTP, "test_requests"),
    "web.guard": (PARSERS, "test_who_asks_the_web_server"),
    "web.players": (HTTP, "test_frames_of_players"),
    "web.sessions": (HTTP, "test_requests"),
    "web.views": (HTTP, "test_frames_of_players"),
}
"""By the module, below `appliance`: where its input is spoilt."""

BY_HAND: dict[str, tuple[str, str]] = {
    "actions": (BESIDE, "test_actions_of_buttons"),
    "calls.moderating": ("test_core.py", "test_commands"),
    "calls.own": ("test_core.py", "test_commands"),
    "calls.tokens": (PARSERS, "test_tokens"),
    "firewall.candidates": (
        "../firewall/test_candidates.py",
        "test_whatever_comes_it_is_taken_whole_or_blocked",
    ),
    "firewall.descriptions": (
        "../firewall/test_descriptions.py",
        "test_any_lines_are_taken_or_blocked_and_read_by_aiortc",
    ),
    "firewall.fingerprints": (
        "../firewall/test_descriptions.py",
        "test_aiortc_can_read_whatever_is_let_through",
    ),
    "loading.extensions": (PARSERS, "test_configurations"),
    "loading.layers": (PARSERS, "test_configurations_from_the_environment"),
    "loading.pins": (PARSERS, "test_configurations"),
    "inviting": ("../test_inviting.py", "test_what_cannot_be_is_refused"),
    "media.agreement": ("test_programs.py", "test_offers_that_are_spoilt"),
    "media.sections": (PARSERS, "test_sections"),
    "media.shelf": (PARSERS, "test_names_of_recordings"),
    "nesting": ("../test_nesting.py", "test_anything_gets_an_answer"),
    "panel.patterns": (PARSERS, "test_configurations"),
    "policy": (PARSERS, "test_configurations"),
    "reporting.shares": (PARSERS, "test_in_whose_name_a_command_comes"),
    "signaling.broker": ("../signaling/test_broker.py", "test_pages_of_elsewhere_are_refused"),
    "signaling.pairing": (
        "../signaling/test_pairing.py",
        "test_an_endpoint_is_told_only_where_it_has_a_name_that_can_be_written_to",
    ),
    "signaling.topics": (PARSERS, "test_topics"),
    "updating.trial": (
        "../updating/test_trial.py",
        "test_why_it_is_left_has_no_password_and_an_end",
    ),
    "updating.versions": ("../updating/test_versions.py", "test_never_both"),
}
"""The same of whoever only splits what others wrote, or matches it."""

OWN_WORDS: dict[str, str] = {
    "broker.house": "the shipped configuration; what the owner types is matched whole",
    "calls.drawing": "a document of the project's",
    "calls.relays": "where a fault of this device's own is",
    "hook_files": "the name of a file that the owner has put there",
    "loading.findings": "the path of a key of the configuration",
    "media.causes": "what libraries and the kernel say of their own errors",
    "media.pcm": "what ALSA says of its own errors",
    "media.sound_cards": "a name of ALSA's as the owner wrote it, looked up and not opened",
    "media.wideband": "numpy's matrices",
    "orphans": "errors of this program's own",
    "owner.command": "this machine's own name",
    "owner.first_start": "a file that it has written itself: test_first_start.py",
    "owner.pressing": "what the owner types",
    "owner.restoring": "names of a backup whose seal was right: test_restoring.py",
    "owner.settings": "keys of the configuration, told from secrets: test_redaction.py",
    "owner.setup": "what the owner types",
    "owner.sheet": "lines of this program's own, to be counted",
    "owner.welcome": "this machine's own name",
    "panel.board": "the name of a button of the configuration",
    "reference.documented": "documents of the project's",
    "reference.elsewhere": "documents of the project's",
    "reference.refusals": "the project's own annotations",
    "reference.spelling": "the project's own docstrings",
    "screen.banner": "words to be set in lines, whoever wrote them: test_banner.py",
    "screen.lettering": "a name to be drawn, whoever gave it: test_lettering.py",
    "screen.symbols": "drawings of this program's own",
    "service.doctor.broker": "the path of a file as the owner wrote it",
    "service.doctor.cameras": "what the kernel says of processes",
    "service.doctor.heat": "what the firmware says, as test_what_the_kernel_says_of_heat spoils it",
    "service.doctor.image": "the doctor's own advice",
    "service.doctor.slots": "what the kernel and RAUC say of their versions",
    "service.journal": "lines of this program's own log",
    "service.systemd": "a sentence of this program's own",
    "socket_path": "folders that systemd names",
    "signaling.subscriptions": "uids that were looked at when they were read",
    "state_directory": "folders that systemd names",
    "web.addresses": "an address as the kernel tells it",
    "web.server": "this machine's own name",
    "web.tls": "this machine's own name",
}
"""Who takes apart what no stranger wrote, and what it is."""

NOTHING_FOREIGN: dict[str, str] = {
    "cli": "the first lines of this program's own docstrings",
    "invitation": "a name made plain: test_names_of_people",
    "media.sending": "reads back a head that aiortc has just packed",
    "media.sounds": "sounds of this package, or that the owner has put there, decoded by PyAV",
    "loading.reading": "what conversion has made of it",
    "owner.dialog": "what the owner types",
    "owner.dropin": "the file that setup itself has written",
    "owner.evidence": "what programs of the system print, to be shown",
    "owner.left": "the contacts that this device itself has written",
    "owner.redaction": "secrets as this device has them; it reads nothing",
    "owner.terminals": "the size of a terminal: a structure of the kernel",
    "pair": "the page's address as the owner typed it",
    "reporting.socket": "who is at the other end: a structure of the kernel, of a fixed size",
    "reference.configuration": "the configuration that is shipped, of which a document is written",
    "relaying": "writes down what this device has worked out",
    "signaling.marks": "a number that this device itself has written",
    "screen.canvas": "a picture of this program's own, in other colours",
    "screen.window": "what SDL says of its own errors",
    "service.doctor.device_files": "structures of the kernel, of a fixed size",
    "service.doctor.endurance": "what the kernel counts, as test_subjects.py has it",
    "service.doctor.machine": "what a process of its own has said, as this program wrote it",
    "video_device": "structures of the kernel, of a fixed size",
    "web.vendor": "what its registry gives is believed by its hash alone, while this package is built",
}
"""Modules that call the same things without reading what others wrote, and what it is."""


@cache
def called() -> dict[str, set[str]]:
    """What each module calls, by its name below the package."""
    names: dict[str, set[str]] = {}
    for file in ROOT.rglob("*.py"):
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        names[module] = set()
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            match node:
                case ast.Call(ast.Attribute(_, name)) | ast.Call(ast.Name(name)):
                    names[module].add(name)
    return names


def calling(some: frozenset[str]) -> set[str]:
    """The modules that call one of these."""
    return {module for module, names in called().items() if names & some}


def test_each_parser_has_its_test() -> None:
    found = calling(PARSING)
    entered = TESTED.keys() | NOTHING_FOREIGN.keys()
    assert not TESTED.keys() & NOTHING_FOREIGN.keys()
    assert sorted(found - entered) == [], "spoil what it reads, and enter it here"
    assert sorted(entered - found) == [], "these parse nothing any more"


def test_who_takes_a_text_apart_is_entered_once() -> None:
    found = calling(SPLITTING)
    entered = [*TESTED, *NOTHING_FOREIGN, *BY_HAND, *OWN_WORDS]
    assert sorted(found - {*entered}) == [], "whose text is it? spoil it, and enter it in BY_HAND"
    assert len({*entered}) == len(entered), "somebody is entered twice"
    assert sorted(OWN_WORDS.keys() - found) == [], "these take nothing apart any more"


def test_who_is_entered_by_hand_is_there_and_not_found_anyhow() -> None:
    for module in BY_HAND:
        assert ROOT.joinpath(*module.split(".")).with_suffix(".py").exists(), module
    assert sorted(BY_HAND.keys() & calling(PARSING)) == [], "these belong to those that are found"


def test_each_test_is_there() -> None:
    here = Path(__file__).parent
    for module, (file, name) in (TESTED | BY_HAND).items():
        defined = {
            node.name
            for node in ast.parse((here / file).read_text("utf-8")).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert name in defined, f"{module} is spoilt by {name} in {file}"
