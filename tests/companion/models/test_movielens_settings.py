"""The stored settings of section 2.3: both splits, no test target, and figures that hold."""

import pytest

from behaviorseq import (
    EASE,
    ItemKNN,
    Sequences,
    UserKNN,
    evaluate,
    global_time_split,
    leave_one_out,
    load,
    stored_results,
)

SPLITS = {"leave-one-out": leave_one_out, "by time": global_time_split}


@pytest.fixture(scope="module")
def tried():
    return stored_results("movielens_settings")


def test_both_splits_tried_the_same_settings(tried):
    by_split = {name: part.groupby("family").size() for name, part in tried.groupby("split")}
    assert set(by_split) == set(SPLITS)
    first, second = by_split.values()
    assert first.equals(second)
    assert len(first) == 17
    assert ((tried["low"] <= tried["NDCG@10"]) & (tried["NDCG@10"] <= tried["high"])).all()


@pytest.mark.parametrize("split", SPLITS)
def test_the_best_rows_are_what_the_models_give_on_validation(split, tried):
    held = SPLITS[split](Sequences.from_events(load("movielens-100k").events))
    for family, kind in (("item-kNN", ItemKNN), ("user-kNN", UserKNN), ("EASE", EASE)):
        rows = tried[(tried["split"] == split) & (tried["family"] == family)]
        best = rows.loc[rows["NDCG@10"].idxmax()]
        model = kind(**best["settings"]).fit(held.train)
        value = evaluate(model, held.validation, ["NDCG@10"]).mean("NDCG@10")
        assert value == pytest.approx(best["NDCG@10"], abs=2e-5)
