#!/opt/appliance/bin/python3
"""The command line, as pip would make it."""

import sys

from appliance.cli import main

sys.exit(main())
