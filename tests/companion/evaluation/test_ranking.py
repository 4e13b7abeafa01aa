"""Ranking metrics against hand-computed cases, brute force and two other libraries."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import ndcg_score

from behaviorseq.evaluation import ranking_metrics

NAMES = ["HR", "Recall", "Precision", "NDCG", "MRR", "MAP"]


def one(scores: list[float], relevant: list[int], metric: str) -> float:
    return float(
        ranking_metrics(np.array([scores], dtype=np.float32), [relevant], [metric])[metric][0]
    )


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("HR@1", 0.0),
        ("HR@2", 1.0),
        ("Recall@2", 1 / 2),
        ("Recall@4", 1.0),
        ("Precision@2", 1 / 2),
        ("MRR@4", 1 / 2),
        ("MRR@1", 0.0),
        ("MAP@4", (1 / 2 + 2 / 4) / 2),
        ("MAP@2", (1 / 2) / 2),
        ("NDCG@4", (1 / np.log2(3) + 1 / np.log2(5)) / (1 + 1 / np.log2(3))),
        ("NDCG@2", (1 / np.log2(3)) / (1 + 1 / np.log2(3))),
    ],
)
def test_hand_computed(metric: str, expected: float) -> None:
    assert one([0.9, 0.7, 0.5, 0.4, 0.1], [1, 3], metric) == pytest.approx(expected)


def test_ties_by_hand() -> None:
    # Items 1 and 2 tie for places 2 and 3; item 2 is relevant.
    scores = [0.9, 0.5, 0.5, 0.1]
    assert one(scores, [2], "HR@2") == pytest.approx(0.5)
    assert one(scores, [2], "MRR@4") == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert one(scores, [2], "NDCG@3") == pytest.approx((1 / np.log2(3) + 1 / np.log2(4)) / 2)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_a_constant_score_is_worth_chance(k: int) -> None:
    assert one([0.0] * 10, [4], f"HR@{k}") == pytest.approx(k / 10)


def test_never_recommended_is_missed_however_many_tie() -> None:
    assert one([-np.inf, -np.inf, 1.0], [0], "HR@3") == 0
    assert one([-np.inf, 2.0, 1.0], [0, 1], "Recall@3") == pytest.approx(0.5)


def test_unknown_metrics_are_refused() -> None:
    for bad in ("AUC@10", "HR", "HR@0", "NDCG@x"):
        with pytest.raises(ValueError, match="unknown metric"):
            one([1.0], [0], bad)


def orders(scores: np.ndarray) -> list[list[int]]:
    """Return every ranking that agrees with the scores."""
    groups = [np.flatnonzero(scores == v).tolist() for v in np.unique(scores)[::-1]]
    return [
        list(itertools.chain(*parts))
        for parts in itertools.product(*(itertools.permutations(g) for g in groups))
    ]


def random_cases(n: int) -> list[tuple[np.ndarray, list[int], int]]:
    """Return scores with ties, relevant items and k."""
    rng = np.random.default_rng(0)
    cases = []
    for _ in range(n):
        size = int(rng.integers(2, 7))
        scores = rng.integers(0, 3, size).astype(np.float32)
        relevant = rng.permutation(size)[: rng.integers(1, size + 1)].tolist()
        cases.append((scores, relevant, int(rng.integers(1, size + 2))))
    return cases


CASES = random_cases(1000)


def mine(metric: str) -> np.ndarray:
    return np.array(
        [ranking_metrics(s[None], [r], [f"{metric}@{k}"])[f"{metric}@{k}"][0] for s, r, k in CASES]
    )


def library_runs() -> tuple[list[int], dict[str, dict[str, int]], dict[str, dict[str, float]]]:
    """Return all strict orders of all cases as relevance and score dictionaries."""
    case, qrels, run = [], {}, {}
    for number, (scores, relevant, _) in enumerate(CASES):
        for order in orders(scores):
            query = f"q{len(case)}"
            case.append(number)
            qrels[query] = {str(i): 1 for i in relevant}
            run[query] = {str(i): float(len(order) - place) for place, i in enumerate(order)}
    return case, qrels, run


def average_by_case(case: list[int], values: np.ndarray) -> np.ndarray:
    return np.bincount(case, weights=values) / np.bincount(case)


def test_equals_pytrec_eval_on_a_thousand_cases() -> None:
    pytrec_eval = pytest.importorskip("pytrec_eval", reason="no wheel for this platform")
    case, qrels, run = library_runs()
    theirs = {
        "Recall": "recall",
        "Precision": "P",
        "NDCG": "ndcg_cut",
        "MAP": "map_cut",
        "HR": "success",
    }
    ks = sorted({k for _, _, k in CASES})
    measures = {f"{name}.{','.join(map(str, ks))}" for name in theirs.values()}
    results = pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(run)
    for metric, name in theirs.items():
        values = np.array([results[f"q{q}"][f"{name}_{CASES[c][2]}"] for q, c in enumerate(case)])
        expected = average_by_case(case, values)
        if metric == "MAP":  # trec divides by the number of relevant items
            expected *= [len(r) / min(k, len(r)) for _, r, k in CASES]
        np.testing.assert_allclose(mine(metric), expected, atol=1e-6, err_msg=metric)


RANX = """
import json, sys
import numpy as np
from numba.typed import List
from ranx import metrics
relevance, runs, ks = json.load(sys.stdin)
names = {"HR": "hit_rate", "Recall": "recall", "Precision": "precision", "NDCG": "ndcg",
         "MRR": "reciprocal_rank", "MAP": "average_precision"}
