"""The picture of the docs is what the screen looks like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.screen.gallery import main, sheet

DOCS = Path(__file__).parents[2] / "docs"


def test_the_picture_of_the_docs_is_made_by_its_command() -> None:
    with Image.open(DOCS / "screen.png") as image:
        shown = np.asarray(image.convert("RGB")).astype(int)
    made = np.asarray(sheet()).astype(int)
    assert shown.shape == made.shape
    # other releases of the font's renderer, or another font for Chinese, move edges and little else
    assert np.abs(shown - made).mean() < 1, "python -m tests.screen.gallery docs/screen.png"


def test_what_it_is_asked_for_wrongly_it_explains(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"docs/screen\.png"):
        main([])
    main([str(tmp_path / "sheet.png")])
    assert (tmp_path / "sheet.png").stat().st_size > 1000
