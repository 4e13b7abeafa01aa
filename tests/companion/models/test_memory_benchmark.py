"""The stored peaks of memory keep below their limits."""

import json
from pathlib import Path

PATH = Path(__file__).parents[3] / "benchmarks/results/memory.json"


def test_each_run_stays_below_its_limit():
    rows = json.loads(PATH.read_text(encoding="utf-8"))["rows"]
    assert [row["peak_mb"] for row in rows if row["peak_mb"] >= row["limit_mb"]] == []
    beauty = [row for row in rows if row["data"] == "amazon-beauty"]
    assert {row["model"].partition("(")[0] for row in beauty} == {"ItemKNN", "EASE", "SASRec"}
    sizes = {(row["items"], row["users"], row["ranked"]) for row in beauty}
    assert sizes == {(12_101, 22_363, 22_363)}
    assert max(row["items"] for row in rows) == 1_000_000
