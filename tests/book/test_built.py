"""What holds for every notebook once ``make book`` has executed it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_shown_numbers_are_recorded(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    prose = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    shown = set(re.findall(r"\{glue:text\}`([^`:]+)", prose))
    record = ROOT / "_build" / "records" / f"{path.stem}.json"
    recorded = {number["name"] for number in json.loads(record.read_text())["numbers"]}
    assert shown <= recorded
