"""Autocorrelation, volatility and intervals against numpy, on one engine after the other."""

import narwhals as nw
import numpy as np
import pandas as pd
import pytest

from behaviorseq.features import autocorrelation, intervals, volatility

START, MOMENT = pd.Timestamp("2024-02-20"), pd.Timestamp("2024-03-10 06:00")
each_engine = pytest.mark.parametrize("engine", ["pandas", "polars", "polars lazy", "duckdb"])


def by_user(table):
    """Give the table of any engine as pandas, users as the index."""
    frame = nw.from_native(table).lazy().collect().to_pandas()
    return (frame.set_index("user") if "user" in frame else frame).sort_index()


def random_series(seed):
    """Make series of several lengths, rows mixed: one never changes, one has a single step."""
    rng = np.random.default_rng(seed)
    amounts = {f"user {n}": rng.poisson(1.5, n) * 0.7 for n in (2, 5, 17, 30)}
    amounts |= {"flat": np.full(8, 0.1), "one": np.ones(1)}
    parts = [
        pd.DataFrame({"user": user, "step": range(len(own)), "amount": own})
        for user, own in amounts.items()
    ]
    return amounts, pd.concat(parts).sample(frac=1, random_state=seed, ignore_index=True)


@each_engine
@pytest.mark.parametrize("seed", range(2))
def test_the_rhythm_of_each_series_equals_the_formula(engine, seed, engines):
    amounts, series = random_series(seed)
    found = by_user(autocorrelation(engines[engine](series), [1, 4]))
    restless = by_user(volatility(engines[engine](series)))["volatility"]
    assert found.index.tolist() == restless.index.tolist() == sorted(amounts)
    for user, x in amounts.items():
        apart = x - x.mean()
        for lag in (1, 4):
            expected = (apart[lag:] * apart[:-lag]).sum() / (apart**2).sum() if np.ptp(x) else None
            number = found.loc[user, f"autocorrelation_{lag}"]
            assert np.isnan(number) if expected is None else number == pytest.approx(expected)
        expected = np.diff(x).std() if len(x) > 1 else np.nan
        assert restless[user] == pytest.approx(expected, nan_ok=True)


@each_engine
def test_intervals_are_between_the_times_at_which_something_happened(engine, engines):
    rng = np.random.default_rng(0)
    hours = rng.integers(0, 24 * 22, 60) // 5 * 5  # many share their time; some are too late
    log = pd.DataFrame({"user": rng.choice(list("abcdef"), 60), "time": START})
    log["time"] += pd.to_timedelta(hours, unit="h")
    log.loc[60] = ["once", START]
    log.loc[61:62] = ["once more", START]
    found = by_user(intervals(engines[engine](log), MOMENT))
    past = log[log["time"] < MOMENT]
    assert len(past) < len(log)
    assert found.index.tolist() == sorted(past["user"].unique())
    for user, own in past.groupby("user"):
        pauses = np.diff(np.unique(own["time"].to_numpy())) / np.timedelta64(1, "D")
        expected = [np.nan] * 3
        if len(pauses):
            expected = [pauses.mean(), pauses.std(), pauses.std() / pauses.mean()]
        np.testing.assert_allclose(found.loc[user].astype(float), expected, atol=1e-12)


def test_intervals_of_positions_and_of_items():
    log = pd.DataFrame({"user": 1, "item": ["a", "b", "a"], "time": [0, 1, 5]})
    assert intervals(log, 6).loc[1].tolist() == [2.5, 1.5, 0.6]
    assert intervals(log, 6, by="item")["interval_mean"]["a"] == 5


def test_a_weekly_habit_shows_at_lag_7_and_chance_nowhere():
    weekly = pd.DataFrame({"user": 1, "step": range(140), "amount": [5.0, 0, 0, 1, 0, 0, 0] * 20})
    found = autocorrelation(weekly, [1, 7]).loc[1]
    assert found["autocorrelation_7"] > 0.9 > 0.1 > found["autocorrelation_1"]
    counts = np.random.default_rng(1).poisson(2.0, 800).astype(float)
    users, steps = np.repeat(["ann", "bob"], 400), np.tile(range(400), 2)
    chance = pd.DataFrame({"user": users, "step": steps, "amount": counts})
    chance = autocorrelation(chance.sample(frac=1, random_state=1), range(1, 21))
    inside = (chance.abs() < 2 / np.sqrt(400)).to_numpy().mean()
    assert inside == pytest.approx(0.95, abs=0.05)


def test_a_series_that_never_changes_has_no_autocorrelation():
    flat = pd.DataFrame({"user": "ann", "step": range(9), "amount": 0.1})
    assert autocorrelation(flat, [1]).isna().all(axis=None)
    assert volatility(flat)["volatility"].tolist() == [0.0]


def test_one_step_makes_no_change_on_any_engine(engines, rows):
    one = pd.DataFrame({"user": ["ann", "bob", "bob"], "step": [0, 0, 1], "amount": 1.0})
    for make in engines.values():
        found = volatility(make(one))
        found = found.reset_index() if isinstance(found, pd.DataFrame) else found
        assert [row["volatility"] for row in rows(found)] == [None, 0.0]


def test_lags_are_checked():
    with pytest.raises(ValueError, match="lags must be whole numbers of 1 or more"):
        autocorrelation(random_series(0)[1], [])
