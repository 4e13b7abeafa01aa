"""Hand-made features against a loop over users, and nothing of the future in them."""

import itertools
import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behaviorseq import simulate
from behaviorseq.features import user_statistics

BEHAVIORS = ("view", "click", "cart", "purchase")
START = pd.Timestamp("2024-01-01")
MOMENT = pd.Timestamp("2024-01-11 06:00")
A_DAY = pd.Timedelta(days=1)


def log_of(rows):
    table = pd.DataFrame(rows, columns=["user", "item", "hour", "behavior"])
    return table.assign(
        time=START + pd.to_timedelta(table.pop("hour"), unit="h"), kind=table["item"] % 3
    )


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
    shares = np.array(list(Counter(e.kind for e in past).values())) / len(past)
    found["entropy"] = -sum(share * math.log2(share) for share in shares)
    return found


EVENTS = st.tuples(
    st.integers(0, 4), st.integers(0, 9), st.integers(0, 400), st.sampled_from(BEHAVIORS)
)


@given(st.lists(EVENTS, min_size=1, max_size=40))
@settings(max_examples=40, deadline=None)
def test_each_feature_is_what_a_loop_counts(rows):
    log = log_of([*rows, (9, 0, 0, "view")])  # somebody was there before the moment
    found = user_statistics(log, MOMENT, category="kind")
    assert found.index.tolist() == sorted(set(log.user[log.time < MOMENT]))
    for user, row in found.iterrows():
        expected = pd.Series(by_hand(log, user))
        assert sorted(row.index) == sorted(expected.index)
        np.testing.assert_allclose(row[expected.index], expected.astype(float), atol=1e-12)


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
        (lambda log: log.drop(columns="item"), r"columns \['item'\] are missing"),
        (lambda log: log.assign(time=range(len(log))), "must hold datetimes, not int64"),
        (lambda log: log.assign(time=log["time"] + 99 * A_DAY), "no event lies before"),
    ],
)
def test_a_log_that_cannot_be_read_is_refused(change, message):
    log = log_of([(1, 0, 0, "view"), (2, 1, 5, "click")])
    with pytest.raises(ValueError, match=message):
        user_statistics(change(log), MOMENT)
