"""Series and their rhythm against plain numpy and pandas, on one engine after the other."""

import datetime as dt

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
HOUR = pd.Timedelta(hours=1)
STEPS = 8

# Hours after the start, -1 and the moment's own hour among them; amounts may be missing.
entries = st.tuples(
    st.sampled_from(["ann", "bob", "eve"]),
    st.integers(-1, 24 * 21),
    st.one_of(st.none(), st.integers(0, 9)),
)
logs = st.lists(entries, min_size=1, max_size=30)
each_engine = pytest.mark.parametrize("engine", ["pandas", "polars", "polars lazy", "duckdb"])
# Shrinking a failure would run the engines for minutes.
quick = settings(max_examples=8, deadline=None, phases=[Phase.explicit, Phase.generate])


def log_of(found):
    table = pd.DataFrame(found, columns=["user", "hour", "value"])
    table["value"] = table["value"].astype(float)
    return table.assign(time=START + table.pop("hour") * HOUR)


def series_by_hand(log, every, *, value):
    """Sum up each step of each user in a loop."""
    past = log[log["time"] < MOMENT]
    table = {}
    for user in past["user"].unique():
        for step in range(STEPS):
            opens = MOMENT - (STEPS - step) * every
            amounts = [
                (e.value if e.value == e.value else 0.0) if value else 1.0
                for e in past.itertuples()
                if e.user == user and opens <= e.time < opens + every
            ]
            table[user, step] = float(sum(amounts))
    return table


def intervals_by_hand(log, user):
    past = log[(log["time"] < MOMENT) & (log["user"] == user)]
    times = np.unique(past["time"].to_numpy())
    pauses = np.diff(times) / np.timedelta64(1, "D")
    if not len(pauses):
        return [None] * 3
    return [pauses.mean(), pauses.std(), pauses.std() / pauses.mean()]


def summary_by_hand(log, user):
    """Compute the features of a user from a plain list of counts."""
    series = series_by_hand(log, pd.Timedelta(days=1), value=False)
    x = np.array([series[user, step] for step in range(STEPS)])
    apart = x - x.mean()
    total = (apart**2).sum()
    weights = 0.5 ** (np.arange(STEPS)[::-1] / 2)
    pauses = intervals_by_hand(log, user)
    return {
        "amount_mean3": x[-3:].mean(),
        "amount_mean20": x.mean(),
        "amount_half2": (weights * x).sum() / weights.sum(),
        "amount_lag1": x[-1],
        "amount_lag4": x[-4],
        **{
            f"autocorrelation_{lag}": (apart[lag:] * apart[:-lag]).sum() / total if total else None
            for lag in (1, 4)
        },
        "volatility": np.diff(x).std(),
        "interval_mean": pauses[0],
        "interval_deviation": pauses[1],
        "interval_variation": pauses[2],
    }


def options():
    return {"steps": STEPS, "windows": [3, 20], "half_lives": [2], "lags": [1, 4]}


def check_series(frame, log, rows, *, value):
    every = pd.Timedelta(hours=36)
    made = regular_series(frame, MOMENT, every, STEPS, value="value" if value else None)
    assert {(row["user"], row["step"]): row["amount"] for row in rows(made)} == series_by_hand(
        log, every, value=value
    )


def table(frame, moment, **more):
    """Give the features with users in a column, whichever engine made them."""
    made = series_features(frame, moment, **more)
    return made.reset_index() if isinstance(made, pd.DataFrame) else made


def check_summary(frame, log, rows):
    made = {row["user"]: row for row in rows(table(frame, MOMENT, **options()))}
    assert set(made) == set(log["user"][log["time"] < MOMENT])
    for user, row in made.items():
        expected = summary_by_hand(log, user)
        assert set(row) == {"user", *expected}
        for name, number in expected.items():
            assert row[name] == (
                None if number is None else pytest.approx(number, rel=1e-7, abs=1e-8)
            ), name


@each_engine
@given(found=logs, value=st.booleans())
@quick
def test_series_equal_the_loop(engine, found, value, engines, rows):
    log = log_of(found)
    check_series(engines[engine](log), log, rows, value=value)


@each_engine
@given(found=logs)
@quick
def test_features_equal_the_loop(engine, found, engines, rows):
    log = log_of(found)
    check_summary(engines[engine](log), log, rows)


def test_spark_equals_the_loop(on_spark, rows):
    rng = np.random.default_rng(0)
    users, hours = rng.choice(["ann", "bob", "eve"], 25), rng.integers(-1, 504, 25)
    values = np.where(rng.random(25) < 0.3, np.nan, rng.integers(0, 9, 25))
    log = log_of(list(zip(users, hours.tolist(), values, strict=True)))
    check_series(on_spark(log), log, rows, value=True)
    check_summary(on_spark(log), log, rows)


