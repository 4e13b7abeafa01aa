"""Faults: how much of each, where they are said to be, and that all can be undone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from behaviorseq.datasets import Dataset
from behaviorseq.events import validate
from behaviorseq.simulate.base import START, World, to_datetime
from behaviorseq.simulate.fault_kinds import FAULTS, ROBOT_EVENTS, ROBOT_GAP
from behaviorseq.simulate.faults import Corruption, corrupt

EVERYTHING = {
    **dict.fromkeys(FAULTS, 0.2),
    **{"missing:time": 0.1, "missing:user": 0.1, "outlier:price": 0.1, "mixed_type:item": 0.3},
}


def make_log(n: int = 400, *, seed: int = 0, positions: bool = False) -> pd.DataFrame:
    """Make a log in order of time, with every column of the contract and one more."""
    rng = np.random.default_rng(seed)
    user = rng.integers(1, 1 + max(1, n // 10), size=n)
    time = to_datetime(np.sort(rng.integers(0, 86_400 * 30, size=n)))
    return pd.DataFrame(
        {
            "user": user,
            "item": rng.integers(100, size=n),
            "time": pd.Series(user).groupby(user).cumcount() if positions else time,
            "behavior": rng.choice(["view", "view", "view", "purchase"], size=n),
            "value": rng.integers(1, 6, size=n),
            "price": rng.integers(1, 10_000, size=n) / 100,
            "page": rng.choice(["home", "search"], size=n),
        }
    )


LOG = make_log()


def rows_of(done: Corruption, fault: str) -> Any:
    return done.touched.loc[done.touched["fault"] == fault, "row"].to_numpy()


TYPES: dict[str, dict[str, Any]] = {
    "whole numbers": {},
    "small numbers": {"user": "int8", "item": "uint8", "value": "uint8", "price": "float32"},
    "nullable": {"user": "Int64", "item": "Int32", "value": "Int16", "price": "Float64"},
    "text": {"user": "str", "item": "str", "behavior": "str"},
    "object": {"user": object, "item": object, "behavior": object},
    "categories": {"user": "category", "item": "category", "behavior": "category"},
    "fine times": {"time": "datetime64[ns]", "value": "float64"},
}


@pytest.mark.parametrize("kind", TYPES)
def test_restoring_gives_back_any_types(kind: str) -> None:
    log = LOG.astype(TYPES[kind])
    if kind == "text":
        log = log.assign(user="U" + log["user"], item="Item " + log["item"])
    if kind == "categories":
        log = log.astype({"user": "str"}).astype({"user": "category"})
    before = log.copy()
    done = corrupt(log, EVERYTHING)
    pd.testing.assert_frame_equal(log, before)
    pd.testing.assert_frame_equal(done.restore(), log)
    assert list(done.events) == list(log)
    if kind == "categories":
        assert done.events["user"].dtype == object  # mixed types
        assert isinstance(corrupt(log, {"robot": 0.1}).events["user"].dtype, pd.CategoricalDtype)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    n=st.integers(1, 60),
    seed=st.integers(0, 2**32),
    positions=st.booleans(),
    order=st.booleans(),
    shares=st.dictionaries(st.sampled_from(list(EVERYTHING)), st.floats(0, 1), max_size=6),
)
def test_undoing_what_was_touched_gives_back_the_log(
    n: int, seed: int, positions: bool, order: bool, shares: dict[str, float]
) -> None:
    log = make_log(n, seed=seed, positions=positions)
    log = log if order else log.sample(frac=1, random_state=seed % 1000)
    if positions:
        shares.pop("clock", None)
    done = corrupt(log, shares, seed=seed)
    pd.testing.assert_frame_equal(done.restore(), log.reset_index(drop=True))
    untouched = done.events.drop(index=done.touched["row"])
    assert set(untouched.itertuples(index=False)) <= set(log.itertuples(index=False))
    again = corrupt(log, dict(reversed(shares.items())), seed=seed)
    pd.testing.assert_frame_equal(again.events, done.events)
    pd.testing.assert_frame_equal(again.touched, done.touched)


@pytest.mark.parametrize("fault", [*EVERYTHING])
def test_a_fault_does_not_depend_on_the_others(fault: str) -> None:
    kind = fault.partition(":")[0]
    others = dict.fromkeys(set(EVERYTHING) - {"duplicate", "robot"}, 0.3)  # these move rows
    told, mine = (
        set(map(tuple, done.touched[done.touched["fault"] == kind].to_numpy()))
        for done in (
            corrupt(LOG, faults, seed=3) for faults in ({fault: 0.2}, others | {fault: 0.2})
        )
    )
    assert told
    assert told <= mine
    other_seed = corrupt(LOG, {fault: 0.2}, seed=4).touched
    assert told != set(map(tuple, other_seed.to_numpy()))


def test_nothing_asked_nothing_done() -> None:
    for shares in ({}, dict.fromkeys(EVERYTHING, 0.0)):
        done = corrupt(LOG, shares)
        pd.testing.assert_frame_equal(done.events, LOG)
        assert done.touched.empty
        assert list(done.touched) == ["row", "fault", "column", "original", "detail"]


def test_what_is_touched_is_told_by_a_comparison() -> None:
    done = corrupt(LOG, {"missing": 0.2, "outlier": 0.1, "clock": 0.1, "mixed_type": 0.1})
    differs = done.events.astype(object).ne(LOG.astype(object))
    rows, columns = np.nonzero(differs)
    told = set(zip(done.touched["row"], done.touched["column"], strict=True))
    assert told == set(zip(rows, LOG.columns[columns], strict=True))
    clean = [LOG.loc[row, column] for row, column in done.touched[["row", "column"]].to_numpy()]
    assert done.touched["original"].tolist() == clean


def test_missing() -> None:
    done = corrupt(LOG, {"missing": 0.25})
    empty = done.events.isna()
    assert (empty.sum(axis=1) == 1).sum() == 100
    assert set(empty.columns[empty.any()]) == {"item", "behavior", "value", "price"}
    assert done.events["item"].dropna().equals(LOG["item"][~empty["item"]].astype("Int64"))
    holed = corrupt(done.events, {"missing": 1.0})  # what is empty cannot be emptied again
    assert len(holed.touched) == 400
    assert holed.events.isna().sum().sum() == 500
    named = corrupt(LOG, {"missing:time": 0.5, "missing:page": 1.0}).events.isna().sum()
    assert named[named > 0].to_dict() == {"time": 200, "page": 400}


def test_outlier() -> None:
    done = corrupt(LOG.assign(value=LOG["value"].astype("int8")), {"outlier": 0.5})
    assert len(done.touched) == 200
    for column in ("value", "price"):
        part = done.touched[done.touched["column"] == column]
        now = done.events.loc[part["row"], column].to_numpy(dtype=float)
        ratio = now / part["original"].to_numpy(dtype=float)
        said = part["detail"].str.removeprefix("times ").str.replace(",", "").astype(float)
        np.testing.assert_allclose(ratio, said, rtol=1e-12)
        assert set(said) == {100, 1_000, 10_000}
    assert validate(done.events).n_events == 400
    free = corrupt(LOG.assign(value=0, price=0.0), {"outlier": 1.0})
    assert free.touched.empty  # nothing times a thousand is nothing


def test_clock() -> None:
    log = make_log(4000)
    done = corrupt(log, {"clock": 0.2})
    touched = done.touched.assign(
        user=log.loc[done.touched["row"], "user"].to_numpy(),
        shift=(done.events["time"] - log["time"])[done.touched["row"]].to_numpy(),
    )
    assert len(touched) == pytest.approx(0.2 * 4000, abs=20)
    events = log["user"].value_counts()
    by_user = touched.groupby("user")
    assert (by_user.size() == events[by_user.size().index]).all()
    assert (by_user["shift"].min() == by_user["shift"].max()).all()
    hours = touched["shift"] / pd.Timedelta("1h")
    zone = touched["detail"].str.extract(r"time zone, ([+-]\d+) h")[0].astype(float)
    assert (hours[zone.notna()] == zone.dropna()).all()
    assert (zone.dropna().abs() <= 12).all()
    new = done.events.loc[touched["row"], "time"]
    old_clock = (touched["detail"] == "set to 1970").to_numpy()
    assert (new[old_clock].dt.year == 1970).all()
    assert new[old_clock].groupby(touched["user"][old_clock].to_numpy()).min().eq("1970").all()
    assert (new[(touched["detail"] == "a century ahead").to_numpy()].dt.year == 2124).all()
    assert set(touched["detail"].str.split(",").str[0]) == {
        "time zone",
        "set to 1970",
        "a century ahead",
    }
    assert len(corrupt(log, {"clock": 1e-9}).touched["row"]) > 0  # one user at least
    assert len(corrupt(log, {"clock": 1.0}).touched["row"]) == 4000


def test_duplicate() -> None:
    done = corrupt(LOG, {"duplicate": 0.5})
    assert len(done.events) == 600
    assert done.events["time"].is_monotonic_increasing
    exact = rows_of(done, "duplicate")[(done.touched["detail"] == "exact copy").to_numpy()]
    assert 70 < len(exact) < 130
    assert done.events.duplicated().sum() == len(exact)
    late = done.touched[done.touched["detail"] != "exact copy"]
    seconds = late["detail"].str.extract(r"copy (\d) s later")[0].astype(int)
    assert set(seconds) == {1, 2, 3, 4, 5}
    copies = done.events.loc[late["row"]]
    sources = copies.assign(time=copies["time"] - pd.to_timedelta(seconds, "s").to_numpy())
    assert len(sources.merge(LOG.drop_duplicates(), how="inner")) == len(late)
    shuffled = corrupt(LOG.iloc[::-1], {"duplicate": 0.5}).events  # copies follow their event
    assert shuffled["user"].iloc[1:].eq(shuffled["user"].shift().iloc[1:]).sum() >= 200


def test_a_copy_has_the_faults_of_its_event() -> None:
    done = corrupt(LOG, {"duplicate": 1.0, "missing": 0.25})
    assert done.events.isna().sum().sum() == 200
    assert done.touched.groupby("fault").size().to_dict() == {"duplicate": 400, "missing": 200}
    empty = done.events.isna().any(axis=1)
    assert sorted(rows_of(done, "missing")) == np.flatnonzero(empty).tolist()


def test_robot() -> None:
    log = make_log(4000).query("user > 10")
    done = corrupt(log, {"robot": 0.1})
    added = done.events.loc[rows_of(done, "robot")]
    n_users = log["user"].nunique()
    assert added["user"].nunique() == round(0.1 * n_users)
    assert not added["user"].isin(log["user"]).any()
    assert (added["behavior"] == "view").all()
    sizes = added.groupby("user").size()
    assert sizes.between(*ROBOT_EVENTS).all()
    gaps = added.groupby("user")["time"].diff().dropna()
    assert gaps.between(pd.Timedelta("1s"), pd.Timedelta(ROBOT_GAP, "s")).all()
    by_robot = gaps.groupby(added["user"])
    assert (by_robot.min() == by_robot.max()).all()
    assert done.events["time"].is_monotonic_increasing
    assert validate(done.events).n_users == n_users + len(sizes)


@pytest.mark.parametrize(
    ("ids", "new"), [(["U7", "U12"], "U13"), (["ann", "bob9"], "ann10"), (["007"], "8")]
)
def test_names_of_robots_look_like_those_of_users(ids: list[str], new: str) -> None:
    log = make_log(40).assign(user=np.resize(ids, 40))
    done = corrupt(log, {"robot": 1.0})
    robots = done.events.loc[rows_of(done, "robot"), "user"].unique()
    assert new in robots
    assert not set(robots) & set(ids)


def test_mixed_type() -> None:
    done = corrupt(LOG.assign(item="A" + LOG["item"].astype(str)), {"mixed_type": 0.5})
    assert len(done.touched) == 200
    for column in ("user", "item"):
        part = done.touched[done.touched["column"] == column]
        now = done.events.loc[part["row"], column]
        assert done.events[column].dtype == object
        assert now.map(type).eq(str).all()
        read = now.str.strip().str.removesuffix(".0").str.upper()
        assert read.tolist() == part["original"].astype(str).tolist()
        other = "other case" if column == "item" else "as decimal"
        assert set(part["detail"]) == {other, "leading space", "trailing space"}
    with pytest.raises(ValueError, match="mixes types"):
        validate(corrupt(LOG, {"mixed_type": 0.5}).events)


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ({"duplicates": 0.1}, "no fault is named 'duplicates' .is it 'duplicate'.*robot"),
        ({"missing": 1.5}, r"faults\['missing'\] must be a number from 0 to 1, got 1.5"),
        ({"robot": -0.1}, "from 0 to 1, got -0.1"),
        ({"outlier": "much"}, "from 0 to 1, got 'much'"),
        ({"clock": float("nan")}, "from 0 to 1, got nan"),
        ({"missing:colour": 0.1}, "no column 'colour'; it has user, item"),
        ({"missing:": 0.1}, "no column ''"),
        ({"robot:user": 0.1}, "the fault robot takes no column"),
        ({"clock:time": 0.1}, "the fault clock takes no column"),
        ({"mixed_type:time": 0.1}, "cannot hit the column 'time'"),
        ({"outlier:user": 0.1}, "cannot hit the column 'user'"),
        ({"outlier:page": 0.1}, "column 'page' has type .*, no numbers"),
    ],
)
def test_bad_faults(faults: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        corrupt(LOG, faults)


def test_bad_logs() -> None:
    with pytest.raises(ValueError, match="missing: column `item`"):
        corrupt(LOG.drop(columns="item"), {})
    with pytest.raises(ValueError, match="the event log is empty"):
        corrupt(LOG.head(0), {})
    with pytest.raises(ValueError, match="positions as times"):
        corrupt(make_log(positions=True), {"clock": 0.1})
    with pytest.raises(ValueError, match="no column 'value' or 'price'"):
        corrupt(LOG.drop(columns=["value", "price"]), {"outlier": 0.1})
    with pytest.raises(ValueError, match="seed must be a whole number"):
        corrupt(LOG, {}, seed=-1)


class Tiny(World):
    """A world in which each user sees each item once an hour."""

    name, title, behaviors, notes = "tiny", "A tiny world", ("view",), "for a test"

    def log(self) -> Dataset:
        user, item = np.divmod(np.arange(self.n_users * self.n_items), self.n_items)
        events = pd.DataFrame(
            {
                "user": user,
                "item": item,
                "time": START + (item * 3600).astype("m8[s]"),
                "behavior": "view",
            }
        ).sort_values(["time", "user"], ignore_index=True)
        users = pd.DataFrame({"user": np.arange(self.n_users)})
        items = pd.DataFrame({"item": np.arange(self.n_items)})
        return Dataset(events, items, users, self.source(len(events)))

    @property
    def truth(self) -> None:
        return None

    def audience(self, n_seats: int, **options: Any) -> Any:
        raise NotImplementedError


def test_a_world_corrupts_its_log() -> None:
    world = Tiny(20, 30, 2)
    log, faults = world.log(), {"duplicate": 0.1, "robot": 0.1, "clock": 0.2, "missing": 0.1}
    done = world.corrupt(log, faults, seed=5)
    pd.testing.assert_frame_equal(done.restore(), log.events)
    pd.testing.assert_frame_equal(world.corrupt(log.events, faults, seed=5).events, done.events)
    assert done.touched["fault"].value_counts().to_dict() == {
        "robot": 702,
        "clock": 133,
        "missing": 67,
        "duplicate": 60,
    }
