"""Finishes appliance(1), which argparse-manpage wrote, and writes appliance.toml(5).

`manual.py PAGE CONFIGURATION FOLDER`. The second comes from the comments of the documented configuration,
read as docs/configuration.md reads them: a `[table]` is a heading with what stands above it, a key is a term
with the comment behind and below it. docutils makes a page of that. It is run with `python3 -P`, as
appliance.py beside it is not the package, and with the project's folder on PYTHONPATH.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from docutils.core import publish_string

from appliance.reference.documented import Part, parts

NAME = "appliance \\- doorbell and intercom with video calls"
BEHIND = """.SH FILES
.TP
.I /etc/appliance/appliance.toml
the configuration; what it may hold is in
.BR appliance.toml (5)
.TP
.I /etc/appliance/hooks.d
programs that are started for events
.TP
.I /etc/credstore
secrets, for the service alone
.TP
.I /var/lib/appliance
what it keeps: keys, contacts, the call log, recordings
.TP
.I /usr/share/appliance
drop\\-ins for the service, and files for a device that is to live for years
.SH SEE ALSO
.BR appliance.toml (5),
.BR systemd.service (5)
"""
FRONT = r"""==============
appliance.toml
==============

-----------------------------
configuration of an appliance
-----------------------------

:Manual section: 5
:Manual group: File formats

DESCRIPTION
===========

The file is TOML. A key that is not known is a fault, and all faults are told at once::

    appliance check-config

Below each table stand its keys, most with their default. Where there is none, an example stands there and says so.

"""
NOTHING = "\\ "


def document(found: list[Part]) -> str:
    """As reStructuredText: what stands above a table belongs to it."""
    out, waiting = [FRONT], ""
    seen: set[str] = set()
    for part in found:
        if part.kind == "prose":
            waiting = f"{waiting}\n\n{escaped(part.text)}" if waiting else escaped(part.text)
        elif part.kind == "gap" and waiting and not seen:
            out.append(f"{waiting}\n\n")  # of the file as a whole
            waiting = ""
        elif part.kind == "table":
            heading = part.title
            if not seen:
                out.append("TABLES AND KEYS\n===============\n\n")
            out.append(f"{heading}\n{'-' * len(heading)}\n\n" if heading not in seen else "")
            seen.add(heading)
            out.append("".join(f"{each}\n\n" for each in (waiting, escaped(part.text)) if each))
            waiting = ""
        elif part.kind == "key":
            out.append(f"{waiting}\n\n" if waiting else "")
            waiting = ""
            note = "" if part.default else "  (an example)"
            out.append(f"``{part.title}``{note}\n    {escaped(part.text) or NOTHING}\n\n")
    out.append(f"{waiting}\n\n" if waiting else "")
    out.append("SEE ALSO\n========\n\n**appliance**\\(1)\n")
    return "".join(out)


def escaped(text: str) -> str:
    """Words that mean nothing to reStructuredText."""
    return re.sub(r"([\\*`|_<\[\]])", r"\\\1", text)


def main(page: Path, configuration: Path, folder: Path) -> None:
    """Both pages."""
    text = page.read_text()
    text = re.sub(r"(?m)(?<=^\.SH NAME\n).*$", lambda _: NAME, text, count=1)
    page.write_text(text.rstrip("\n") + "\n" + BEHIND)
    source = document(parts(configuration.read_text().splitlines()))
    settings = {"report_level": 2, "halt_level": 2, "output_encoding": "unicode"}
    (folder / "appliance.toml.5").write_text(
        publish_string(source, writer_name="manpage", settings_overrides=settings)
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
