"""How probable a model held what came next: a measure that sees every change of a score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from behaviorseq.evaluation.protocol import check_scores
from behaviorseq.models.recommender import chunks

if TYPE_CHECKING:
    from behaviorseq.models.recommender import Recommender
    from behaviorseq.split import Holdout


def cross_entropy(
    model: Recommender, holdout: Holdout, *, exclude_seen: bool = True
) -> pd.Series[float]:
    r"""Give what the targets of each row cost in nats if scores are log-probabilities.

    .. math:: -\log \frac{e^{s_i}}{\sum_j e^{s_j}},

    with i the target and the sum over all items, less those of the history where these are left
    out; the mean over the targets of a row. It means something for models whose scores are
    logits, such as networks fitted with a softmax. Guessing blindly among n items costs
    :math:`\log n`, and certainty costs 0.

    Parameters
    ----------
    model : Recommender
        A fitted model.
    holdout : Holdout
        Histories and targets, one target a row at least.
    exclude_seen : bool
        Leave out items of the history. A target among them has no probability at all.

    Returns
    -------
    pandas.Series
        One entry a row of the holdout; the index is the row's user.

    Raises
    ------
    ValueError
        If a row has no target, a target has no probability, or scores are not as they must be.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import Random, Sequences, leave_one_out
    >>> log = pd.DataFrame({"user": 1, "item": ["a", "b", "a", "b"], "time": range(4),
    ...                     "behavior": "view"})
    >>> split = leave_one_out(Sequences.from_events(log))
    >>> model = Random(seed=0).fit(split.train)
    >>> model.score = lambda histories: np.log([[0.25, 0.75]])
    >>> round(float(cross_entropy(model, split.test, exclude_seen=False).iloc[0]), 3)
    0.288
    """
    histories, targets = holdout.histories, holdout.targets
    if not targets.lengths.all():
        raise ValueError(f"{int((targets.lengths == 0).sum())} rows of the holdout have no target")
    cost = np.empty(targets.n_events)
    for start, stop in chunks(len(histories), 4 * histories.n_items):
        history, target = histories.slice(start, stop), targets.slice(start, stop)
        scores = check_scores(model, history, start).astype(np.float64)
        if exclude_seen:
            scores[history.row_of_event, history.items] = -np.inf
        highest = scores.max(axis=1, keepdims=True)
        log_z = np.log(np.exp(scores - highest).sum(axis=1)) + highest[:, 0]
        rows = target.row_of_event
        first, last = targets.offsets[[start, stop]]
        cost[first:last] = log_z[rows] - scores[rows, target.items]
    if not np.isfinite(cost).all():
        row = int(targets.row_of_event[~np.isfinite(cost)][0])
        raise ValueError(f"the target of row {row} has probability 0: is it an item left out?")
    users = pd.Index(histories.user_ids.decode(histories.users), name="user")
    mean = np.add.reduceat(cost, targets.offsets[:-1]) / targets.lengths
    return pd.Series(mean, index=users, name="cross-entropy")
