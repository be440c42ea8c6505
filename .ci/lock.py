"""Prints pip's installation report as constraints: `name==version`, a line each."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

report = json.loads(Path(sys.argv[1]).read_text())
pins = {
    re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower(): item["metadata"]["version"]
    for item in report["install"]
}
pins.pop("appliance")
sys.stdout.writelines(f"{name}=={version}\n" for name, version in sorted(pins.items()))