@each_engine
@given(found=logs)
@settings(parent=quick, max_examples=4)
def test_nothing_after_the_moment_is_read(engine, found, engines, rows):
    log = log_of(found)
    make = engines[engine]
    before = rows(table(make(log), MOMENT, **options()))
    late = pd.DataFrame({"user": ["ann", "bob"], "time": [MOMENT, MOMENT + 5 * HOUR], "value": 9.0})
    more = pd.concat([log, late], ignore_index=True)
    assert rows(table(make(more), MOMENT, **options())) == before
    mixed = log.sample(frac=1, random_state=0)
    assert rows(table(make(mixed), MOMENT, **options())) == before


def random_series(seed=0, n=50):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "user": np.repeat(["ann", "bob"], n),
            "step": np.tile(range(n), 2),
            "amount": rng.poisson(2, 2 * n).astype(float),
        }
    )
    return frame.sample(frac=1, random_state=seed)


def test_averages_and_lags_equal_those_of_pandas():
    made = random_series()
    made = moving_average(made, 7)
    made = exponential_average(made, 3.5)
    made = lagged(made, [1, 7]).sort_values(["user", "step"])
    for _, own in made.groupby("user"):
        amount = own["amount"]
        np.testing.assert_allclose(own["amount_mean7"], amount.rolling(7, min_periods=1).mean())
        np.testing.assert_allclose(own["amount_half3.5"], amount.ewm(halflife=3.5).mean())
        np.testing.assert_array_equal(own["amount_lag7"], amount.shift(7))


def test_a_weekly_habit_shows_at_lag_7_and_chance_nowhere():
    weekly = pd.DataFrame({"user": 1, "step": range(140), "amount": [5.0, 0, 0, 1, 0, 0, 0] * 20})
    found = autocorrelation(weekly, [1, 7]).loc[1]
    assert found["autocorrelation_7"] > 0.9 > 0.1 > found["autocorrelation_1"]
    chance = autocorrelation(random_series(1, 400), range(1, 21))
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


def test_series_of_items_and_positions():
    log = pd.DataFrame({"user": 1, "item": ["a", "b", "a"], "time": [0, 1, 5]})
    made = regular_series(log, 6, 2, 3, by="item").sort_values(["item", "step"])
    assert made["amount"].tolist() == [1, 0, 1, 1, 0, 0]
    assert intervals(log, 6).loc[1].tolist() == [2.5, 1.5, 0.6]


def test_a_long_history_of_short_half_lives_is_refused():
    long = pd.DataFrame({"user": "ann", "step": range(2000), "amount": 1.0})
    with pytest.raises(ValueError, match="2000 steps has more than 900 half-lives of 1 steps"):
        exponential_average(long, 1)
    assert exponential_average(long, 3)["amount_half3"].round(9).eq(1).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda log: regular_series(log, MOMENT, steps=0), "steps must be a whole number of 1"),
        (lambda log: regular_series(log, MOMENT, "0D"), "every must be longer than 0"),
        (lambda log: regular_series(log, 7), "moment must be a time such as '2024-05-01', got 7"),
        (lambda log: regular_series(log, MOMENT, value="price"), "there is no column `price`"),
        (lambda log: regular_series(log, MOMENT, by="items"), "there is no column `items`"),
        (lambda log: regular_series(log.assign(user=None), MOMENT), "the user is missing"),
        (lambda log: regular_series(log.assign(time=1), MOMENT, 1), "moment must be a whole num"),
        (lambda _: lagged(random_series(), [0]), "lags must be whole numbers of 1 or more"),
        (lambda _: autocorrelation(random_series(), []), "lags must be whole numbers"),
        (lambda _: moving_average(random_series(), 1.5), "window must be a whole number"),
        (lambda _: exponential_average(random_series(), 0), "half_life must be above 0, got 0"),
    ],
)
def test_arguments_are_checked(call, message):
    with pytest.raises(ValueError, match=message):
        call(log_of([("ann", 1, 2.0)]))


def test_a_moment_may_be_a_text_a_datetime_or_in_a_zone():
    log = log_of([("ann", 30, 1.0), ("ann", 60, 1.0)])
    moments = ["2024-02-22 12:00", dt.datetime(2024, 2, 22, 12), "2024-02-22 21:00+09:00"]  # noqa: DTZ001 - UTC
    for moment in moments:
        assert regular_series(log, moment, "1D", 2).sort_values("step")["amount"].tolist() == [1, 0]
