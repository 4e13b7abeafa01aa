"""The shape of a log: tiny logs by hand, draws from known distributions, and known processes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from behaviorseq.shape import FUNNEL, LEAST_TAIL, fit_power_law, log_shape

START = np.datetime64("2024-05-01T00:00:00", "s")
MINUTES = [0, 10, 10, 39, 70, 100, 0, 31, 2000, 5]  # of the events of the tiny log
TINY = pd.DataFrame(
    {
        "user": ["ann"] * 6 + ["bob"] * 3 + ["cid"],
        "item": ["a", "b", "a", "a", "a", "c", "a", "a", "b", "d"],
        "time": START + np.array(MINUTES).astype("m8[m]"),
        "behavior": [
            *["view", "view", "purchase", "cart", "purchase", "view"],
            *["view", "cart"],
            *["purchase", "view"],
        ],
    }
)


def test_tiny_log_by_hand() -> None:
    shape = log_shape(TINY.sample(frac=1, random_state=0))
    expected = {
        "events": 10,
        "users": 3,
        "items": 4,
        "history 10%": 1.4,  # of 1, 3 and 6
        "history 50%": 3,
        "history 90%": 5.4,
        "top 1% items": 0.6,  # 1 of 4 items, rounded up: a has 6 of 10
        "top 10% items": 0.6,
        "gini": 0.4,  # counts 1, 1, 2, 6: 2 (1 + 2 + 6 + 24) / (4 * 10) - 5 / 4
        "tied in time": 0.2,
        "gap 50%": 60 * 30.5,  # minutes 10, 29, 31, 30 of ann, 31, 1969 of bob
        "gap 90%": 60 * 1000,  # halfway between 31 and 1969
        "session events": 1,  # ann: 4, 2; bob: 1, 1, 1; cid: 1
        "session seconds": 0,
        "repeat rate": 1 / 3,  # the second purchase of a by ann, of three purchases
        "cart per view": 2 / 5,
        "purchase per view": 3 / 5,
    }
    for name, number in expected.items():
        assert shape[name] == pytest.approx(number), name
    rest = ["popularity exponent", "popularity least", "popularity tail", "burstiness"]
    assert shape.index.difference(list(expected)).tolist() == sorted(rest)
    assert shape[rest].isna().all()


def test_sessions_by_hand() -> None:
    ann = TINY[TINY["user"] == "ann"]
    shape = log_shape(ann)
    assert shape["session events"] == 3  # of 4 and 2
    assert shape["session seconds"] == 60 * (39 + 30) / 2
    assert log_shape(ann, gap=pd.Timedelta("29min 59s"))["session events"] == 1  # of 4, 1 and 1
    assert log_shape(ann, gap=pd.Timedelta("31min"))["session events"] == 6
    assert log_shape(ann, gap=pd.Timedelta("31min"))["session seconds"] == 6000


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_units_of_time_do_not_matter(unit: str) -> None:
    log = TINY.assign(time=TINY["time"].dt.as_unit(unit))
    pd.testing.assert_series_equal(log_shape(log), log_shape(TINY))


def test_repeats() -> None:
    views = TINY.assign(behavior="view")
    # ann: a three times after the first; bob: a once; the second a of ann is later than the first
    assert log_shape(views)["repeat rate"] == pytest.approx(4 / 10)
    at_once = views.assign(time=START)
    assert log_shape(at_once)["repeat rate"] == 0  # nothing was earlier
    assert log_shape(at_once)["tied in time"] == 0.9


@pytest.mark.parametrize("absent", FUNNEL)
def test_funnel_has_the_steps_that_are_there(absent: str) -> None:
    steps = [step for step in FUNNEL if step != absent]
    behavior = [step for n, step in zip((60, 12, 3), steps, strict=True) for _ in range(n)]
    log = pd.DataFrame({"user": 1, "item": 1, "time": range(75), "behavior": behavior})
    funnel = log_shape(log).filter(like=" per ")
    assert funnel.to_dict() == {
        f"{steps[1]} per {steps[0]}": 0.2,
        f"{steps[2]} per {steps[0]}": 0.05,
    }


def test_positions_have_no_clock() -> None:
    log = TINY.assign(time=TINY.groupby("user").cumcount())
    shape, timed = log_shape(log), log_shape(TINY)
    assert shape.index.equals(timed.index)
    clock = ["gap 50%", "gap 90%", "burstiness", "session events", "session seconds"]
    assert shape[clock].isna().all()
    assert shape["tied in time"] == 0
    for name in ("events", "gini", "repeat rate", "history 50%"):
        assert shape[name] == timed[name]


def one_user(gaps: Any, user: int = 0) -> pd.DataFrame:
    time = START + np.cumsum(np.asarray(gaps)).astype("m8[s]")
    return pd.DataFrame({"user": user, "item": 0, "time": time, "behavior": "view"})


def test_burstiness_of_known_processes() -> None:
    rng = np.random.default_rng(0)
    assert log_shape(one_user(np.full(100, 7)))["burstiness"] == -1
    poisson = one_user(rng.exponential(1e5, 20_000))
    assert log_shape(poisson)["burstiness"] == pytest.approx(0, abs=0.01)
    # a lognormal with sigma 1.5 has s / m = sqrt(exp(2.25) - 1)
    ratio = np.sqrt(np.exp(2.25) - 1)
    bursty = one_user(rng.lognormal(9, 1.5, 200_000))
    assert log_shape(bursty)["burstiness"] == pytest.approx((ratio - 1) / (ratio + 1), abs=0.02)


def test_burstiness_is_the_mean_over_users_with_enough_gaps() -> None:
    gaps = [[1, *[1] * 5, *[9] * 5], [1, *[5] * 10], [1, *[3] * 9]]  # 10, 10 and 9 gaps
    log = pd.concat([one_user(gap, user) for user, gap in enumerate(gaps)])
    assert log_shape(log)["burstiness"] == pytest.approx(((4 - 5) / (4 + 5) - 1) / 2)


def power_law(exponent: float, least: int, n: int, *, seed: int) -> Any:
    """Draw from a discrete power law by its cumulative sums, up to a value that is never met."""
    values = np.arange(least, 3_000_000)
    chances = np.cumsum(values**-exponent)
    return values[np.searchsorted(chances, chances[-1] * np.random.default_rng(seed).random(n))]


@pytest.mark.parametrize("exponent", [2.0, 2.5, 3.5])
@pytest.mark.parametrize("seed", [0, 1])
def test_exponent_of_draws_with_a_known_one(exponent: float, seed: int) -> None:
    law = fit_power_law(np.random.default_rng(seed).zipf(exponent, 20_000))
    assert law.exponent == pytest.approx(exponent, abs=4 * (exponent - 1) / np.sqrt(law.n_tail))
    assert law.distance < 0.02


@pytest.mark.parametrize("exponent", [1.8, 2.6])
def test_tail_above_a_body_that_is_no_power_law(exponent: float) -> None:
    tail = power_law(exponent, 20, 8_000, seed=3)
    body = np.random.default_rng(4).integers(1, 20, size=30_000)
    law = fit_power_law(np.concatenate([tail, body]))
    assert 18 <= law.least <= 40
    assert law.exponent == pytest.approx(exponent, abs=4 * (exponent - 1) / np.sqrt(law.n_tail))
    whole = fit_power_law(np.concatenate([tail, body]), least_tail=38_000)
    assert whole.least == 1
    assert abs(whole.exponent - exponent) > 0.3  # without a search for the tail it is far off


def normaliser(exponent: float, least: int) -> Any:
    """Sum x^-exponent from `least` on: a thousand terms, and the rest by Euler and Maclaurin."""
    end = least + 1000.0
    rest = end ** (1 - exponent) / (exponent - 1) + end**-exponent / 2
    return (np.arange(least, end) ** -exponent).sum() + rest


@settings(max_examples=25)
@given(st.lists(st.integers(1, 40), min_size=12, max_size=60), st.integers(2, 6))
def test_fit_is_that_of_a_plain_search(counts: list[int], least_tail: int) -> None:
    fits = []
    for least in sorted(set(counts))[:-1]:
        tail = np.array([count for count in counts if count >= least])
        if len(tail) < least_tail:
            continue

        def loss(exponent: float, least: int = least, tail: Any = tail) -> float:
            return float(np.log(normaliser(exponent, least)) + exponent * np.log(tail).mean())

        best = minimize_scalar(loss, bounds=(1.0001, 30), method="bounded").x
        support = np.arange(least, 41)
        chances = np.cumsum(support**-best) / normaliser(best, least)
        shares = np.array([(tail <= value).mean() for value in support])
        fits.append((np.abs(chances - shares).max(), least, best))
    law = fit_power_law(counts, least_tail=least_tail)
    if not fits:
        assert np.isnan(law.exponent)
        return
    distance, least, best = min(fits)
    assert law.distance == pytest.approx(distance, abs=1e-4)
    if sum(fit[0] < distance + 1e-3 for fit in fits) == 1:
        assert law.least == least
        assert law.exponent == pytest.approx(best, rel=1e-3)


def test_no_tail() -> None:
    for counts in ([], [5] * 1000, range(1, LEAST_TAIL)):
        law = fit_power_law(counts)
        assert law.n_tail == 0
        assert np.isnan([law.exponent, law.least, law.distance]).all()
    assert fit_power_law(range(1, LEAST_TAIL + 1)).least == 1


def test_popularity_of_a_log_with_known_exponent() -> None:
    counts = power_law(2.4, 1, 5_000, seed=8)
    log = pd.DataFrame({"item": np.repeat(np.arange(5_000), counts)})
    log = log.assign(user=np.arange(len(log)) // 9, time=np.arange(len(log)) % 9, behavior="view")
    shape, law = log_shape(log), fit_power_law(counts)
    assert shape["popularity exponent"] == law.exponent == pytest.approx(2.4, abs=0.1)
    assert shape["popularity tail"] == law.n_tail / 5_000
    assert shape["top 1% items"] == np.sort(counts)[-50:].sum() / counts.sum()
    apart = np.abs(np.subtract.outer(counts[:500], counts[:500])).mean() / counts[:500].mean() / 2
    few = log[log["item"] < 500]
    assert log_shape(few)["gini"] == pytest.approx(apart)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda log: log.drop(columns="user"), "missing: column `user`"),
        (lambda log: log.head(0), "the event log is empty"),
        (lambda log: log.assign(item=log["item"].where(log["item"] != "a")), "`item`: 6 entries"),
        (lambda log: log.assign(time=log["time"].astype(str)), "column `time` has type"),
        (lambda log: log.assign(time=0.5), "column `time` has type float64"),
    ],
)
def test_bad_logs(change: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        log_shape(change(TINY))


def test_bad_numbers() -> None:
    with pytest.raises(ValueError, match="gap must be longer than nothing"):
        log_shape(TINY, gap=pd.Timedelta(0))
    for wrong in (0, -1, 1.5, np.nan):
        with pytest.raises(ValueError, match=f"whole numbers of 1 or more, got {wrong}"):
            fit_power_law([3, wrong, 4])


def test_a_category_that_does_not_occur_is_no_step() -> None:
    log = pd.DataFrame(
        {
            "user": 1,
            "item": [1, 2, 3],
            "time": np.array([0, 1, 2], dtype="M8[s]"),
            "behavior": pd.Categorical(["click", "click", "cart"], ["view", "click", "cart"]),
        }
    )
    assert log_shape(log).filter(like=" per ").to_dict() == {"cart per click": 0.5}
