"""Judging histories that a model wrote: how like real ones they are, and whether copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from behaviorseq.arguments import is_count, require
from behaviorseq.features.graph import transition_graph
from behaviorseq.features.histories import binary

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from behaviorseq.sequences import Sequences

    Floats = NDArray[np.float64]


def total_variation(first: ArrayLike, second: ArrayLike) -> float:
    r"""Give the total variation distance of two distributions, from their counts.

    .. math:: \frac{1}{2} \sum_i |p_i - q_i|,

    the largest difference that any set of outcomes has in chance: 0 if they are the same, 1 if
    they have no outcome in common. Two samples of one distribution differ by chance, the more
    the smaller they are and the more outcomes there are; put the distance of two real samples of
    the same size beside it.

    Parameters
    ----------
    first, second : array-like
        Counts or chances of the same outcomes, of any shape, not all 0.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    ValueError
        If the shapes differ, a count is negative or missing, or all are 0.

    Examples
    --------
    >>> total_variation([2, 2, 0], [1, 0, 1])
    0.5
    """
    counts = [np.asarray(each, dtype=np.float64) for each in (first, second)]
    if counts[0].shape != counts[1].shape:
        raise ValueError(f"outcomes must be the same: {counts[0].shape} and {counts[1].shape}")
    for name, each in zip(("first", "second"), counts, strict=True):
        good = bool((each >= 0).all() and each.sum() > 0)
        require(name, each.sum(), good, "counts of 0 or more with a sum above 0")
    return float(np.abs(counts[0] / counts[0].sum() - counts[1] / counts[1].sum()).sum() / 2)


def history_marks(histories: Sequences, groups: ArrayLike, *, lag: int = 10) -> pd.DataFrame:
    """Describe each history by how much it repeats itself.

    Parameters
    ----------
    histories : Sequences
        Histories.
    groups : array-like of int
        Group of each item, such as its product type, shape (n_items,).
    lag : int
        Distance at which events are compared, 1 or more.

    Returns
    -------
    pandas.DataFrame
        One row a history. ``repeats``: share of the events after the first whose item came before;
        ``same group next`` and ``same group later``: share of the pairs of events 1 and ``lag``
        places apart that are of one group. Missing where a history is too short for any pair.

    Raises
    ------
    ValueError
        If there is not one group an item, or ``lag`` is out of range.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import Sequences
    >>> log = pd.DataFrame({"user": 1, "item": ["a", "b", "a"], "time": range(3)})
    >>> history_marks(Sequences.from_events(log), [0, 1], lag=2).iloc[0].tolist()
    [0.5, 0.0, 1.0]
    """
    require("lag", lag, is_count(lag), "a whole number of 1 or more")
    group = _checked_groups(histories, groups)[histories.items]
    rows = histories.row_of_event
    pairs = rows * histories.n_items + histories.items
    came_before = np.ones(histories.n_events, dtype=bool)
    came_before[np.unique(pairs, return_index=True)[1]] = False
    later = np.arange(histories.n_events) != histories.offsets[:-1][rows]
    next_ = rows[1:] == rows[:-1]
    far = rows[lag:] == rows[:-lag]
    marks = {
        "repeats": _shares(rows[later], came_before[later], len(histories)),
        "same group next": _shares(
            rows[1:][next_], (group[1:] == group[:-1])[next_], len(histories)
        ),
        "same group later": _shares(
            rows[lag:][far], (group[lag:] == group[:-lag])[far], len(histories)
        ),
    }
    return pd.DataFrame(marks)


def history_distances(first: Sequences, second: Sequences, groups: ArrayLike) -> dict[str, float]:
    """Give how far two sets of histories are from each other, by :func:`total_variation`.

    Parameters
    ----------
    first, second : Sequences
        Histories of the same items.
    groups : array-like of int
        Group of each item, shape (n_items,).

    Returns
    -------
    dict of str to float
        Of the ``lengths`` of histories, of the ``items`` of events, of the ``item steps`` (pairs
        of an item and the next) and of the ``group steps``.

    Raises
    ------
    ValueError
        If the item vocabularies differ, there is not one group an item, or one of the two has no
        pair of events.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import Sequences
    >>> log = pd.DataFrame({"user": [1, 1, 2, 2], "item": ["a", "b", "b", "a"], "time": range(4)})
    >>> histories = Sequences.from_events(log)
    >>> history_distances(histories.slice(0, 1), histories.slice(1, 2), [0, 1])
    {'lengths': 0.0, 'items': 0.0, 'item steps': 1.0, 'group steps': 1.0}
    """
    _check_same_items(first, second)
    codes = _checked_groups(first, groups)
    counted = [
        _counts(each, codes, max(_longest(first), _longest(second))) for each in (first, second)
    ]
    return {name: total_variation(counted[0][name], counted[1][name]) for name in counted[0]}


def nearest_overlap(histories: Sequences, others: Sequences) -> Floats:
    r"""Give each history's overlap with the most alike of other histories.

    The overlap of the sets of items A and B is :math:`|A \cap B| / |A \cup B|` (Jaccard): 1 for a
    history that has exactly the items of another one, in whatever order and however often.

    Parameters
    ----------
    histories : Sequences
        Histories, such as generated ones.
    others : Sequences
        Those that they may be copies of, with one event at least.

    Returns
    -------
    NDArray[float64]
        Shape (n_histories,); 0 for an empty history.

    Raises
    ------
    ValueError
        If the item vocabularies differ, or ``others`` hold no event.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import Sequences
    >>> log = pd.DataFrame({"user": [1, 1, 2, 2], "item": ["a", "b", "b", "c"], "time": range(4)})
    >>> histories = Sequences.from_events(log)
    >>> nearest_overlap(histories.slice(0, 1), histories.slice(1, 2)).round(3)
    array([0.333])
    """
    _check_same_items(histories, others)
    if not others.n_events:
        raise ValueError("the others hold no event: there is nothing to compare with")
    sets, theirs = binary(histories.to_csr()), binary(others.to_csr())
    size, their_size = np.diff(sets.indptr), np.diff(theirs.indptr)
    nearest = np.zeros(len(histories))
    for start in range(0, len(histories), _ROWS):
        part = slice(start, start + _ROWS)
        common = (sets[part] @ theirs.T).toarray()  # (rows, n_others)
        union = size[part, None] + their_size - common
        nearest[part] = (common / np.maximum(union, 1)).max(axis=1)
    return nearest


def shared_runs(histories: Sequences, others: Sequences, length: int) -> Floats:
    """Give the share of each history's runs of events that stand in other histories too.

    Parameters
    ----------
    histories : Sequences
        Histories, such as generated ones.
    others : Sequences
        Those that they may be copies of.
    length : int
        Events in a run, one right after another, 1 or more.

    Returns
    -------
    NDArray[float64]
        Shape (n_histories,); not a number for a history that is shorter than a run.

    Raises
    ------
    ValueError
        If the item vocabularies differ, or ``length`` is out of range.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import Sequences
    >>> log = pd.DataFrame({"user": [1] * 3 + [2] * 4, "item": list("abcabab"), "time": range(7)})
    >>> histories = Sequences.from_events(log)
    >>> shared_runs(histories.slice(1, 2), histories.slice(0, 1), 2).round(3)  # ab, ba, ab
    array([0.667])
    """
    require("length", length, is_count(length), "a whole number of 1 or more")
    _check_same_items(histories, others)
    codes, rows = _run_codes([histories, others], length)
    return _shares(rows[0], np.isin(codes[0], codes[1]), len(histories))


_ROWS = 1024  # histories that are compared with all others at a time


def _run_codes(
    parts: list[Sequences], length: int
) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    """Give each run of so many items a number, the same in all parts, and the row it stands in."""
    items = np.concatenate([part.items for part in parts]).astype(np.int64)
    ends = np.cumsum([part.n_events for part in parts])
    firsts = np.concatenate([[0], np.cumsum([len(part) for part in parts])])
    row = np.concatenate(
        [part.row_of_event + first for part, first in zip(parts, firsts, strict=False)]
    )
    starts, codes = np.arange(len(items)), items
    for step in range(1, length):
        starts = starts[(starts + step < len(items))]
        starts = starts[row[starts] == row[starts + step]]
        pairs = codes[starts] * parts[0].n_items + items[starts + step]
        numbers = np.unique(pairs, return_inverse=True)[1]
        codes = np.zeros(len(items), dtype=np.int64)
        codes[starts] = numbers
    of_part = np.searchsorted(ends, starts, side="right")
    chosen = [starts[of_part == number] for number in range(len(parts))]
    return (
        [codes[each] for each in chosen],
        [row[each] - first for each, first in zip(chosen, firsts, strict=False)],
    )


def _shares(rows: NDArray[np.int64], holds: NDArray[np.bool_], n_rows: int) -> Floats:
    """Give the share that holds in each row, not a number where a row has none."""
    total = np.bincount(rows, minlength=n_rows)
    held = np.bincount(rows, weights=holds, minlength=n_rows)
    missing = np.full(n_rows, np.nan)
    shares: Floats = np.divide(held, total, out=missing, where=total > 0)
    return shares


def _counts(histories: Sequences, groups: NDArray[np.int64], longest: int) -> dict[str, Floats]:
    steps = transition_graph(histories).tocoo()
    n_groups = int(groups.max()) + 1
    cells = groups[steps.row] * n_groups + groups[steps.col]
    return {
        "lengths": np.bincount(histories.lengths, minlength=longest + 1).astype(np.float64),
        "items": histories.item_counts.astype(np.float64),
        "item steps": steps.toarray().astype(np.float64),
        "group steps": np.bincount(cells, weights=steps.data, minlength=n_groups**2),
    }


def _longest(histories: Sequences) -> int:
    return int(histories.lengths.max(initial=0))


def _checked_groups(histories: Sequences, groups: ArrayLike) -> NDArray[np.int64]:
    codes = np.asarray(groups)
    if codes.shape != (histories.n_items,) or codes.dtype.kind not in "iu" or (codes < 0).any():
        raise ValueError(
            f"groups must be a number of 0 or more for each of {histories.n_items} items, got "
            f"{codes.dtype} of shape {codes.shape}"
        )
    return codes.astype(np.int64)


def _check_same_items(first: Sequences, second: Sequences) -> None:
    if not np.array_equal(first.item_ids.ids, second.item_ids.ids):
        raise ValueError("both must use the same item vocabulary")
