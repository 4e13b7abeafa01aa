"""Series in one row against a loop over users and against the functions of long series."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from behaviorseq.features import (
    autocorrelation,
    exponential_average,
    intervals,
    lagged,
    moving_average,
    regular_series,
    series_features,
    volatility,
)

START, MOMENT = pd.Timestamp("2024-02-20"), pd.Timestamp("2024-03-10 06:00")
STEPS = 8
OPTIONS = {"steps": STEPS, "windows": [3, 20], "half_lives": [2], "lags": [1, 4, 9]}

# Hours after the start; some are at the moment (462) or later, many long before the first step.
logs = st.lists(
    st.tuples(st.sampled_from(["ann", "bob", "eve"]), st.integers(-1, 24 * 21)),
    min_size=1,
    max_size=30,
)
each_engine = pytest.mark.parametrize("engine", ["pandas", "polars", "polars lazy", "duckdb"])
# Shrinking a failure would run the engines for minutes.
quick = settings(max_examples=6, phases=[Phase.explicit, Phase.generate])


def log_of(found):
    table = pd.DataFrame([*found, ("ann", 0), ("bob", 461), ("eve", 462)], columns=["user", "hour"])
    return table.assign(time=START + pd.to_timedelta(table.pop("hour"), unit="h"))


def with_user(table):
    return table.reset_index() if isinstance(table, pd.DataFrame) else table


def by_hand(times):
    """Compute the features of a user from a plain list of counts."""
    ago = [(MOMENT - time) / pd.Timedelta(days=1) for time in times]
    x = np.array([sum(STEPS - s - 1 < a <= STEPS - s for a in ago) for s in range(STEPS)], float)
    apart = x - x.mean()
    total = (apart**2).sum()
    weights = 0.5 ** (np.arange(STEPS)[::-1] / 2)
    pauses = np.diff(np.unique(np.array(times, dtype="M8[s]"))) / np.timedelta64(1, "D")
    mean, deviation = (pauses.mean(), pauses.std()) if len(pauses) else (None, None)
    return {
        "amount_mean3": x[-3:].mean(),
        "amount_mean20": x.mean(),
        "amount_half2": (weights * x).sum() / weights.sum(),
        "amount_lag1": x[-1],
        "amount_lag4": x[-4],
        "amount_lag9": None,
        **{
            f"autocorrelation_{lag}": (apart[lag:] * apart[:-lag]).sum() / total if total else None
            for lag in (1, 4, 9)
        },
        "volatility": np.diff(x).std(),
        "interval_mean": mean,
        "interval_deviation": deviation,
        "interval_variation": deviation / mean if mean else None,
    }


def check(frame, log, rows):
    made = {
        row.pop("user"): row for row in rows(with_user(series_features(frame, MOMENT, **OPTIONS)))
    }
    past = log[log["time"] < MOMENT]
    assert set(made) == set(past["user"])
    for user, row in made.items():
        expected = by_hand(past.loc[past["user"] == user, "time"].tolist())
        assert row.keys() == expected.keys()
        for name, number in expected.items():
            near = None if number is None else pytest.approx(number, rel=1e-7, abs=1e-8)
            assert row[name] == near, name


@each_engine
@given(found=logs)
@quick
def test_features_equal_the_loop(engine, found, engines, rows):
    log = log_of(found)
    check(engines[engine](log), log, rows)


def test_spark_equals_the_loop(on_spark, rows):
    rng = np.random.default_rng(0)
    users, hours = rng.choice(["ann", "bob", "eve"], 25), rng.integers(-1, 504, 25)
    log = log_of(list(zip(users, hours.tolist(), strict=True)))
    check(on_spark(log), log, rows)


@each_engine
def test_nothing_after_the_moment_is_read(engine, engines, rows):
    log = log_of([("ann", 300), ("bob", 440)])
    early = log[log["time"] < MOMENT]
    late = pd.DataFrame({"user": ["ann", "new"], "time": [MOMENT, MOMENT + pd.Timedelta(hours=5)]})
    tables = [
        rows(with_user(series_features(engines[engine](each), MOMENT, **OPTIONS)))
        for each in (log, early, pd.concat([late, early]), log.sample(frac=1, random_state=0))
    ]
    assert tables[1:] == [tables[0]] * 3


@pytest.mark.parametrize("value", [None, "value"])
def test_a_row_holds_what_the_functions_of_long_series_give(value):
    rng = np.random.default_rng(0)
    log = pd.DataFrame({"user": rng.integers(0, 30, 400), "value": rng.exponential(9, 400)})
    log["time"] = START + pd.to_timedelta(rng.integers(0, 24 * 19, 400), unit="h")
    log.loc[::7, "value"] = np.nan
    options = {"every": "12h", "steps": 30, "value": value}
    found = series_features(log, MOMENT, **options, windows=[4], half_lives=[0.01, 3], lags=[1, 6])
    series = regular_series(log, MOMENT, **options)
    long = exponential_average(moving_average(series, 4), 3)
    last = lagged(long, [5]).query("step == 29").set_index("user").sort_index()
    same = {"amount_mean4": "amount_mean4", "amount_half3": "amount_half3"}
    same |= {"amount_lag1": "amount", "amount_lag6": "amount_lag5", "amount_half0.01": "amount"}
    for mine, theirs in same.items():
        np.testing.assert_allclose(found[mine], last[theirs], atol=1e-12, err_msg=mine)
    for table in (autocorrelation(series, [1, 6]), volatility(series), intervals(log, MOMENT)):
        pd.testing.assert_frame_equal(found[list(table)], table, atol=1e-10)


def test_a_year_of_days_is_not_too_wide(engines, rows):
    log = log_of([("ann", 300), ("bob", 440)])
    tables = [
        rows(with_user(series_features(make(log), MOMENT, steps=366))) for make in engines.values()
    ]
    assert tables[1:] == [tables[0]] * (len(engines) - 1)


def test_one_step_has_no_rhythm():
    found = series_features(log_of([]), MOMENT, steps=1, windows=[1], half_lives=[1], lags=[1])
    assert found[["volatility", "autocorrelation_1"]].isna().all(axis=None)
    assert found["amount_lag1"].tolist() == found["amount_mean1"].tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be a whole number of 1"),
        ({"windows": [0]}, "window must be a whole number of 1 or more, got 0"),
        ({"half_lives": [-1]}, "half_life must be above 0, got -1"),
        ({"lags": [1.5]}, "lags must be whole numbers of 1 or more"),
        ({"value": "price"}, "there is no column `price`"),
    ],
)
def test_arguments_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        series_features(log_of([]), MOMENT, **options)
