"""Regular series against a loop and against pandas, on one engine after the other."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from behaviorseq.features import (
    exponential_average,
    lagged,
    moving_average,
    regular_series,
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
quick = settings(max_examples=8, phases=[Phase.explicit, Phase.generate])


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


def check_series(frame, log, rows, *, value):
    every = pd.Timedelta(hours=36)
    made = regular_series(frame, MOMENT, every, STEPS, value="value" if value else None)
    assert {(row["user"], row["step"]): row["amount"] for row in rows(made)} == series_by_hand(
        log, every, value=value
    )


@each_engine
@given(found=logs, value=st.booleans())
@quick
def test_series_equal_the_loop(engine, found, value, engines, rows):
    log = log_of(found)
    check_series(engines[engine](log), log, rows, value=value)


def test_spark_equals_the_loop(on_spark, rows):
    rng = np.random.default_rng(0)
    users, hours = rng.choice(["ann", "bob", "eve"], 25), rng.integers(-1, 504, 25)
    values = np.where(rng.random(25) < 0.3, np.nan, rng.integers(0, 9, 25))
    log = log_of(list(zip(users, hours.tolist(), values, strict=True)))
    check_series(on_spark(log), log, rows, value=True)


@each_engine
@given(found=logs)
@settings(parent=quick, max_examples=4)
def test_nothing_after_the_moment_is_read(engine, found, engines, rows):
    log = log_of(found)
    make = engines[engine]
    before = rows(regular_series(make(log), MOMENT, "1D", STEPS))
    late = pd.DataFrame({"user": ["ann", "bob"], "time": [MOMENT, MOMENT + 5 * HOUR], "value": 9.0})
    more = pd.concat([log, late], ignore_index=True)
    assert rows(regular_series(make(more), MOMENT, "1D", STEPS)) == before
    mixed = log.sample(frac=1, random_state=0)
    assert rows(regular_series(make(mixed), MOMENT, "1D", STEPS)) == before


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


def test_series_of_items_and_positions():
    log = pd.DataFrame({"user": 1, "item": ["a", "b", "a"], "time": [0, 1, 5]})
    made = regular_series(log, 6, 2, 3, by="item").sort_values(["item", "step"])
    assert made["amount"].tolist() == [1, 0, 1, 1, 0, 0]


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


@pytest.mark.parametrize("by", ["step", "amount"])
def test_series_of_a_column_that_is_made_here_are_refused(by):
    log = pd.DataFrame({by: ["a"], "time": pd.to_datetime(["2024-01-01"])})
    with pytest.raises(ValueError, match=f"by must be another column.*'{by}'"):
        regular_series(log, "2024-01-02", by=by)
