"""What the reference says in between: the paragraphs that stand around its tables."""

from __future__ import annotations

INTRODUCTION = """\
<!-- written by `python -m appliance.reference docs/events.md` from the code; do not edit by hand -->

# Reference: every event, command, setting and value

What happens on the device is an **event**, what one asks of it is a **command**. Both have the same name
and the same data on every outlet: Python, the local socket, MQTT. [interfaces.md](interfaces.md) has the
envelopes and rules around them; coming from elsewhere, begin with [from-cometchat.md](from-cometchat.md),
[from-zegocloud.md](from-zegocloud.md) or [from-callkit.md](from-callkit.md).

[Events](#events) · [Objects](#objects) · [Commands](#commands) · [Settings](#settings) ·
[Decisions](#decisions) · [Enumerations](#enumerations)
"""

EVENTS_BEGIN = """\
## Events

An event reaches Python listeners as `on_<name>(…)` with its data as arguments, in this order; the local
socket (`{"id": 1, "subscribe": ["session_*"]}`) and `appliance events --follow` as one CloudEvent, below;
and MQTT as the same CloudEvent on `<root>/device/<device_id>/event/<family>/<name>`, where `<root>` is
`appliance` unless configured. The examples are its `data`. A value that is not known is null, never
absent; times are RFC 3339 in UTC.
"""

OWN_SETTINGS_BEGIN = """\
`[call]` has these keys besides, which are no part of `start_session`'s `settings`:
"""

COMMANDS_BEGIN = """\
## Commands

In Python `await session.<name>(…)`, which raises `Refused` with a `code` and a sentence; at a shell
`appliance ctl <name> ARG=VALUE …`; on the local socket `{"id": 1, "command": "<name>", "args": {…}}`;
over MQTT to `<root>/device/<device_id>/command/<name>`; from a button `command:<name> ARG=VALUE …`. Any
command may also be refused with `bad_command` (an unknown name or argument, a wrong type), `stopping` or
`overloaded`. Where nothing stands as a result it is null; a result may have a `note` besides, which says
what this device lacks for the command to show.
"""

SETTINGS_BEGIN = """\
## Settings

Of a call: `[call]` in the configuration, and `settings` of `start_session`.
"""

DECISIONS_BEGIN = """\
## Decisions

Two things are not told but asked: methods of a `CallListener` that decide, and whose names have no `on_`.
"""

CONFIGURATION_BEGIN = """\
<!-- written by `python -m appliance.reference docs/configuration.md` from the code; do not edit by hand -->

# Configuration: every table and key

The file is `/etc/appliance/appliance.toml`, in [TOML](https://toml.io/). What is left out keeps its
default. [`config/appliance.toml`](../config/appliance.toml) is the same list as a file to copy from, and
`man appliance.toml` shows it where the package is installed. A door needs little of it:

```toml
[device]
id = "front-door"
name = "Front door"

[contacts.alice]
name = "Alice"
may = ["call", "answer", "unlock"]

[call]
receiver = "user:alice"

[buttons.call]
pin = "GPIO17"
press = "call"
```

* **`appliance check-config`** tells every fault at once, with the nearest name that would be right, and
  warns of what has no effect. A key that is not known is a fault. After a change comes
  `systemctl restart appliance`.
* **Three layers.** Files in `/etc/appliance/conf.d/*.toml` are laid over this one, in the order of their
  names, and the environment over all: `APPLIANCE__MQTT__HOST=broker.example` is `host` of `[mqtt]`.
* **Secrets** never stand in it: a key that ends in `_file` names a file that holds one. Such a name may be
  relative to the file that it stands in, or begin with a variable: `$CREDENTIALS_DIRECTORY/mqtt.password`.
* **`<name>`, `<uid>`, `<id>`** are names that you choose: a-z, 0-9, _ and -.
* **A pin** is written as gpiozero writes it: `17`, `"GPIO17"`, `"BOARD11"`, `"J8:11"`;
  [wiring.md](wiring.md) has drawings.

"""