out = {}
rest = lambda metric: (False,) if metric == "NDCG" else ()
for metric, name in names.items():
    module = __import__(f"ranx.metrics.{name}", fromlist=["x"])
    function = getattr(module, f"_{name}")
    out[metric] = [
        float(function(np.array(q, float), np.array(r, float), k, 1, *rest(metric)))
        for q, r, k in zip(relevance, runs, ks)
    ]
json.dump(out, sys.stdout)
"""


def test_equals_ranx_on_a_thousand_cases() -> None:
    import json
    import os

    case, qrels, run = library_runs()
    relevance = [[[int(i), 1] for i in sorted(q, key=int)] for q in qrels.values()]
    rankings = [[[int(i), s] for i, s in r.items()] for r in run.values()]
    out = subprocess.run(
        [sys.executable, "-c", RANX],
        input=json.dumps([relevance, rankings, [CASES[c][2] for c in case]]),
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},  # compiling takes longer than the cases
        capture_output=True,
        text=True,
        check=False,
    )
    assert out.returncode == 0, out.stderr[-2000:]
    for metric, values in json.loads(out.stdout).items():
        expected = average_by_case(case, np.array(values))
        if metric == "MAP":
            expected *= [len(r) / min(k, len(r)) for _, r, k in CASES]
        np.testing.assert_allclose(mine(metric), expected, atol=1e-6, err_msg=metric)


def test_ndcg_equals_scikit_learn_which_averages_ties_too() -> None:
    for scores, relevant, k in CASES[:300]:
        truth = np.zeros((1, len(scores)))
        truth[0, relevant] = 1
        assert one(scores.tolist(), relevant, f"NDCG@{k}") == pytest.approx(
            ndcg_score(truth, scores[None], k=k)
        )


SCORES = arrays(np.float32, (3, 6), elements=st.integers(-3, 3).map(np.float32))
RELEVANT = st.lists(st.sets(st.integers(0, 5), min_size=1), min_size=3, max_size=3)


@given(SCORES, RELEVANT, st.integers(1, 8))
def test_laws(scores: np.ndarray, relevant: list[set[int]], k: int) -> None:
    lists = [sorted(r) for r in relevant]
    at_k, above = [f"{m}@{k}" for m in NAMES], [f"{m}@{k + 1}" for m in ("HR", "Recall", "MRR")]
    values = ranking_metrics(scores, lists, [*at_k, *above])
    for metric in (*at_k, *above):
        assert ((values[metric] >= -1e-12) & (values[metric] <= 1 + 1e-12)).all(), metric
    for metric in ("HR", "Recall", "MRR"):
        assert (values[f"{metric}@{k}"] <= values[f"{metric}@{k + 1}"] + 1e-12).all()
    order = np.random.default_rng(0).permutation(6)
    moved = ranking_metrics(
        np.exp(scores)[:, order], [np.flatnonzero(np.isin(order, r)).tolist() for r in lists], at_k
    )
    for metric in at_k:
        np.testing.assert_allclose(moved[metric], values[metric], atol=1e-12)


@given(RELEVANT, st.integers(1, 6))
def test_a_perfect_ranking_has_one(relevant: list[set[int]], k: int) -> None:
    scores = np.random.default_rng(0).random((3, 6), dtype=np.float32)
    for row, items in enumerate(relevant):
        scores[row, list(items)] += 2
    values = ranking_metrics(scores, [sorted(r) for r in relevant], [f"{m}@{k}" for m in NAMES])
    for metric in ("HR", "NDCG", "MRR", "MAP"):
        np.testing.assert_allclose(values[f"{metric}@{k}"], 1)
    np.testing.assert_allclose(values[f"Recall@{k}"], [min(k, len(r)) / len(r) for r in relevant])


def test_results_do_not_depend_on_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.random.default_rng(1).integers(0, 9, (50, 40)).astype(np.float32)
    relevant = [[row % 40, (row + 7) % 40] for row in range(50)]
    whole = ranking_metrics(scores, relevant, ["NDCG@5"])["NDCG@5"]
    one_by_one = [
        ranking_metrics(scores[[i]], [relevant[i]], ["NDCG@5"])["NDCG@5"][0] for i in range(50)
    ]
    np.testing.assert_array_equal(whole, one_by_one)
