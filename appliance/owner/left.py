"""What a device that is set up still has not, for a phone to ring: in a sentence, with the commands.

`appliance setup` asks for what is wired, since that is what is here to be tried. A broker, a page and a
first phone are others' affairs as well (names, certificates, who looks after the house): docs/install.md
has them in order; but whoever ends setup is to know that they are missing.
"""

from __future__ import annotations

import tomllib

from appliance.config import Config
from appliance.owner.places import Places
from appliance.trust import book

BROKER = (
    "a broker that phones reach (sudo appliance broker new --host <this device's name>.local, or the"
    " house's, and [mqtt] websocket_url)"
)
PAGE = "a page that they open ([http] host and a certificate)"
FIRST = "a first phone (sudo appliance pair NAME)"
HERE = ("127.", "localhost", "::1", "[::1]")


def left(config: Config, places: Places) -> str | None:
    """The sentence; None: nothing is."""
    missing = [
        one
        for one, is_there in (
            (BROKER, config.mqtt.websocket_url is not None),
            (PAGE, not config.http.host.startswith(HERE)),
            (FIRST, _somebody_is_paired(config, places)),
        )
        if not is_there
    ]
    if not missing:
        return None
    what = "; ".join(missing)
    return f"For phones to ring there is still to come: {what}. The order is in docs/install.md."


def _somebody_is_paired(config: Config, places: Places) -> bool:
    if any(contact.keys for contact in config.contacts.values()):
        return True
    try:
        known = tomllib.loads((places.state / book.FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return False  # none yet, or not for this user to read; the doctor tells what is broken
    contacts = known.get("contacts")
    if not isinstance(contacts, dict):
        return False
    return any(isinstance(one, dict) and one.get("keys") for one in contacts.values())
