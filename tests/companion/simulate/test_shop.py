"""The log of the simulated shop: the same each time, valid, and shaped as it says."""

import math

import numpy as np
import pandas as pd
import pytest

from behaviorseq import Sequences, log_shape, simulate, stored_results, validate
from behaviorseq.simulate.base import SECONDS_A_DAY, START

KEYS = ["user", "session", "item", "position"]


@pytest.fixture(scope="module")
def shop():
    return simulate.world("shop", n_users=1200, n_items=400, days=60, seed=3)


@pytest.fixture(scope="module")
def log(shop):
    return shop.log()


@pytest.fixture(scope="module")
def events(log):
    return log.events


@pytest.fixture(scope="module")
def true(shop):
    return shop.truth.events()


def test_same_seed_same_log_whatever_workers(shop, events):
    assert shop.log(workers=3).events.equals(events)
    other = simulate.world("shop", n_users=1200, n_items=400, days=60, seed=4)
    assert len(other.log().events) != len(events)


@pytest.mark.parametrize("n_users", [500, 1024, 5000])
def test_chunks_are_the_log(shop, events, n_users):
    chunks = list(shop.chunks(n_users))
    assert [chunk["user"].nunique() for chunk in chunks] == [
        min(n_users, 1200 - first) for first in range(0, 1200, n_users)
    ]
    together = pd.concat(chunks).sort_values(["time", "user"], kind="stable", ignore_index=True)
    assert together.equals(events)


def test_stored_figures():
    events = simulate.world("shop", n_users=100, n_items=200, days=30, seed=1).log().events
    seconds = (events["time"] - pd.Timestamp(START)).dt.total_seconds()
    figures = {
        **events["behavior"].value_counts().to_dict(),
        "users": int(events["user"].sum()),
        "items": int(events["item"].sum()),
        "seconds": int(seconds.sum()),
        "positions": int(events["position"].sum()),
        "stars": float(events["value"].sum()),
        "prices": round(float(events["price"].sum()), 2),
    }
    # exp and log of another processor may differ in their last bit, and turn an event or two.
    assert figures == pytest.approx(STORED, rel=1e-3, abs=2)


def test_contract(events, log):
    report = validate(events)
    assert report.n_users == 1200
    assert report.duplicates == 0
    assert report.tied_share < 1e-4
    assert set(report.behaviors) == set(simulate.shop.Shop.behaviors)
    assert events["user"].dtype == events["item"].dtype == np.int64
    time, user = events["time"].to_numpy().astype(np.int64), events["user"].to_numpy()
    assert (np.diff(time * 10_000 + user) >= 0).all()
    assert events["time"].between(pd.Timestamp(START), pd.Timestamp("2024-03-01")).all()
    assert log.items["item"].tolist() == list(range(400))
    assert log.users["user"].tolist() == list(range(1200))
    histories = Sequences.from_events(events)
    assert histories.n_events == len(events)


