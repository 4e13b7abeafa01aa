"""Hand-made features against a loop over users, and nothing of the future in them."""

import itertools
import math
from collections import Counter

import narwhals as nw
import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from behaviorseq import simulate
from behaviorseq.features import purchase_statistics, user_statistics, value_statistics

BEHAVIORS = ("view", "click", "cart", "purchase")
START = pd.Timestamp("2024-01-01")
MOMENT = pd.Timestamp("2024-01-11 06:00")
A_DAY = pd.Timedelta(days=1)


def log_of(rows):
    """Make a log; every fifth item has no kind."""
    table = pd.DataFrame(
        rows, columns=["user", "item", "hour", "behavior", "value"][: len(rows[0])]
    )
    kind = (table["item"] % 3).where(table["item"] % 5 > 0)
    return table.assign(time=START + pd.to_timedelta(table.pop("hour"), unit="h"), kind=kind)


def by_hand(log, user):
    """Compute every feature of one user in plain Python."""
    past = [e for e in log.itertuples() if e.user == user and e.time < MOMENT]
    n = Counter(e.behavior for e in past)
    late = Counter(e.behavior for e in past if e.time >= MOMENT - 7 * A_DAY)
    found = {f"n_{b}": n[b] for b in BEHAVIORS} | {f"recent_{b}": late[b] for b in BEHAVIORS}
    since = {b: [(MOMENT - e.time) / A_DAY for e in past if e.behavior == b] for b in BEHAVIORS}
    found |= {f"days_since_{b}": min(days, default=math.nan) for b, days in since.items()}
    ages = [(MOMENT - e.time) / A_DAY for e in past]
    found |= {"days_since_first": max(ages), "days_since_last": min(ages)}
    found["click_rate"] = n["click"] / n["view"] if n["view"] else math.nan
    found["buy_rate"] = n["purchase"] / n["click"] if n["click"] else math.nan
    found["purchases_per_week"] = n["purchase"] * 7 / max(max(ages), 1)
    dates = sorted({e.time.date() for e in past})
    gaps = [(b - a).days for a, b in itertools.pairwise(dates)]
    found |= {"active_days": len(dates), "mean_gap": np.mean(gaps) if gaps else math.nan}
    kinds = Counter(e.kind for e in past if e.kind == e.kind)
    shares = np.array(list(kinds.values())) / max(sum(kinds.values()), 1)
    found["entropy"] = -sum(s * math.log2(s) for s in shares) if kinds else math.nan
    return found


def purchases_by_hand(log, user):
    """Gather the purchases that share their time, then average."""
    baskets = {}
    for e in log.itertuples():
        if e.user == user and e.behavior == "purchase" and e.time < MOMENT:
            baskets.setdefault(e.time, []).append(0 if math.isnan(e.value) else e.value)
    amount = sum(map(sum, baskets.values())) / len(baskets)
    last = (MOMENT - max(baskets)) / A_DAY
    return {"recency": last, "frequency": len(baskets), "monetary": amount}


def values_by_hand(log, user):
    past = log[(log["user"] == user) & (log["time"] < MOMENT)]
    values = past["value"].dropna().to_numpy()
    mean, deviation = values.mean(), values.std()
    variation = deviation / mean if mean else math.nan
    return {"value_mean": mean, "value_deviation": deviation, "value_variation": variation}


def check(frame, log):
    """Compare all three functions with the loops, for whom they speak of and in what they say."""
    past = log[log["time"] < MOMENT]
    bought = past["behavior"] == "purchase"
    for found, loop, users in (
        (user_statistics(frame, MOMENT, category="kind"), by_hand, past["user"]),
        (value_statistics(frame, MOMENT), values_by_hand, past.loc[past["value"].notna(), "user"]),
        (purchase_statistics(frame, MOMENT), purchases_by_hand, past.loc[bought, "user"]),
    ):
        table = indexed(found)
        assert table.index.tolist() == sorted(users.unique())
        for user, row in table.iterrows():
            expected = pd.Series(loop(log, user)).astype(float)
            assert sorted(row.index) == sorted(expected.index)
            np.testing.assert_allclose(row[expected.index].astype(float), expected, atol=1e-12)


def indexed(table):
    """Give the table of any engine as pandas, users as the index."""
    frame = nw.from_native(table).lazy().collect().to_pandas()
    return frame.set_index("user").sort_index() if "user" in frame else frame


