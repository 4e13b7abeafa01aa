"""Ranking metrics of one chunk of scores, exact where scores tie.

A model that gives many items the same score has no ranking, only groups of tied items. Each
metric here is its expectation over all orders inside those groups, each equally likely, in
closed form (McSherry and Najork, Computing information retrieval performance measures
efficiently in the presence of tied scores, ECIR 2008). So a constant score is worth exactly what
chance is worth, and the numbering of items plays no part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TieGroups:
    """The groups of tied items that hold relevant ones, best first within each row.

    Parameters
    ----------
    row : NDArray[int64]
        Row of each group, rising, shape (n_groups,).
    above : NDArray[int64]
        Number of items with a higher score.
    size : NDArray[int64]
        Number of items in the group.
    relevant : NDArray[int64]
        Number of relevant items in the group.
    found_above : NDArray[int64]
        Number of relevant items with a higher score.
    n_relevant : NDArray[int64]
        Number of relevant items of each row, shape (n_rows,).
    """

    row: Ints
    above: Ints
    size: Ints
    relevant: Ints
    found_above: Ints
    n_relevant: Ints

    def within(self, k: int) -> Ints:
        """Return how many places of each group lie among the first k of the ranking."""
        return np.clip(k - self.above, 0, self.size)

    def sum(self, values: Floats) -> Floats:
        """Add up the groups of each row, shape (n_rows,)."""
        sums = np.bincount(self.row, weights=values, minlength=len(self.n_relevant))
        return sums.astype(np.float64)  # the counts of no group at all are integers

    def best(self) -> TieGroups:
        """Keep the best group of each row."""
        first = np.concatenate([[True], self.row[1:] != self.row[:-1]])[: len(self.row)]
        names = ("row", "above", "size", "relevant", "found_above")
        return replace(self, **{name: getattr(self, name)[first] for name in names})


def tie_groups(scores: NDArray[np.float32], rows: Ints, items: NDArray[np.integer]) -> TieGroups:
    """Find where the relevant items stand among the scores of their rows.

    Parameters
    ----------
    scores : NDArray[float32]
        Shape (n_rows, n_items). -inf means never recommended: a relevant item with it is missed.
    rows, items : NDArray
        Row and item of each relevant pair, shape (n_pairs,), rows rising.

    Returns
    -------
    TieGroups
        What all metrics are computed from.

    Raises
    ------
    ValueError
        If a score is not a number.
    """
    n_relevant = np.bincount(rows, minlength=len(scores))
    values = scores[rows, items]
    ranked = values > -np.inf
    rows, values = rows[ranked], values[ranked]
    order = np.lexsort((-values, rows))
    rows, values = rows[order], values[order]
    new = np.ones(len(rows), dtype=bool)
    new[1:] = (rows[1:] != rows[:-1]) | (values[1:] != values[:-1])
    start = np.flatnonzero(new)
    relevant = np.diff(start, append=len(rows))
    rows, values = rows[start], values[start]
    found = start - start[np.searchsorted(rows, rows)]
    above, size = _count(scores, rows, values)
    return TieGroups(rows, above, size, relevant, found, n_relevant)


def _count(
    scores: NDArray[np.float32], rows: Ints, values: NDArray[np.float32]
) -> tuple[Ints, Ints]:
    """Count the scores above and equal to each value in its row, a block of rows at a time."""
    above = np.empty(len(rows), dtype=np.int64)
    size = np.empty(len(rows), dtype=np.int64)
    block = max(1, 4_000_000 // max(1, scores.shape[1]))
    for start in range(0, len(rows), block):
        part = slice(start, start + block)
        block_scores, value = scores[rows[part]], values[part, None]
        above[part] = np.count_nonzero(block_scores > value, axis=1)
        size[part] = np.count_nonzero(block_scores == value, axis=1)
    return above, size


def recall(groups: TieGroups, k: int) -> Floats:
    r"""Recall@k: the share of a row's relevant items among its first k.

    :math:`\frac{1}{|R|} \sum_g m_g r_g / t_g`, where group g has :math:`t_g` items,
    :math:`r_g` of them relevant, and :math:`m_g` places among the first k. The normaliser is the
    number of relevant items, also where it is above k.
    """
    hits = groups.sum(groups.within(k) * groups.relevant / groups.size)
    return hits / np.maximum(groups.n_relevant, 1)


def precision(groups: TieGroups, k: int) -> Floats:
    r"""Precision@k: the share of relevant items among a row's first k."""
    return groups.sum(groups.within(k) * groups.relevant / groups.size) / k


