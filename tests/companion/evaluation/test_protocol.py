"""Evaluation of a model on a holdout, against counts by hand and a slow loop."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behaviorseq import Holdout, Popularity, Recommender, Sequences, Vocabulary, evaluate
from behaviorseq.evaluation import Evaluation, ranking_metrics, self_information
from behaviorseq.models import recommender

ITEMS = Vocabulary(np.arange(6))


def histories(*rows: list[int]) -> Sequences:
    """Make rows of item codes; users are 10, 11, ..."""
    return Sequences(
        items=np.array([item for row in rows for item in row], dtype=np.int32),
        offsets=np.cumsum([0, *map(len, rows)]),
        users=np.arange(len(rows), dtype=np.int32),
        user_ids=Vocabulary(np.arange(10, 10 + len(rows))),
        item_ids=ITEMS,
    )


class Fixed(Recommender):
    """Gives each row of histories the scores of its user."""

    needs_history = False

    def __init__(self, scores: list[list[float]]) -> None:
        self.table = np.array(scores, dtype=np.float32)

    def _fit(self, train: Sequences) -> None:
        pass

    def _score(self, histories: Sequences) -> np.ndarray:
        return self.table[histories.users].copy()


def fixed(*scores: list[float]) -> Fixed:
    model = Fixed(list(scores))
    model.fit(histories([0]))
    return model


# Users 10, 11, 12; user 11 has no target.
SEEN = histories([0, 1], [2], [3])
WANTED = histories([2], [], [3, 5])
HOLDOUT = Holdout(SEEN, WANTED)
MODEL = fixed([9, 8, 7, 1, 0, 0], [1, 2, 3, 4, 5, 6], [0, 1, 9, 8, 7, 6])


def test_by_hand_without_seen_items() -> None:
    # User 10 ranks 2, 3, ...: the target is first. User 12 ranks 2, 4, 5, 1, 0: of the targets
    # 3 is in the history, hence a miss, and 5 has place 3.
    result = evaluate(MODEL, HOLDOUT, ["HR@1", "HR@3", "Recall@3", "MRR@3"])
    assert list(result.per_user.index) == [10, 12]
    assert result.per_user["HR@1"].tolist() == [1, 0]
    assert result.per_user["HR@3"].tolist() == [1, 1]
    assert result.per_user["Recall@3"].tolist() == [1, 0.5]
    assert result.per_user["MRR@3"].tolist() == pytest.approx([1, 1 / 3])
    assert result.mean("Recall@3") == 0.75
    assert result.counts == {
        "users": 2,
        "targets": 3,
        "empty_users": 1,
        "targets_in_history": 1,
    }


def test_by_hand_with_seen_items() -> None:
    # User 10 ranks 0, 1, 2: place 3. User 12 ranks 2, 3, 4, 5: places 2 and 4.
    result = evaluate(MODEL, HOLDOUT, ["HR@2", "Recall@4"], exclude_seen=False)
    assert result.per_user["HR@2"].tolist() == [0, 1]
    assert result.per_user["Recall@4"].tolist() == [1, 1]
    assert result.counts["targets_in_history"] == 0


def test_coverage_by_hand() -> None:
    # Lists of 2 of those with a target: user 10 gets 2, 3; user 12 gets 2, 4.
    result = evaluate(MODEL, HOLDOUT, ["Coverage@1", "Coverage@2"])
    assert result.mean("Coverage@1") == pytest.approx(1 / 6)
    assert result.mean("Coverage@2") == pytest.approx(3 / 6)
    assert np.isnan(result.interval("Coverage@2").low)


def test_novelty_by_hand() -> None:
    # Of four training users four have item 2, two have item 3 (one of them twice), one has 4.
    train = histories([2, 3, 3], [2, 3], [2, 4], [2])
    assert self_information(train).tolist() == [2, 2, 0, 1, 2, 2]
    result = evaluate(MODEL, HOLDOUT, ["Novelty@2"], train=train)
    assert result.per_user["Novelty@2"].tolist() == [0.5, 1.0]  # items 2, 3 and items 2, 4


def test_a_list_that_runs_out_counts_what_it_has() -> None:
    everything_but_one = Holdout(histories([0, 1, 2, 3, 4]), histories([5]))
    train = histories([5, 4], [5])
    result = evaluate(fixed([0] * 6), everything_but_one, ["Coverage@3", "Novelty@3"], train=train)
    assert result.mean("Coverage@3") == pytest.approx(1 / 6)
    assert result.mean("Novelty@3") == 0
    assert (result.per_user["Novelty@3"] >= 0).all()


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.booleans())
def test_equals_a_slow_loop(seed: int, exclude_seen: bool) -> None:
    rng = np.random.default_rng(seed)
    table = rng.integers(0, 4, (5, 6)).astype(np.float32)  # many ties
    seen = [rng.choice(6, rng.integers(0, 4), replace=False).tolist() for _ in range(5)]
    wanted = [rng.choice(6, rng.integers(1, 4), replace=False).tolist() for _ in range(5)]
    holdout = Holdout(histories(*seen), histories(*wanted))
    names = ["HR@2", "Recall@3", "NDCG@4", "MRR@5", "MAP@3", "Precision@2"]
    ours = evaluate(fixed(*table.tolist()), holdout, names, exclude_seen=exclude_seen).per_user
    for user in range(5):
        scores = table[user].copy()
        if exclude_seen:
            scores[seen[user]] = -np.inf
        theirs = ranking_metrics(scores[None], [wanted[user]], names)
        for name in names:
            assert ours[name].iloc[user] == pytest.approx(theirs[name][0])


@settings(max_examples=30)
@given(st.permutations(range(5)))
def test_the_order_of_users_changes_nothing(order: list[int]) -> None:
    rng = np.random.default_rng(1)
    model = fixed(*rng.random((5, 6)).tolist())
    holdout = Holdout(histories([0], [1], [2], [], [4]), histories([1], [2], [3], [0], [5]))
    names = ["HR@2", "NDCG@3", "Coverage@2"]
    moved = Holdout(holdout.histories.take(order), holdout.targets.take(order))
    first, second = evaluate(model, holdout, names), evaluate(model, moved, names)
    assert first.per_user.equals(second.per_user.loc[first.per_user.index])
    assert first.coverage == second.coverage


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    names = ["NDCG@3", "Coverage@2", "Novelty@3"]
    rows = [rng.integers(0, 6, 3).tolist() for _ in range(20)]
    holdout = Holdout(histories(*rows), histories(*[[int(i)] for i in rng.integers(0, 6, 20)]))
    model = fixed(*rng.random((20, 6)).tolist())
    sizes = []
    whole = evaluate(model, holdout, names, train=holdout.histories)
    monkeypatch.setattr(recommender, "CHUNK_BYTES", 4 * 6 * 3)
    score = Fixed._score
    monkeypatch.setattr(
        Fixed, "_score", lambda self, part: sizes.append(len(part)) or score(self, part)
    )
    parts = evaluate(model, holdout, names, train=holdout.histories)
    assert sizes == [3] * 6 + [2]
    assert whole.per_user.equals(parts.per_user)
    assert whole.coverage == parts.coverage
    assert whole.counts == parts.counts


def test_a_model_keeps_its_own_scores() -> None:
    class Shared(Fixed):
        def _score(self, histories: Sequences) -> np.ndarray:
            return super()._score(histories)

    model = Shared(MODEL.table.tolist()).fit(SEEN)
    before = model.table.copy()
    evaluate(model, HOLDOUT, ["HR@1"])
    assert np.array_equal(model.table, before)


def test_table_and_interval() -> None:
    table = evaluate(MODEL, HOLDOUT, ["HR@1", "Coverage@1"]).table()
    assert list(table.columns) == ["value", "low", "high"]
    assert table.loc["HR@1", "value"] == 0.5
    assert table.loc["HR@1", "low"] <= 0.5 <= table.loc["HR@1", "high"]
    assert table.loc["Coverage@1", ["low", "high"]].isna().all()


class Wrong(Fixed):
    """Gives back what it is told, whatever the shape."""

    def _score(self, histories: Sequences) -> np.ndarray:
        return self.table


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([[1.0] * 6], r"scores of shape \(1, 6\), expected \(2, 6\)"),
        ([[1.0] * 5] * 2, r"scores of shape \(2, 5\), expected \(2, 6\)"),
        ([[1.0] * 6, [1.0, np.nan, 0, 0, 0, 0]], "not numbers, first in row 1"),
    ],
)
def test_bad_scores(scores: list[list[float]], message: str) -> None:
    model = Wrong(scores).fit(SEEN)
    with pytest.raises(ValueError, match=message):
        evaluate(model, HOLDOUT, ["HR@1"])


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (["Novelty@2"], "Novelty needs train="),
        (["Accuracy@2"], "Accuracy"),
        (["HR@0"], "HR@0"),
        (["HR"], "HR"),
    ],
)
def test_bad_metrics(metrics: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(MODEL, HOLDOUT, metrics)


def test_no_target() -> None:
    with pytest.raises(ValueError, match="the holdout has no target"):
        evaluate(MODEL, Holdout(SEEN, histories([], [], [])), ["HR@1"])


def test_unfitted_model() -> None:
    with pytest.raises(ValueError, match="not fitted"):
        evaluate(Popularity(), HOLDOUT, ["HR@1"])


def test_an_evaluation_without_coverage() -> None:
    assert Evaluation(evaluate(MODEL, HOLDOUT, ["HR@1"]).per_user).mean("HR@1") == 0.5


def test_groups_of_users_by_hand() -> None:
    values = np.array([1.0, 0.0, 0.5, 0.0, 1.0])
    evaluation = Evaluation(pd.DataFrame({"HR@1": values}, index=list("abcde")))
    lengths = pd.cut([1, 9, 2, 30, 3], [0, 5, 10, 20, 50])
    table = evaluation.by("HR@1", lengths)
    assert table["users"].to_dict() == {
        pd.Interval(0, 5): 3,
        pd.Interval(5, 10): 1,
        pd.Interval(20, 50): 1,
    }
    assert table["value"].tolist() == pytest.approx([2.5 / 3, 0, 0])
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()
    whole = evaluation.by("HR@1", ["all"] * 5).loc["all"]
    assert tuple(whole[["value", "low", "high"]]) == pytest.approx(evaluation.interval("HR@1"))


def test_groups_must_be_one_a_user_and_may_be_missing() -> None:
    evaluation = Evaluation(pd.DataFrame({"HR@1": [1.0, 0.0]}))
    with pytest.raises(ValueError, match="2 users need as many groups, got 3"):
        evaluation.by("HR@1", [1, 2, 3])
    assert evaluation.by("HR@1", [None, "a"])["users"].to_dict() == {"a": 1}
