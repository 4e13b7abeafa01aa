"""What the order of a history is worth to a model: shuffle it and ask again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from behaviorseq.arguments import is_count, require
from behaviorseq.evaluation.protocol import evaluate
from behaviorseq.evaluation.significance import PairedTest, paired_test
from behaviorseq.split import Holdout

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from behaviorseq.models.recommender import Recommender

LIST = 10  # length of the lists that are compared


@dataclass(frozen=True)
class OrderTest:
    """What shuffling the histories did to a model.

    Parameters
    ----------
    before : float
        The metric with histories as they are.
    test : PairedTest
        How much of it the shuffle took, a mean over users, with interval and p-value.
    overlap : float
        Jaccard index of the first 10 items before and after, 0 to 1, a mean over users.
    """

    before: float
    test: PairedTest
    overlap: float

    @property
    def lost(self) -> tuple[float, float, float]:
        """Share of the metric that was lost, and the ends of its interval."""
        return tuple(  # type: ignore[return-value] # three, as listed
            x / self.before for x in (self.test.difference, self.test.low, self.test.high)
        )


def shuffle_test(
    model: Recommender,
    holdout: Holdout,
    metric: str = "NDCG@10",
    *,
    last: int | None = None,
    keep: int = 0,
    shuffles: int = 3,
    exclude_seen: bool = True,
    seed: int = 0,
) -> OrderTest:
    """Shuffle each history, keep its targets, and compare the model with itself.

    The model was trained on histories in their order. What it loses is what their order was
    worth to it: the most that order can be worth to a model of this kind, since one that never
    had it could make more of the rest.

    Parameters
    ----------
    model : Recommender
        A fitted model.
    holdout : Holdout
        Histories and targets.
    metric : str
        A metric of users, such as "NDCG@10".
    last : int, optional
        Cut histories to so many last events before. A model that reads no more than these would
        otherwise also get other events by the shuffle, not just another order.
    keep : int
        So many last events stay where they are: with 1, what is lost is what order was worth
        beyond knowing which event came last.
    shuffles : int
        How often each history is shuffled; the metric is averaged for each user.
    exclude_seen : bool
        As in :func:`evaluate`.
    seed : int
        Of the shuffles and the test.

    Returns
    -------
    OrderTest
        Metric, loss with interval, overlap of the lists.

    Raises
    ------
    ValueError
        If ``shuffles`` is not 1 or more, or for the reasons of :func:`evaluate`.

    References
    ----------
    - Klenitskiy et al., Does it look sequential? An analysis of datasets for evaluation of
      sequential recommendations, RecSys 2024, arXiv 2408.12008.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import Sequences, SequentialRules, leave_one_out
    >>> log = pd.DataFrame({"user": [*"uuuuuvvvvv"], "item": [*"abcdebcdea"], "behavior": "view",
    ...                     "time": [*range(5)] * 2})
    >>> split = leave_one_out(Sequences.from_events(log))
    >>> rules = SequentialRules(steps=1).fit(split.train_validation)
    >>> found = shuffle_test(rules, split.test, "HR@1", exclude_seen=False)
    >>> found.before, 0 < found.test.difference < 1
    (0.6, True)
    """
    require("shuffles", shuffles, is_count(shuffles), "a whole number of 1 or more")
    histories = holdout.histories if last is None else holdout.histories.last(last)
    mixed = [histories.shuffled(seed + i, keep=keep) for i in range(shuffles)]

    def per_user(asked: Holdout) -> NDArray[np.float64]:
        scores = evaluate(model, asked, [metric], exclude_seen=exclude_seen)
        return scores.per_user[metric].to_numpy()  # type: ignore[no-any-return] # pandas is not typed

    before = per_user(Holdout(histories, holdout.targets))
    after = np.mean([per_user(Holdout(m, holdout.targets)) for m in mixed], axis=0)
    first, again = (
        model.recommend(h, LIST, exclude_seen=exclude_seen)[0] for h in (histories, mixed[0])
    )
    common = ((first[:, :, None] == again[:, None, :]) & (first >= 0)[:, :, None]).sum(axis=(1, 2))
    sizes = (first >= 0).sum(axis=1) + (again >= 0).sum(axis=1)
    overlap = (common / np.maximum(sizes - common, 1)).mean()
    return OrderTest(float(before.mean()), paired_test(before, after, seed=seed), float(overlap))