def ndcg(groups: TieGroups, k: int) -> Floats:
    r"""NDCG@k: discounted gain of the first k over that of a perfect ranking.

    A relevant item at rank i gains :math:`1 / \log_2(i + 1)` (Järvelin and Kekäläinen,
    Cumulated gain-based evaluation of IR techniques, TOIS 2002).
    """
    gains = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, k + 2)))])
    low = np.minimum(groups.above, k)
    share = groups.relevant / groups.size
    found = groups.sum(share * (gains[low + groups.within(k)] - gains[low]))
    value: Floats = found / gains[np.clip(groups.n_relevant, 1, k)]
    return value


def average_precision(groups: TieGroups, k: int) -> Floats:
    r"""MAP@k: mean over users of the average precision of the first k.

    The precision at the rank of each relevant item found, summed and divided by
    :math:`\min(k, |R|)`, so that a perfect ranking has 1. TREC's ``map_cut`` divides by
    :math:`|R|` instead.
    """
    places = groups.within(k)
    slope = (groups.relevant - 1) / np.maximum(groups.size - 1, 1)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, k + 1))])
    low = np.minimum(groups.above, k)
    constant = groups.found_above + 1 - slope * (groups.above + 1)
    summed = slope * places + constant * (harmonic[low + places] - harmonic[low])
    found = groups.sum(groups.relevant / groups.size * summed)
    return found / np.clip(groups.n_relevant, 1, k)


def _first_place(groups: TieGroups, k: int) -> tuple[Floats, Floats]:
    """Return, for the best group of each row, the chance of a hit and the expected 1 / rank."""
    best = groups.best()
    places = best.within(k)
    none, inverse = np.ones(len(places)), np.zeros(len(places))
    for j in range(int(places.max(initial=0))):
        left = np.maximum(best.size - j, 1)
        hit = none * np.minimum(best.relevant / left, 1) * (j < places)
        inverse += hit / (best.above + j + 1)
        none -= hit
    return best.sum(1 - none), best.sum(inverse)


def hit_rate(groups: TieGroups, k: int) -> Floats:
    """HR@k: the chance that a row's first k hold a relevant item.

    With one relevant item a row, Recall@k and HR@k are the same.
    """
    return _first_place(groups, k)[0]


def reciprocal_rank(groups: TieGroups, k: int) -> Floats:
    """MRR@k: one over the rank of the first relevant item, 0 below rank k."""
    return _first_place(groups, k)[1]


METRICS: dict[str, Callable[[TieGroups, int], Floats]] = {
    "HR": hit_rate,
    "Recall": recall,
    "Precision": precision,
    "NDCG": ndcg,
    "MRR": reciprocal_rank,
    "MAP": average_precision,
}


def parse_metric(metric: str, known: Sequence[str] = tuple(METRICS)) -> tuple[str, int]:
    """Split a name such as ``"NDCG@10"`` into metric and k.

    Raises
    ------
    ValueError
        If the metric is unknown or k is not a whole number of 1 or more.

    Examples
    --------
    >>> parse_metric("NDCG@10")
    ('NDCG', 10)
    """
    name, _, k = metric.partition("@")
    if name not in known or not k.isdigit() or int(k) < 1:
        raise ValueError(
            f"unknown metric {metric!r}; write one of {', '.join(known)} with a length, "
            "for example 'NDCG@10'"
        )
    return name, int(k)


def ranking_metrics(
    scores: NDArray[np.float32], relevant: Sequence[Sequence[int]], metrics: Sequence[str]
) -> dict[str, Floats]:
    """Compute metrics of each row of scores.

    Parameters
    ----------
    scores : NDArray[float32]
        Shape (n_rows, n_items); higher is better, -inf is never recommended.
    relevant : sequence of sequences of int
        Relevant items of each row.
    metrics : sequence of str
        For example ``["HR@10", "NDCG@10"]``.

    Returns
    -------
    dict
        For each metric an array of shape (n_rows,), values 0 to 1.

    Raises
    ------
    ValueError
        For an unknown metric.

    Examples
    --------
    Item 2 ties with item 1 for the first place: half of the time it is first.

    >>> scores = np.array([[0.1, 0.9, 0.9]], dtype=np.float32)
    >>> ranking_metrics(scores, [[2]], ["HR@1", "MRR@3"])
    {'HR@1': array([0.5]), 'MRR@3': array([0.75])}
    """
    lengths = [len(r) for r in relevant]
    rows = np.repeat(np.arange(len(relevant)), lengths)
    items = np.fromiter((i for r in relevant for i in r), dtype=np.int64, count=sum(lengths))
    groups = tie_groups(scores, rows, items)
    return {metric: metric_values(groups, metric) for metric in metrics}


def metric_values(groups: TieGroups, metric: str) -> Floats:
    """Compute one metric, for example ``"NDCG@10"``, of each row, shape (n_rows,)."""
    name, k = parse_metric(metric)
    return METRICS[name](groups, k)
