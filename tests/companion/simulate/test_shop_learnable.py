"""The simulated shop can be learned from, and not exhausted: claims of the book, held here."""

from dataclasses import replace

import numpy as np
import pytest

from behaviorseq import (
    EASE,
    Holdout,
    ItemKNN,
    Popularity,
    RecentPopularity,
    Recommender,
    Sequences,
    SequentialRules,
    UserFrequency,
    evaluate,
    leave_one_out,
    simulate,
)

MODELS = {
    "recent": RecentPopularity(days=7),
    "own": UserFrequency(decay=0.9),
    "neighbors": ItemKNN(),
    "last neighbors": ItemKNN(decay=0.4),
    "rules": SequentialRules(),
    "longer rules": SequentialRules(decay=0.5),
    "regression": EASE(50.0, decay=0.7),
}


class Oracle(Recommender):
    """Ranks by the truth; unlike a model it knows whose history it reads."""

    needs_history = False

    def __init__(self, truth):
        self.truth = truth

    def _fit(self, train):
        pass

    def _score(self, histories):
        last = histories.position_from_end == 0
        scores = self.truth.next_click_scores(
            histories.user_ids.decode(histories.users),
            histories.times[last],
            histories.item_ids.decode(histories.items[last]),
        )
        return scores[:, histories.item_ids.ids].astype(np.float32)


@pytest.fixture(scope="module")
def shop():
    return simulate.world("shop")


@pytest.fixture(scope="module")
def split(shop):
    events = shop.log().events
    return leave_one_out(Sequences.from_events(events[events["behavior"] == "click"]))


def ndcg(model, split, exclude_seen):
    fitted = model.fit(split.train_validation)
    return evaluate(fitted, split.test, ["NDCG@10"], exclude_seen=exclude_seen).mean("NDCG@10")


@pytest.mark.parametrize("exclude_seen", [False, True])
def test_truth_beats_simple_models_and_these_beat_popularity(shop, split, exclude_seen):
    simple = {name: ndcg(model, split, exclude_seen) for name, model in MODELS.items()}
    best = max(simple.values())
    assert ndcg(Oracle(shop.truth), split, exclude_seen) > 1.3 * best
    assert ndcg(Popularity(), split, exclude_seen) < 0.25 * best


@pytest.mark.parametrize("name", ["rules", "neighbors"])
def test_order_matters(split, name):
    model = MODELS[name].fit(split.train_validation)
    histories = split.test.histories
    chance = np.random.default_rng(0).random(histories.n_events)
    order = np.lexsort((chance, histories.row_of_event))
    shuffled = Holdout(replace(histories, items=histories.items[order]), split.test.targets)
    for exclude_seen in (False, True):
        value, without = (
            evaluate(model, holdout, ["NDCG@10"], exclude_seen=exclude_seen).mean("NDCG@10")
            for holdout in (split.test, shuffled)
        )
        assert without < 0.7 * value
