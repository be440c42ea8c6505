"""`appliance report`: one file for whoever is to help, with what is wrong and without what is secret."""

from __future__ import annotations

import io
import json
import sys
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.loading.findings import Check
from appliance.owner import evidence, settings
from appliance.owner.places import Places
from appliance.owner.redaction import Redaction
from appliance.whole_file import write_whole

LONGEST = 2_000_000
"""Characters of one part; of a longer one the end is kept, where the latest stands."""

README = """\
A report of an appliance, for whoever helps its owner. Look through it before you give it away.

What is in it: doctor.txt, what `appliance doctor` finds; status.json, what the running appliance says of
itself; configuration.json, what is set and by which file; calls.json, how many calls of which kind there
were; versions.txt; units.txt; journal.txt and journal-kept.txt, the log of the appliance's units and the
warnings of former starts; kernel.txt, the kernel's messages; machine.txt, load, memory, pressure,
temperatures, throttling; storage.txt, how full the disks are and how much of it is the appliance's.

What was taken out, wherever it stood: passwords, secrets and private keys (***), keys and thumbprints but
for their first six characters, invitations, names and uids of people (person-1, the same one throughout),
canned messages, mail addresses, public addresses of the internet, the second half of hardware addresses,
comments of the configuration, what stands behind a key that it does not know, and the rest of lines beyond
8000 characters.

What was left in: the id and the name of the device, the machine's name, users and paths of it, addresses
within the house, names of servers (broker, STUN, TURN), names of buttons, LEDs, relays, cameras and sound
devices, ids of calls and when something happened, and what other programs have told the kernel. Call log,
pictures, recordings and contacts are not in it.
"""


def report(places: Places, checks: Sequence[Check], to: Path | None) -> int:
    """Write the bundle to `to`, by default beside whoever asks; the exit status. Raises ApplianceError."""
    name = f"appliance-report-{time.strftime('%Y-%m-%dT%H-%M-%S')}"
    file = to or Path(f"{name}.tar.gz")
    if not file.parent.is_dir():
        raise ApplianceError(f"there is no folder {file.parent}")
    redaction = Redaction(settings.secrets(places), settings.people(places), settings.WORDS)
    data = bundle(name, collected(evidence.parts(places, checks)), redaction)
    try:
        write_whole(file, data)
    except OSError as error:
        raise ApplianceError(f"{file} cannot be written: {error.strerror}") from None
    sys.stdout.write(
        f"{file} ({len(data) // 1024 + 1} KiB): without passwords, keys and people's names. README.txt in"
        " it says what\nwas left in; look through it before you give it away: "
        f"tar -xOzf {file} | less\n"
    )
    return 0


def collected(
    parts: Mapping[str, Callable[[], evidence.Part]],
) -> dict[str, evidence.Part]:
    """Each part, or in its place why it could not be had: what is broken is what is asked about."""
    found: dict[str, evidence.Part] = {}
    for name, make in parts.items():
        try:
            found[name] = make()
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            found[name] = {"could_not_be_had": why} if name.endswith(".json") else f"({why})"
    return found


def bundle(name: str, parts: Mapping[str, evidence.Part], redaction: Redaction) -> bytes:
    """All parts as a tar.gz; nothing gets into it but through the redaction."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        _add(archive, f"{name}/README.txt", README)
        for file, part in parts.items():
            _add(archive, f"{name}/{file}", _text(part, redaction))
    return packed.getvalue()


def _text(part: evidence.Part, redaction: Redaction) -> str:
    if isinstance(part, str):
        return redaction.text(part[-LONGEST:])
    # a number may be a secret too, and no text is looked through for names that are JSON's own words
    shown = json.dumps(redaction.document(part), indent=1, ensure_ascii=False, default=str)
    return redaction.secrets(shown[-LONGEST:])


def _add(archive: tarfile.TarFile, name: str, text: str) -> None:
    data = text.encode("utf-8", "replace")
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = len(data), int(time.time()), 0o600
    archive.addfile(member, io.BytesIO(data))
