"""Intervals and tests: do they hold what they promise, and what do they refuse."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from behaviorseq.evaluation import (
    Evaluation,
    bootstrap_interval,
    compare,
    paired_test,
    significance,
)
from behaviorseq.evaluation.significance import _holm


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    # Hits of 200 users with a true rate of .2: of 400 such logs about 95% hold it. The count is
    # binomial; a rate of .90 or of .99 would fall outside of these bounds.
    rng = np.random.default_rng(3)
    held = 0
    for log in range(400):
        hits = rng.random(200) < 0.2
        _, low, high = bootstrap_interval(hits, n_bootstrap=400, seed=log)
        held += low <= 0.2 <= high
    assert 0.915 < held / 400 < 0.975


def test_the_interval_is_that_of_scipy() -> None:
    values = np.random.default_rng(4).gamma(1.0, size=300)
    ours = bootstrap_interval(values, n_bootstrap=20_000)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=1)
    assert ours.value == pytest.approx(values.mean())
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.005)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.005)


def test_a_higher_level_is_wider() -> None:
    values = np.random.default_rng(5).random(100)
    narrow, wide = (bootstrap_interval(values, level=level) for level in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


@settings(max_examples=50)
@given(arrays(np.float64, st.integers(1, 30), elements=st.floats(0, 1)), st.integers(0, 99))
def test_an_interval_stays_among_the_values(values: np.ndarray, seed: int) -> None:
    value, low, high = bootstrap_interval(values, n_bootstrap=50, seed=seed)
    slack = 1e-12
    assert values.min() - slack <= low <= high <= values.max() + slack
    assert values.min() - slack <= value <= values.max() + slack


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values, other = np.random.default_rng(6).random((2, 50))
    whole = bootstrap_interval(values), paired_test(values, other)
    monkeypatch.setattr(significance, "_BLOCK", 50 * 7)
    assert (bootstrap_interval(values), paired_test(values, other)) == whole


def test_equal_models_are_rarely_found_different() -> None:
    # Where nothing differs p-values are uniform: 5% of them below .05.
    rng = np.random.default_rng(7)
    p = [
        paired_test(*rng.random((2, 60)), n_resamples=300, seed=trial).p_value
        for trial in range(400)
    ]
    assert 0.025 < np.mean(np.array(p) < 0.05) < 0.08
    assert stats.kstest(p, "uniform").pvalue > 0.001


def test_the_p_value_is_exact() -> None:
    # All sign flips of eight differences, counted one by one.
    difference = np.array([0.5, -0.1, 0.3, 0.2, 0.4, -0.2, 0.1, 0.6])
    flips = np.array(list(itertools.product([-1, 1], repeat=8))) * difference
    exact = (np.abs(flips.mean(axis=1)) >= difference.mean() - 1e-12).mean()
    ours = paired_test(difference, np.zeros(8), n_resamples=40_000)
    assert ours.p_value == pytest.approx(exact, abs=0.004)


def test_swapping_the_models_changes_the_sign_alone() -> None:
    first, second = np.random.default_rng(8).random((2, 80))
    one, other = paired_test(first, second), paired_test(second, first)
    assert one.difference == -other.difference
    assert one.p_value == other.p_value
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


def test_the_same_values_do_not_differ() -> None:
    values = np.random.default_rng(9).random(40)
    test = paired_test(values, values)
    assert (test.difference, test.low, test.high, test.p_value) == (0, 0, 0, 1)


def test_pairs_find_what_averages_hide() -> None:
    # Users differ much, the two models by a little for every one.
    users = np.random.default_rng(10).random(100)
    test = paired_test(users + 0.01, users)
    assert test.p_value < 0.01
    assert test.low == pytest.approx(0.01)
    assert bootstrap_interval(users + 0.01).low < bootstrap_interval(users).high


@pytest.mark.parametrize(
    ("values", "message"),
    [([], "one value a user"), ([[1.0, 2.0]], "one value a user"), ([1, np.nan], "1 of 2 values")],
)
def test_bad_values(values: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(values)
    with pytest.raises(ValueError, match=message):
        paired_test(values, values)


@pytest.mark.parametrize("level", [0, 1, 95, -0.5])
def test_bad_level(level: float) -> None:
    with pytest.raises(ValueError, match="level must lie between 0 and 1"):
        bootstrap_interval([1, 2], level=level)


def test_different_numbers_of_users() -> None:
    with pytest.raises(ValueError, match="got 2 and 3 values"):
        paired_test([1, 2], [1, 2, 3])


def evaluation(values: list[float], users: list[int] | None = None) -> Evaluation:
    return Evaluation(pd.DataFrame({"HR@10": values}, index=users or range(len(values))))


def test_compare_by_hand() -> None:
    rng = np.random.default_rng(11)
    base = rng.random(50)
    better, same = base + 0.1, base + rng.normal(0, 0.01, 50)
    table = compare(
        {name: evaluation(v) for name, v in [("b", base), ("better", better), ("same", same)]},
        "HR@10",
        baseline="b",
    )
    assert list(table.index) == ["better", "same"]
    assert table.loc["better", "difference"] == pytest.approx(0.1)
    tests = [paired_test(better, base), paired_test(same, base)]
    assert table["p_value"].tolist() == pytest.approx(
        [2 * tests[0].p_value, max(2 * tests[0].p_value, tests[1].p_value)]
    )


def test_compare_refuses_other_users() -> None:
    with pytest.raises(ValueError, match="'a' and 'b' were evaluated on different users"):
        compare({"b": evaluation([1, 0]), "a": evaluation([1, 0], [5, 6])}, "HR@10", baseline="b")


def test_compare_needs_its_baseline() -> None:
    with pytest.raises(ValueError, match=r"no evaluation is named 'c'; there are \['b'\]"):
        compare({"b": evaluation([1, 0])}, "HR@10", baseline="c")


def test_holm_by_hand() -> None:
    # Sorted .01, .03, .04 times 3, 2, 1: .03, .06, .04, which must not fall: .03, .06, .06.
    assert _holm(np.array([0.04, 0.01, 0.03])).tolist() == pytest.approx([0.06, 0.03, 0.06])
    assert _holm(np.array([0.9, 0.8])).tolist() == [1, 1]


@settings(max_examples=50)
@given(arrays(np.float64, st.integers(1, 12), elements=st.floats(0, 1)))
def test_holm_lies_between_the_plain_and_bonferroni(p: np.ndarray) -> None:
    corrected = _holm(p)
    assert (corrected >= p).all()
    assert (corrected <= np.minimum(p * len(p), 1) + 1e-12).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(corrected[order]) >= 0).all()
