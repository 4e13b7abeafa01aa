"""Evaluating a model on a holdout: full ranking, in chunks of bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from behaviorseq.evaluation.ranking import METRICS, metric_values, parse_metric, tie_groups
from behaviorseq.evaluation.significance import Interval, bootstrap_interval
from behaviorseq.models.recommender import chunks, top_k

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from behaviorseq.models.recommender import Recommender
    from behaviorseq.sequences import Sequences
    from behaviorseq.split import Holdout

LIST_METRICS = ("Coverage", "Novelty")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a model achieved on a holdout.

    Parameters
    ----------
    per_user : pandas.DataFrame
        One row a user (its id is the index), one column a metric.
    coverage : dict
        Coverage@k: the share of the catalogue that stands in at least one user's first k.
    counts : dict
        ``users``, ``targets``, ``empty_users`` (without a target, left out),
        ``targets_in_history`` (sure misses when seen items are left out).
    """

    per_user: pd.DataFrame
    coverage: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def mean(self, metric: str) -> float:
        """Return the mean of a metric over users, or a coverage."""
        if metric in self.coverage:
            return self.coverage[metric]
        return float(self.per_user[metric].mean())

    def interval(self, metric: str, *, level: float = 0.95, seed: int = 0) -> Interval:
        """Return mean and bootstrap interval over users; a coverage has no interval."""
        if metric in self.coverage:
            return Interval(self.coverage[metric], np.nan, np.nan)
        return bootstrap_interval(self.per_user[metric], level=level, seed=seed)

    def by(
        self, metric: str, groups: ArrayLike, *, level: float = 0.95, seed: int = 0
    ) -> pd.DataFrame:
        """Return a metric for groups of users: for whom a model is good.

        Parameters
        ----------
        metric : str
            A column of ``per_user``.
        groups : array-like
            The group of each user, in the order of ``per_user``; a categorical (``pd.cut``,
            ``pd.qcut``) keeps its order. A user whose group is missing is in none.
        level : float
            Confidence level of the intervals.
        seed : int
            Seed of the resamples.

        Returns
        -------
        pandas.DataFrame
            One row a group that has users: ``value``, ``low``, ``high``, ``users``.

        Raises
        ------
        ValueError
            If there is not one group a user.

        Examples
        --------
        >>> evaluation = Evaluation(pd.DataFrame({"HR@10": [1.0, 1.0, 0.0, 0.0]}))
        >>> evaluation.by("HR@10", ["long", "long", "short", "short"])["value"]
        long     1.0
        short    0.0
        Name: value, dtype: float64
        """
        labels = pd.Series(groups).array
        if len(labels) != len(self.per_user):
            raise ValueError(f"{len(self.per_user)} users need as many groups, got {len(labels)}")
        grouped = self.per_user[metric].groupby(labels, observed=True)
        rows = {
            name: (*bootstrap_interval(values, level=level, seed=seed), len(values))
            for name, values in grouped
        }
        columns = ["value", "low", "high", "users"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns)

    def table(self, *, level: float = 0.95) -> pd.DataFrame:
        """Return one row a metric: value, low and high end of its interval."""
        names = [*self.per_user.columns, *self.coverage]
        rows = [self.interval(name, level=level) for name in names]
        return pd.DataFrame(rows, index=names)