def test_source_says_which_world():
    shop = simulate.world("shop", n_users=9, n_items=20, days=3, drift=math.inf, order=0.25)
    assert repr(shop) == (
        "world('shop', n_users=9, n_items=20, days=3, seed=0, drift=inf, order=0.25)"
    )
    source = shop.log().source
    assert repr(shop) in source.citation
    assert len(source.read({}, "item")[0]) == source.n_events


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_users": 0}, "n_users must be a whole number of 1 or more"),
        ({"n_items": 2.5}, "n_items must be a whole number"),
        ({"days": -3}, "days must be a whole number from 1 to 1000"),
        ({"drift": 0}, "drift must be a number from 1 to inf, got 0"),
        ({"drift": math.nan}, "drift must be a number"),
        ({"position_bias": -1}, "position_bias must be a number from 0 to 5"),
        ({"order": 1.5}, "order must be a number from 0 to 1"),
        ({"new_items": "many"}, "new_items must be a number from 0 to 1"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        simulate.world("shop", **options)


def test_bad_calls(shop):
    with pytest.raises(ValueError, match="the world shop has no option 'fashion'; it has drift"):
        simulate.world("shop", fashion=1)
    with pytest.raises(ValueError, match="workers must be a whole number"):
        shop.log(workers=0)
    with pytest.raises(ValueError, match="n_users must be a whole number"):
        next(shop.chunks(0))


@pytest.mark.parametrize(("n_users", "n_items", "days"), [(1, 1, 1), (3, 4, 2), (2, 500, 1)])
def test_tiny_worlds(n_users, n_items, days):
    shop = simulate.world("shop", n_users=n_users, n_items=n_items, days=days, new_items=0.0)
    events = shop.log().events
    assert validate(events).n_users == n_users
    assert len(shop.truth.events()) == len(events)


def test_each_behavior_follows_what_it_must(events, true):
    browsing = events[(true["page"] != "review").to_numpy()]
    first = browsing.pivot_table("time", KEYS, "behavior", aggfunc="min", observed=True)
    assert (first["view"] <= first["click"]).sum() == first["click"].notna().sum()
    for later, earlier in (("favorite", "click"), ("cart", "click"), ("purchase", "cart")):
        there = first[later].notna()
        assert there.sum() > 500
        assert (first.loc[there, earlier] < first.loc[there, later]).all()
    bought = events[events["behavior"] == "purchase"].groupby(["user", "item"])["time"].min()
    reviews = events[events["behavior"] == "review"].set_index(["user", "item"])["time"]
    assert len(reviews) > 50
    assert (bought.loc[reviews.index] < reviews).all()


def test_an_item_stands_once_on_a_page(events):
    views = events[events["behavior"] == "view"]
    page = (views["position"] == 0).groupby(views["session"]).cumsum()
    assert not pd.MultiIndex.from_arrays([views["session"], page, views["item"]]).has_duplicates
    step = views.groupby(["session", page])["position"].diff().dropna()
    assert (step == 1).all()
    assert views["position"].max() == 7


def test_columns_say_what_they_mean(events, log):
    stars = events.loc[events["behavior"] == "review", "value"]
    assert set(stars) <= {1, 2, 3, 4, 5}
    assert events.loc[events["behavior"] != "review", "value"].isna().all()
    prices = log.items.set_index("item")["price"]
    assert (events["price"].to_numpy() == prices.loc[events["item"]].to_numpy()).all()
    assert events.groupby("session")["user"].nunique().max() == 1
    number = events.groupby("user")["session"].agg(["min", "max", "nunique"])
    assert (number["max"] - number["min"] + 1 == number["nunique"]).all()


def test_nothing_happens_before_it_can(events, log):
    appeared = log.items.set_index("item")["appeared"].loc[events["item"]].to_numpy()
    assert (events["time"].to_numpy() >= appeared).all()
    arrived = log.users.set_index("user")["arrived"].loc[events["user"]].to_numpy()
    assert (events["time"].to_numpy() >= arrived).all()
    share = (log.items["appeared"] > pd.Timestamp(START)).mean()
    assert share == pytest.approx(0.2, abs=0.01)
    assert 0.2 < (log.users["arrived"] > pd.Timestamp(START)).mean() < 0.4


def test_text_carries_type_use_and_brand(log, shop):
    types = shop.catalog.types
    for item, leaf in zip(log.items.itertuples(), shop.catalog.leaf, strict=True):
        kind = types[leaf]
        assert kind.name in item.title
        assert item.title.startswith(item.brand)
        for word in (kind.name, kind.use, kind.category, kind.department, item.brand):
            assert word in item.description
    built = log.items["description"].str.contains("Outstanding")
    quality = shop.truth.items["quality"]
    assert quality[built].mean() > quality.mean() + 0.5


def test_related_has_a_direction(shop):
    related = shop.truth.related
    edges = pd.MultiIndex.from_frame(related[["item", "related"]])
    back = pd.MultiIndex.from_frame(related[["related", "item"]])
    assert not edges.has_duplicates
    assert (related["item"] != related["related"]).all()
    assert edges.isin(back).mean() < 0.35
    leaf, goes_with = shop.catalog.leaf, shop.catalog.goes_with
    here, there = leaf[related["item"]], leaf[related["related"]]
    assert ((here == there) | (goes_with[here] == there)).all()
    assert 0.2 < (here != there).mean() < 0.4


def test_rhythm_and_bursts(events):
    begins = events.groupby("session")["time"].min()
    hours = begins.dt.hour.value_counts()
    assert hours[[19, 20, 21]].min() > 5 * hours[[2, 3, 4]].max()
    whole_weeks = begins[begins < pd.Timestamp(START) + pd.Timedelta(weeks=8)]
    day = whole_weeks.dt.day_of_week.value_counts()
    assert day[[5, 6]].min() > 1.05 * day[[0, 1, 2]].max()
    gaps = begins.sort_values().groupby(begins.index // 100_000).diff().dropna()
    assert gaps.std() > 1.2 * gaps.mean()  # an even flow would have 1


def test_funnel_and_heavy_tails(events):
    n = events["behavior"].value_counts()
    assert 0.05 < n["click"] / n["view"] < 0.12
    assert 0.02 < n["purchase"] / n["click"] < 0.05
    assert n["purchase"] < n["favorite"] < n["click"]
    assert n["purchase"] < n["cart"] < n["click"]
    clicks = events[events["behavior"] == "click"]
    counts = clicks["item"].value_counts().to_numpy()
    top = np.arange(1, 41)
    exponent = -np.polyfit(np.log(top), np.log(counts[:40]), 1)[0]
    assert 0.4 < exponent < 1.2
    lengths = clicks.groupby("user").size().sort_values()
    assert lengths.tail(len(lengths) // 10).sum() > 0.25 * lengths.sum()


def test_consumables_are_bought_again_after_a_cycle(events, shop, true):
    again = (true["page"] == "repeat").to_numpy() & (events["behavior"] == "purchase").to_numpy()
    leaf = shop.catalog.leaf[events["item"]]
    cycle = shop.truth.leaves["cycle"].to_numpy()[leaf]
    assert again.sum() > 100
    assert not np.isnan(cycle[again]).any()
    bought = events[events["behavior"] == "purchase"].assign(
        leaf=leaf[events["behavior"] == "purchase"], again=again[events["behavior"] == "purchase"]
    )
    bought["wait"] = bought.groupby(["user", "leaf"])["time"].diff()
    # Where nothing else was bought in between, the wait is from the purchase that it repeats.
    two = bought.groupby(["user", "leaf"])["time"].transform("size") == 2
    waits = bought[bought["again"] & two]
    ratio = waits["wait"] / pd.Timedelta(days=1) / cycle[waits.index]
    assert len(ratio) > 30
    assert 0.9 < ratio.median() < 1.1


def test_knobs():
    size = {"n_users": 300, "n_items": 200, "days": 30}
    pages = simulate.world("shop", **size, order=0.0).truth.events()["page"]
    assert (pages == "related").sum() == 0
    always = simulate.world("shop", **size, order=1.0).truth.events()["page"]
    assert (always == "related").mean() > 0.4
    old = simulate.world("shop", **size, new_items=0.0)
    assert (old.items["appeared"] < pd.Timestamp(START)).all()
    still = simulate.world("shop", **size, drift=math.inf).truth.interests
    assert still["start"].eq(pd.Timestamp(START)).all()
    quick = simulate.world("shop", **size, drift=5.0).truth.interests
    lasting = quick.groupby("user").size() / still.groupby("user").size()
    assert lasting.mean() == pytest.approx(1 + 30 / 5, rel=0.1)


def test_visits_keep_their_distance():
    from behaviorseq.simulate.shop_visits import ROOM, spaced

    row = np.array([0, 0, 0, 1, 1])
    start = np.array([0.0, 10.0, 5000.0, 20.0, 20.0])
    assert spaced(row, start).tolist() == [0, ROOM, 5000, 20, 20 + ROOM]
    assert SECONDS_A_DAY > ROOM


#: What the world of `test_stored_figures` was when it was last changed on purpose.
STORED = {
    "view": 20258,
    "click": 2021,
    "cart": 147,
    "favorite": 114,
    "purchase": 61,
    "review": 4,
    "users": 1164237,
    "items": 2184303,
    "seconds": 32366749930,
    "positions": 63616,
    "stars": 17.0,
    "prices": 470236.53,
}


def test_its_shape_is_near_that_of_real_logs():
    events = simulate.world("shop").log().events
    ours = log_shape(events[events["behavior"] != "view"])
    real = stored_results("log_shapes").set_index("log")
    within = ["history 50%", "gini", "top 10% items", "gap 90%", "repeat rate"]
    near = ["history 90%", "popularity exponent", "gap 50%", "burstiness", "session events"]
    for measure in within + near:
        low, high = real[measure].min(), real[measure].max()
        slack = 1 if measure in within else 2
        assert low / slack <= ours[measure] <= high * slack, measure
    bought = events["behavior"] == "purchase"
    clicked = events["behavior"] == "click"
    taobao = real.loc["taobao-head", "purchase per view"]
    assert taobao / 2 < bought.sum() / clicked.sum() < taobao * 2
