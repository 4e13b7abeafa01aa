"""Seconds until a quality: the script's arithmetic, its memory, and what is stored."""

import importlib
import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
PATH = BENCHMARKS / "results/time_to_quality.json"


@pytest.fixture
def script(monkeypatch, tmp_path):
    """Give the script, with results in an empty folder and trainings that are not done."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    module = importlib.import_module("time_to_quality")
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    monkeypatch.setattr(importlib.import_module("measure"), "RESULTS", tmp_path)
    file = SimpleNamespace(name="log.txt", sha256="0")
    monkeypatch.setattr(
        module, "load", lambda _: SimpleNamespace(source=SimpleNamespace(files=[file]))
    )
    module.done = []

    def measured(function, threads, start, model, test, **_):
        module.done.append((start, model.training.seed, test))
        rising = curve([0.02, 0.051, 0.06], pace=10 if start else 20, test=test)
        return SimpleNamespace(result=rising, peak_bytes=0)

    def run_peer(who, python, threads, limit):
        module.done.append((who, python, limit))
        return {"curve": curve([0.01, 0.03, 0.055, 0.052], pace=100, test=True), "versions": {}}

    monkeypatch.setattr(module, "measured", measured)
    monkeypatch.setattr(module, "run_peer", run_peer)
    return module


@pytest.fixture
def peer(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("time_to_quality_peer")


def curve(values, pace, *, test):
    rows = [
        {"epoch": i, "seconds": i * pace, "cpu_seconds": 2 * i * pace, "validation": value}
        for i, value in enumerate(values, start=1)
    ]
    return [row | {"test": row["validation"] * 0.8} for row in rows] if test else rows


def test_a_level_is_reached_at_the_end_of_the_first_epoch_as_good(script):
    rows = curve([0.01, 0.03, 0.02, 0.04], pace=5, test=True)
    assert [script.reached(rows, level) for level in (0.01, 0.02, 0.03, 0.035, 0.05)] == [
        *(0, 1, 1, 3),
        None,
    ]
    assert script.until(rows, 0.03, "seconds") == 10
    assert script.until(rows, 0.03, "cpu_seconds") == 20
    assert script.until(rows, 0.05, "seconds") is None
    assert script.reached(rows, 0.03, by="test") == 3


def test_the_fastest_to_the_level_is_chosen_not_the_best_in_the_end(script):
    slow = {"curve": curve([0.04, 0.09], pace=10, test=False)}
    fast = {"curve": curve([0.05, 0.051], pace=10, test=False)}
    never = {"curve": curve([0.01], pace=1, test=False)}
    assert script.fastest([never, slow, fast]) is fast
    with pytest.raises(ValueError, match="none of 1 settings reaches"):
        script.fastest([never])


def test_ratios_are_of_levels_that_both_reach(script):
    ours = {"who": "ours", "curve": curve([0.02, 0.041, 0.06], pace=10, test=True)}
    peer = {
        "who": "peer",
        "threads": 2,
        "curve": curve([0.01, 0.03, 0.045, 0.044], pace=100, test=True),
    }
    rows = script.ratios(ours, peer)
    assert [row["validation"] for row in rows] == [0.01, 0.02, 0.03, 0.04, 0.045]
    assert [row["seconds"] for row in rows] == [10, 10, 20, 20, 30]
    assert [row["peer_seconds"] for row in rows] == [100, 200, 200, 300, 300]
    assert [row["seconds_ratio"] for row in rows] == [10, 20, 10, 15, 10]
    assert [row["cpu_seconds"] for row in rows] == [20, 20, 40, 40, 60]
    assert script.ratios({"curve": curve([0.001], 1, test=True)}, peer) == []


def run(script, monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["time_to_quality.py", *arguments])
    script.done.clear()
    script.main()
    return list(script.done)


def test_each_run_is_done_once_and_test_targets_choose_nothing(script, monkeypatch, capsys):
    first = run(script, monkeypatch, "--seeds", "2", "--recbole", "/envs/python")
    tried = [(start, 0, False) for start, _ in script.CANDIDATES]
    assert first[: len(tried)] == tried
    long = [(start, 0, True) for start, _ in script.LONG.values()]
    assert first[len(tried) :] == [
        *((True, 0, True), (True, 1, True)),
        *long,
        ("recbole", "/envs/python", 1500),
    ]
    said = capsys.readouterr().out
    assert "ours, seed 0: test 0.0318 after 20 s (40 CPU s; goal 90 s)" in said
    assert "recbole 300 s, 15.0 times (CPU 15.0 times)" in said
    assert run(script, monkeypatch, "--seeds", "2", "--recbole", "/envs/python") == []
    assert run(script, monkeypatch, "--seeds", "3") == [(True, 2, True)]
    again = run(script, monkeypatch, "--only", "recbole", "--recbole", "/envs/python", "--again")
    assert again == [("recbole", "/envs/python", 1500)]
    stored = json.loads((script.RESULTS / "time_to_quality.json").read_text(encoding="utf-8"))
    assert len(stored["tried"]) == len(tried)
    assert len(stored["rows"]) == 6
    assert not any("test" in point for row in stored["tried"] for point in row["curve"])
    assert all(len(row["load"]) == 2 for row in stored["rows"])
    assert run(script, monkeypatch, "--only", "recbole", "--recbole", "x", "--threads", "1") != []
    assert len(script.Results().ratios()) == len(stored["ratios"])  # none of one thread of ours


def test_two_processes_may_store_beside_each_other(script):
    one, two = script.Results(), script.Results()
    model = script.sasrec(3)
    one.ours("ours", True, model, 2, test=True)
    two.peer("recbole", "python", 2, 10)
    assert [row["who"] for row in script.Results().rows] == ["ours", "recbole"]


# --- the child process -----------------------------------------------------------------------

LOG = {
    "items": np.array([5, 1, 2, 3, 0, 4, 6, 2], dtype=np.int32),
    "offsets": np.array([0, 4, 8]),
    "n_items": 7,
}


def test_peer_ndcg_is_that_of_one_target(peer):
    found = np.array([[3, 4, 5], [4, 3, 5], [5, 4, 3], [1, 2, 4]])
    expected = np.mean([1, 1 / math.log2(3), 1 / 2, 0])
    assert peer.ndcg(found, np.full(4, 3)) == pytest.approx(expected)


def test_peer_leaves_out_the_last_items(peer):
    assert [h.tolist() for h in peer.histories_of(LOG, 2)] == [[5, 1], [0, 4]]
    assert [h.tolist() for h in peer.histories_of(LOG, 1)] == [[5, 1, 2], [0, 4, 6]]
    users, items, positions = peer.table_of(LOG, 1)
    assert users.tolist() == [0, 0, 0, 1, 1, 1]
    assert items.tolist() == [5, 1, 2, 0, 4, 6]
    assert positions.tolist() == [0, 1, 2, 0, 1, 2]


def train(peer, monkeypatch, tmp_path, ranks, limit=1e9, patience=2):
    """Train a library that ranks the target of validation, then of test, as it is told."""

    def library(log, seed, folder):
        for rank in ranks:

            def recommend(histories, rank=rank):
                assert len(histories) == 1  # one row at a time
                (history,) = histories
                row = next(i for i in (0, 1) if log["items"][log["offsets"][i]] == history[0])
                target = log["items"][log["offsets"][row] + len(history)]
                return np.where(np.arange(peer.K) == rank, target, -1)[None]

            yield 10.0, 15.0, recommend

    monkeypatch.setitem(peer.PEERS, "numpy", library)
    monkeypatch.setitem(peer.AT_ONCE, "numpy", 1)
    monkeypatch.setitem(peer.SETTINGS, "numpy", {"width": 64})
    monkeypatch.setattr(peer.importlib.metadata, "version", lambda name: "1.0")
    peer.train("numpy", LOG, tmp_path / "curve.jsonl", 0, limit, patience)
    lines = (tmp_path / "curve.jsonl").read_text(encoding="ascii").splitlines()
    return [json.loads(line) for line in lines]


def test_peer_writes_a_line_an_epoch_and_stops_when_validation_no_longer_rises(
    peer, monkeypatch, tmp_path
):
    about, *rows = train(peer, monkeypatch, tmp_path, [2, 0, 1, 1, 0])
    assert about["settings"] == {"width": 64}
    assert about["versions"]["torch"] == "1.0"
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]  # two epochs after the best
    assert [row["seconds"] for row in rows] == [10, 20, 30, 40]
    assert [row["cpu_seconds"] for row in rows] == [15, 30, 45, 60]
    expected = [round(1 / math.log2(rank + 2), 5) for rank in (2, 0, 1, 1)]
    assert [row["validation"] for row in rows] == [row["test"] for row in rows] == expected


def test_peer_begins_no_epoch_that_would_end_too_late(peer, monkeypatch, tmp_path):
    _, *rows = train(peer, monkeypatch, tmp_path, [5, 4, 3, 2, 1, 0], limit=35)
    assert [row["seconds"] for row in rows] == [10, 20, 30]


# --- what is stored --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored():
    return json.loads(PATH.read_text(encoding="utf-8"))


def test_the_fastest_that_was_tried_is_what_was_tested(stored, script):
    ours = [row for row in stored["rows"] if row["who"] == "ours"]
    assert {row["seed"] for row in ours} == {0, 1, 2}
    for row in ours:
        tried = [one for one in stored["tried"] if one["threads"] == row["threads"]]
        assert len(tried) == len(script.CANDIDATES)
        chosen = script.fastest(tried)
        assert row["start"] == chosen["start"]
        assert row["settings"].replace(f"seed={row['seed']}", "seed=0") == chosen["settings"]
    assert not any("test" in point for row in stored["tried"] for point in row["curve"])


def test_the_goals_are_reached_in_time(stored, script):
    for row in stored["rows"]:
        if row["who"] == "ours":
            for goal in stored["goals"]:
                place = script.reached(row["curve"], goal["test"], by="test")
                # processor seconds: fair on a machine where others are at work
                assert row["curve"][place]["cpu_seconds"] < goal["seconds"]


def test_ratios_are_those_of_the_stored_curves(stored, script):
    found = []
    for peer in (row for row in stored["rows"] if "limit" in row):
        for ours in stored["rows"]:
            if (ours["who"], ours["seed"], ours["threads"]) == ("ours", 0, peer["threads"]):
                found += script.ratios(ours, peer)
    assert stored["ratios"] == found