# Few hours and items: events share their time, and some are there twice. Amounts and behaviors
# may be missing.
EVENTS = st.tuples(
    st.integers(0, 4),
    st.integers(0, 9),
    st.integers(0, 66).map(lambda quarter: 6 * quarter),
    st.sampled_from([*BEHAVIORS, None]),
    st.one_of(st.just(math.nan), st.integers(0, 9).map(float)),
)
LOGS = st.lists(EVENTS, max_size=40).map(lambda rows: log_of([*rows, (9, 0, 0, "purchase", 3.0)]))


@pytest.mark.parametrize("engine", ["pandas", "polars", "polars lazy", "duckdb"])
@given(log=LOGS)
@settings(max_examples=8, phases=[Phase.explicit, Phase.generate])
def test_each_feature_is_what_a_loop_counts(engine, log, engines):
    check(engines[engine](log), log)


def test_spark_counts_what_a_loop_counts(on_spark):
    rng = np.random.default_rng(4)
    columns = [rng.integers(0, 5, 40), rng.integers(0, 9, 40), rng.integers(0, 60, 40) * 6]
    columns += [rng.choice([*BEHAVIORS, None], 40), rng.choice([np.nan, 0.0, 2.0, 5.0], 40)]
    log = log_of(list(zip(*columns, strict=True)))
    check(on_spark(log), log)


@pytest.fixture(scope="module")
def shop_log():
    return simulate.world("shop", n_users=60, n_items=40, days=20).log().events


def test_the_future_changes_nothing(shop_log):
    before = user_statistics(shop_log, MOMENT)
    future = shop_log["time"] >= MOMENT
    rng = np.random.default_rng(0)
    turned = shop_log.copy()
    for name in ("user", "item", "behavior"):
        turned.loc[future, name] = rng.permutation(turned.loc[future, name].to_numpy())
    assert not turned.equals(shop_log)
    pd.testing.assert_frame_equal(user_statistics(turned, MOMENT), before)
    pd.testing.assert_frame_equal(user_statistics(shop_log[~future], MOMENT), before)


def test_an_event_at_the_moment_belongs_to_the_future():
    log = log_of([(1, 0, 0, "view"), (1, 0, 246, "view")])
    assert log["time"].iloc[1] == MOMENT
    assert user_statistics(log, MOMENT)["n_view"].tolist() == [1]


def test_order_of_rows_and_kind_of_columns_do_not_matter(shop_log):
    before = user_statistics(shop_log, MOMENT)
    mixed = shop_log.sample(frac=1, random_state=0).astype({"behavior": "str"})
    pd.testing.assert_frame_equal(user_statistics(mixed, MOMENT), before)


def test_the_past_does_change_it(shop_log):
    before = user_statistics(shop_log, MOMENT)
    after = user_statistics(shop_log, MOMENT - A_DAY)
    assert not before.reindex(after.index).equals(after)


def test_what_cannot_be_known_is_missing():
    found = user_statistics(log_of([(1, 0, 0, "view")]), MOMENT).iloc[0]
    missing = found.index[found.isna()].tolist()
    assert missing == [
        "buy_rate",
        "days_since_click",
        "days_since_cart",
        "days_since_purchase",
        "mean_gap",
    ]


def test_behaviors_that_are_not_counted_have_no_rate():
    found = user_statistics(log_of([(1, 0, 0, "purchase")]), MOMENT, behaviors=["purchase"])
    assert found["click_rate"].isna().all()
    assert found["n_purchase"].tolist() == [1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda log: log.drop(columns="item"), "there is no column `item`"),
        (lambda log: log.assign(time=range(len(log))), "must hold datetimes, and not positions"),
        (lambda log: log.assign(time=log["time"] + 99 * A_DAY), "no event lies before"),
    ],
)
def test_a_log_that_cannot_be_read_is_refused(change, message):
    log = log_of([(1, 0, 0, "view"), (2, 1, 5, "click")])
    with pytest.raises(ValueError, match=message):
        user_statistics(change(log), MOMENT)


def test_missing_users_and_times_are_refused(engines):
    log = log_of([(user, 0, 5, "view") for user in range(4)])
    log["user"] = log["user"].astype(float).where(log["user"] > 0)
    for make in engines.values():
        with pytest.raises(ValueError, match="the user is missing"):
            user_statistics(make(log), MOMENT)


def test_an_empty_log_has_no_event_before_the_moment(engines):
    log = log_of([(1, 0, 0, "view")])
    for make in engines.values():
        with pytest.raises(ValueError, match=r"no event lies before .* the log is empty"):
            user_statistics(make(log[:0]), MOMENT)