def evaluate(
    model: Recommender,
    holdout: Holdout,
    metrics: Sequence[str] = ("HR@10", "NDCG@10"),
    *,
    train: Sequences | None = None,
    exclude_seen: bool = True,
) -> Evaluation:
    r"""Rank all items for each history and see where the targets stand.

    Full ranking: no sample of negatives, which can reverse the order of models (Krichene and
    Rendle, KDD 2020). Ties in score count by expectation over their orders. Novelty@k is the
    mean of :math:`-\log_2 p_i` over the first k, where :math:`p_i` is the share of training
    users who have item i (Zhou et al., PNAS 2010); an item without any counts as one user's.

    Parameters
    ----------
    model : Recommender
        A fitted model.
    holdout : Holdout
        Histories and targets.
    metrics : sequence of str
        Any of HR, Recall, Precision, NDCG, MRR, MAP, Coverage, Novelty, each with its length:
        ``"NDCG@10"``.
    train : Sequences, optional
        What the model was fitted on; Novelty needs it.
    exclude_seen : bool
        Leave out items of the history. Set it to False where people take the same again.

    Returns
    -------
    Evaluation
        Per-user metrics, coverages and counts.

    Raises
    ------
    ValueError
        For an unknown metric, scores of the wrong shape or that are not numbers, or no target.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import Popularity, Sequences, leave_one_out
    >>> log = pd.DataFrame({"user": [1, 1, 1, 2, 2, 2], "item": list("abcabd"),
    ...                     "time": [0, 1, 2] * 2, "behavior": "view"})
    >>> split = leave_one_out(Sequences.from_events(log))
    >>> model = Popularity().fit(split.train)
    >>> evaluate(model, split.test, ["HR@1", "NDCG@2"]).mean("HR@1")
    0.5
    """
    names = [parse_metric(m, (*METRICS, *LIST_METRICS)) for m in metrics]
    ranked = [m for m, (name, _) in zip(metrics, names, strict=True) if name in METRICS]
    lists = {
        m: (name, k) for m, (name, k) in zip(metrics, names, strict=True) if name not in METRICS
    }
    if any(name == "Novelty" for name, _ in lists.values()) and train is None:
        raise ValueError("Novelty needs train=, the histories that the model was fitted on")
    kept = holdout.targets.lengths > 0
    if not kept.any():
        raise ValueError("the holdout has no target: nothing can be evaluated")
    histories, targets = holdout.histories.take(kept), holdout.targets.take(kept)
    novelty = None if train is None else self_information(train)
    longest = max((k for _, k in lists.values()), default=0)
    parts: dict[str, list[NDArray[Any]]] = {m: [] for m in ranked}
    tops = [np.empty((0, longest), dtype=np.int64)]
    seen_targets = 0
    for start, stop in chunks(len(histories), 4 * histories.n_items):
        history, target = histories.slice(start, stop), targets.slice(start, stop)
        scores = check_scores(model, history, start)
        if exclude_seen:
            scores[history.row_of_event, history.items] = -np.inf
            seen_targets += int((scores[target.row_of_event, target.items] == -np.inf).sum())
        groups = tie_groups(scores, target.row_of_event, target.items)
        for metric in ranked:
            parts[metric].append(metric_values(groups, metric))
        if longest:
            best = top_k(scores, min(longest, histories.n_items))
            best[np.take_along_axis(scores, best, axis=1) == -np.inf] = -1
            tops.append(best)
    users = pd.Index(histories.user_ids.decode(histories.users), name="user")
    per_user = pd.DataFrame({m: np.concatenate(p) for m, p in parts.items()}, index=users)
    coverage = {}
    for metric, (name, k) in lists.items():
        best = np.concatenate(tops[1:])[:, :k]
        if name == "Coverage":
            coverage[metric] = len(np.unique(best[best >= 0])) / histories.n_items
        else:
            assert novelty is not None
            per_user[metric] = _mean_of_lists(novelty, best)
    counts = {
        "users": len(histories),
        "targets": targets.n_events,
        "empty_users": int((~kept).sum()),
        "targets_in_history": seen_targets,
    }
    return Evaluation(per_user, coverage, counts)


def self_information(train: Sequences) -> NDArray[np.float64]:
    r"""Give :math:`-\log_2` of the share of training users who have each item, (n_items,)."""
    users = np.bincount(train.to_csr().indices, minlength=train.n_items)
    information: NDArray[np.float64] = -np.log2(np.maximum(users, 1) / len(train))
    return information


def _mean_of_lists(values: NDArray[np.float64], lists: NDArray[np.int64]) -> NDArray[np.float64]:
    """Average the values of the items in each list; places without an item do not count."""
    there = lists >= 0
    total = np.where(there, values[lists], 0).sum(axis=1)
    mean: NDArray[np.float64] = total / np.maximum(there.sum(axis=1), 1)
    return mean


def check_scores(model: Recommender, histories: Sequences, first_row: int) -> NDArray[np.float32]:
    """Ask a model for its scores and check them."""
    scores = model.score(histories)
    shape = (len(histories), histories.n_items)
    if scores.shape != shape:
        raise ValueError(f"{model!r} gave scores of shape {scores.shape}, expected {shape}")
    bad = np.isnan(scores).any(axis=1)
    if bad.any():
        row = first_row + int(bad.argmax())
        raise ValueError(f"{model!r} gave scores that are not numbers, first in row {row}")
    return scores
