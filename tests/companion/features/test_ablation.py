"""The stored ablation of features: all sets are there, and the labels are those of the log."""

import numpy as np
import pandas as pd
import pytest

from behaviorseq import stored_results

WEEK = pd.Timedelta(days=7)


@pytest.fixture(scope="module")
def rows():
    return stored_results("features_ablation").set_index("features")


@pytest.mark.parametrize("data", ["complete-journey", "shop"])
def test_every_family_was_added_and_left_out(data, rows):
    own = rows[rows["data"] == data]
    added = own[own.index.str.startswith("statistics + ")]
    without = own[own.index.str.startswith("all - ")]
    families = set(added.index.str.removeprefix("statistics + "))
    assert families >= {"amounts", "purchases", "series", "graph", "text"}
    assert families >= {"recurrent", "convolutional"}
    assert set(without.index.str.removeprefix("all - ")) == families | {"statistics"}
    for part, other in ((added, "statistics"), (without, "all")):
        assert (part["against"] == other).all()
        apart = part["auc"] - own.loc[other, "auc"]
        np.testing.assert_allclose(part["auc_difference"], apart, atol=2e-5)
        assert (part["auc_difference_low"] <= part["auc_difference"]).all()
        assert (part["auc_difference"] <= part["auc_difference_high"]).all()
    fewer = own.loc["all", "n_features"] - without["n_features"]
    assert fewer.sum() == own.loc["all", "n_features"]


def test_the_leak_looks_perfect_and_serves_badly(rows):
    for _, own in rows.groupby("data"):
        assert own.loc["leak, as judged", "auc"] > own.loc["all", "auc_high"]
        assert own.loc["leak, as served", "auc_high"] < own.loc["statistics", "auc_low"]


def test_the_labels_are_those_of_the_log(rows, real):
    events = real("complete-journey").events
    stored = rows[rows["data"] == "complete-journey"].loc["base rate"]
    n_rows = buyers = 0
    for moment in pd.date_range("2017-10-23", periods=5, freq=WEEK):
        known = events["user"][events["time"] < moment].unique()
        week = (events["time"] >= moment) & (events["time"] < moment + WEEK)
        n_rows += len(known)
        buyers += np.isin(known, events["user"][week].unique()).sum()
    assert stored["rows"] == n_rows
    assert stored["buyers"] == pytest.approx(buyers / n_rows, abs=1e-5)
