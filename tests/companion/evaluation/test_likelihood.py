"""Cross-entropy: the same as PyTorch's, whatever the chunks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from behaviorseq import Holdout, Recommender, Sequences, cross_entropy, prefixes
from behaviorseq.models import recommender


class Fixed(Recommender):
    """Scores that depend on the last item alone."""

    def _fit(self, train: Sequences) -> None:
        shape = (train.n_items, train.n_items)
        self.table = 100 * np.random.default_rng(0).standard_normal(shape).astype(np.float32)

    def _score(self, histories: Sequences) -> np.ndarray:
        return self.table[histories.items[histories.position_from_end == 0]]


@pytest.fixture
def histories() -> Sequences:
    rng = np.random.default_rng(1)
    log = pd.DataFrame({"user": np.repeat(np.arange(9), 6), "behavior": "view"})
    log["item"] = np.concatenate([rng.permutation(12)[:6] for _ in range(9)])
    return Sequences.from_events(log.assign(time=log.groupby("user").cumcount()))


def test_same_as_torch(histories: Sequences, monkeypatch: pytest.MonkeyPatch) -> None:
    model, holdout = Fixed().fit(histories), prefixes(histories, 3)
    found = cross_entropy(model, holdout, exclude_seen=False)
    expected = torch.nn.functional.cross_entropy(
        torch.tensor(model.score(holdout.histories)).double(),
        torch.tensor(holdout.targets.items).long(),
        reduction="none",
    )
    assert np.allclose(found, expected)
    assert found.index.tolist() == holdout.histories.users.tolist()
    monkeypatch.setattr(recommender, "CHUNK_BYTES", 4 * histories.n_items * 2)
    assert np.allclose(cross_entropy(model, holdout, exclude_seen=False), found)


def test_seen_items_take_no_probability(histories: Sequences) -> None:
    model, holdout = Fixed().fit(histories), prefixes(histories, 3)
    found = cross_entropy(model, holdout)
    assert (found <= cross_entropy(model, holdout, exclude_seen=False) + 1e-9).all()
    row = 4
    scores = model.score(holdout.histories.slice(row, row + 1))[0].astype(float)
    left = np.setdiff1d(np.arange(histories.n_items), holdout.histories[row])
    by_hand = np.log(np.exp(scores[left] - scores.max()).sum()) + scores.max()
    assert found.iloc[row] == pytest.approx(by_hand - scores[holdout.targets.items[row]])


def test_mean_of_several_targets(histories: Sequences) -> None:
    model = Fixed().fit(histories)
    whole = Holdout(histories.last(3), histories.last(2))
    found = cross_entropy(model, whole, exclude_seen=False)
    scores = torch.tensor(model.score(whole.histories)).double().log_softmax(dim=1).numpy()
    first = -scores[0, whole.targets[0]].mean()
    assert found.iloc[0] == pytest.approx(first)


def test_refusals(histories: Sequences) -> None:
    model = Fixed().fit(histories)
    with pytest.raises(ValueError, match="probability 0"):
        cross_entropy(model, Holdout(histories, histories.last(1)))
    nothing = histories.keep(np.zeros(histories.n_events, dtype=bool))
    with pytest.raises(ValueError, match="have no target"):
        cross_entropy(model, Holdout(histories, nothing))
