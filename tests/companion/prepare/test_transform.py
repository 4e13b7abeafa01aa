"""Codes, columns of 0 and 1, windows, scales, filters and the split, beside other libraries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from behaviorseq import Sequences, Vocabulary, global_time_split, prepare

START = pd.Timestamp("2024-05-01")


def make_log(n: int = 300, *, seed: int = 0, n_users: int = 40, n_items: int = 30) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "user": rng.integers(n_users, size=n),
            "item": rng.choice([f"item {i}" for i in range(n_items)], size=n),
            "time": START + pd.to_timedelta(rng.integers(0, 86_400 * 20, size=n), unit="s"),
            "behavior": rng.choice(["view", "cart"], size=n),
            "value": rng.lognormal(2, 2, size=n),
        }
    )


LOG = make_log()


def test_codes_are_those_of_a_vocabulary() -> None:
    codes = prepare.fit_codes(LOG, "item")
    vocabulary = Vocabulary(np.unique(LOG["item"].to_numpy(dtype=object)))
    assert codes.vocabulary().ids.tolist() == vocabulary.ids.tolist()
    coded = codes.apply(LOG)
    assert coded["item_code"].dtype == np.int32
    assert coded["item_code"].tolist() == vocabulary.encode(LOG["item"]).tolist()
    pd.testing.assert_frame_equal(coded.drop(columns="item_code"), LOG)


def test_codes_of_categories_are_those_of_their_text() -> None:
    kinds = pd.CategoricalDtype(sorted(LOG["item"].unique(), reverse=True), ordered=True)
    codes = prepare.fit_codes(LOG.astype({"item": kinds}), "item")
    assert codes.vocabulary().ids.tolist() == sorted(LOG["item"].unique())
    plain = prepare.fit_codes(LOG, "item").apply(LOG)["item_code"]
    assert codes.apply(LOG.astype({"item": kinds}))["item_code"].tolist() == plain.tolist()


@pytest.mark.parametrize("made", [prepare.fit_codes, prepare.one_hot])
def test_a_column_that_mixes_types_is_refused(made: Any) -> None:
    log = pd.DataFrame({"item": [1, "1 ", 2.5]})
    with pytest.raises(ValueError, match=r"column `item` mixes types.*unify_ids"):
        made(log, "item")


def test_unknown_identifiers_are_shown_or_marked() -> None:
    codes = prepare.fit_codes(LOG[LOG["item"] != "item 3"], "item")
    with pytest.raises(ValueError, match=r"column `item`: .* has no code") as error:
        codes.apply(LOG)
    assert "item 3" in str(error.value)
    marked = codes.apply(LOG, name="code", unknown=-1)
    assert ((marked["code"] == -1) == (LOG["item"] == "item 3")).all()
    with pytest.raises(ValueError, match="fit codes on the same kind"):
        codes.apply(pl.from_pandas(LOG))
    with pytest.raises(ValueError, match="holds no identifier"):
        prepare.fit_codes(LOG.assign(item=None), "item")


def test_one_hot_is_that_of_pandas() -> None:
    ours = prepare.one_hot(LOG)
    theirs = pd.get_dummies(LOG["behavior"], prefix="behavior", prefix_sep="=", dtype="int8")
    pd.testing.assert_frame_equal(ours[theirs.columns], theirs)
    only = prepare.one_hot(LOG, names=["view", "purchase"])
    assert only["behavior=purchase"].sum() == 0
    with pytest.raises(ValueError, match="more than 1,000 different entries"):
        prepare.one_hot(pd.DataFrame({"item": range(1_001)}), "item")


@settings(max_examples=30)
@given(
    seconds=st.lists(st.integers(-(10**9), 10**9), min_size=1),
    length=st.integers(1, 10**7),
    start=st.integers(-(10**9), 10**9),
)
def test_windows_are_whole_division(seconds: list[int], length: int, start: int) -> None:
    log = pd.DataFrame({"time": START + pd.to_timedelta(seconds, unit="s")})
    begin = START + pd.Timedelta(start, unit="s")
    found = prepare.add_windows(log, pd.Timedelta(length, unit="s"), start=begin)["window"]
    assert found.tolist() == [(second - start) // length for second in seconds]
    positions = prepare.add_windows(pd.DataFrame({"time": seconds}), length, start=start)
    assert positions["window"].tolist() == found.tolist()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"length": "0s"}, "longer than 0"),
        ({"length": "1D", "start": 5}, "start must be a moment"),
        ({"length": "1D", "column": "user"}, "a column `user` already"),
    ],
)
def test_windows_refuse(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        prepare.add_windows(LOG, **arguments)


@pytest.mark.parametrize(
    ("method", "theirs"), [("min-max", MinMaxScaler), ("z-score", StandardScaler)]
)
def test_scales_are_those_of_scikit_learn(method: Any, theirs: Any) -> None:
    train, test = LOG.iloc[:200], LOG.iloc[200:]
    scale = prepare.fit_scaler(train, "value", method)
    other = theirs().fit(train[["value"]].to_numpy())
    for part in (train, test):
        expected = other.transform(part[["value"]].to_numpy()).ravel()
        np.testing.assert_allclose(scale.apply(part)["value_scaled"], expected, rtol=1e-9)


def test_log_and_rank_tame_a_heavy_tail() -> None:
    log = make_log(2_000)
    out = {
        method: prepare.fit_scaler(log, "value", method).apply(log)["value_scaled"]
        for method in ("min-max", "z-score", "log", "rank")
    }
    assert out["min-max"].median() < 0.01  # one amount presses the others together
    assert abs(out["log"].skew()) < 1 < out["z-score"].skew()
    np.testing.assert_allclose(out["log"].mean(), 0, atol=1e-9)
    np.testing.assert_allclose(out["log"].std(ddof=0), 1)
    exact = (log["value"].rank() - 0.5) / len(log)
    assert (out["rank"] - exact).abs().max() <= 0.51 / 100 + 1e-9  # half a step of 101 quantiles


def test_a_scale_knows_the_training_part_alone() -> None:
    parts = prepare.split_by_time(LOG)
    scale = prepare.fit_scaler(parts.train, "value")
    later = LOG["time"] >= parts.validation_start
    changed = LOG.assign(value=LOG["value"].where(~later, 1e9))
    assert prepare.fit_scaler(prepare.split_by_time(changed).train, "value") == scale


@pytest.mark.parametrize("method", ["min-max", "z-score", "log", "rank"])
def test_constant_and_missing_amounts(method: Any) -> None:
    log = pd.DataFrame({"x": [3.0, None, 3.0]})
    scaled = prepare.fit_scaler(log, "x", method).apply(log)["x_scaled"]
    assert scaled.isna().tolist() == [False, True, False]
    assert set(scaled.dropna()) == {0.5 if method == "rank" else 0.0}


@pytest.mark.parametrize(
    ("log", "method", "words"),
    [
        (pd.DataFrame({"x": [1.0, -1.0]}), "log", "column `x`: 1 of 2 events: .*logarithm"),
        (pd.DataFrame({"x": ["a"]}), "z-score", "it has to be a number"),
        (pd.DataFrame({"x": [np.nan]}), "rank", "no entry to fit on"),
        (pd.DataFrame({"x": [np.inf]}), "min-max", "infinite"),
        (pd.DataFrame({"x": [1.0]}), "robust", "method must be one of"),
        (pd.DataFrame({"y": [1.0]}), "rank", "there is no column `x`"),
    ],
)
def test_scales_refuse(log: pd.DataFrame, method: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        prepare.fit_scaler(log, "x", method)


def core_by_hand(log: pd.DataFrame, user: int, item: int) -> pd.DataFrame:
    while True:
        kept = log[log.groupby("user")["item"].transform("size") >= user]
        kept = kept[kept.groupby("item")["user"].transform("size") >= item]
        if len(kept) == len(log):
            return log.reset_index(drop=True)
        log = kept


@settings(max_examples=10)
@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 5))
def test_core_is_the_fixed_point(seed: int, user: int, item: int) -> None:
    log = make_log(120, seed=seed)
    core, report = prepare.keep_frequent(log, user=user, item=item)
    pd.testing.assert_frame_equal(core, core_by_hand(log, user, item))
    assert report.count() == len(log) - len(core)


def test_one_round_is_less_than_the_core() -> None:
    log = make_log(200, n_users=50, n_items=60)
    once = prepare.keep_frequent(log, user=4, item=4, rounds=1)[0]
    core = prepare.keep_frequent(log, user=4, item=4)[0]
    assert len(core) < len(once)
    assert once["item"].value_counts().min() >= 4 > once["user"].value_counts().min()


def test_split_is_that_of_histories() -> None:
    parts = prepare.split_by_time(LOG, validation_start=0.6, test_start=0.8)
    other = global_time_split(Sequences.from_events(LOG), validation_start=0.6, test_start=0.8)
    assert len(parts.train) == other.train.n_events
    assert len(parts.train) + len(parts.validation) == other.train_validation.n_events
    assert len(parts.train) + len(parts.validation) + len(parts.test) == len(LOG)
    assert parts.train["time"].max() < parts.validation_start <= parts.validation["time"].min()
    assert parts.validation["time"].max() < parts.test_start <= parts.test["time"].min()
    named = prepare.split_by_time(
        LOG, validation_start=str(parts.validation_start), test_start=parts.test_start
    )
    pd.testing.assert_frame_equal(named.test, parts.test)


@pytest.mark.parametrize(
    ("log", "moments", "words"),
    [
        (LOG.assign(time=0), {}, "use behaviorseq.leave_one_out"),
        (LOG, {"test_start": 0.5}, "must lie in this order inside the log"),
        (LOG, {"test_start": 1.5}, "lies between 0 and 1"),
        (LOG.iloc[:0], {}, "nothing to split"),
        (LOG.assign(time=LOG["time"].where(LOG.index > 2)), {}, "column `time`: 3 of 300 events"),
    ],
)
def test_split_refuses(log: pd.DataFrame, moments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        prepare.split_by_time(log, **moments)


def test_infinite_amounts_are_shown() -> None:
    log = LOG.assign(value=LOG["value"].where(LOG.index != 7, -np.inf))
    with pytest.raises(ValueError, match="column `value`: 1 of 300 events: the amount is inf") as e:
        prepare.fit_scaler(log, "value", "rank")
    assert "-inf" in str(e.value)
    assert "Remedy: drop these events" in str(e.value)
