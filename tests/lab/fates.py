"""At which instants power is lost: others each day, the same ones whoever plays it again that day."""

from __future__ import annotations

import logging
import os
import random
from datetime import UTC, datetime

logger = logging.getLogger(__name__)


def dice() -> random.Random:
    """Begun with `SEED=`, or with the day, which is told: what fails is looked at again as it was."""
    seed = int(os.environ.get("SEED") or datetime.now(UTC).date().toordinal())
    logger.warning("SEED=%d", seed)  # pytest shows it where it fails
    return random.Random(seed)
