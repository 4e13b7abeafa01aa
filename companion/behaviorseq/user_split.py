"""Splitting by user: a model is judged on people of whom it has seen nothing."""

from __future__ import annotations

import numpy as np

from behaviorseq.arguments import is_count, require, whole
from behaviorseq.sequences import Sequences
from behaviorseq.split import Holdout


def prefixes(sequences: Sequences, targets: int = 10) -> Holdout:
    """Hold out the last events of each row one by one, each with the events before it.

    Where one target a user says too little, for a curve whose points lie close together, each
    history gives several. Those of one user are no independent observations: average them by
    user before anything is resampled.

    Parameters
    ----------
    sequences : Sequences
        Histories. A row gives at most one target less than it has events.
    targets : int
        Most targets of a row.

    Returns
    -------
    Holdout
        One row a target, those of a user one after another, oldest first.

    Raises
    ------
    ValueError
        If ``targets`` is not a whole number of 1 or more, or no row has two events.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame({"user": 1, "item": ["a", "b", "c", "d"], "time": range(4),
    ...                     "behavior": "view"})
    >>> holdout = prefixes(Sequences.from_events(log), targets=2)
    >>> [row.tolist() for row in (holdout.histories[0], holdout.histories[1])]
    [[0, 1], [0, 1, 2]]
    >>> holdout.targets.items
    array([2, 3], dtype=int32)
    """
    require("targets", targets, is_count(targets), "a whole number of 1 or more")
    counts = np.clip(sequences.lengths - 1, 0, targets)
    if not counts.any():
        raise ValueError("no row has two events: there is no event with a history")
    rows = np.repeat(np.arange(len(sequences)), counts)
    from_end = np.cumsum(counts)[rows] - np.arange(len(rows)) - 1  # 0 for a row's last target
    taken = sequences.take(rows)
    left = from_end[taken.row_of_event]
    return Holdout(
        taken.keep(taken.position_from_end > left), taken.keep(taken.position_from_end == left)
    )


def first_events(sequences: Sequences, known: int) -> Holdout:
    """Ask for the event that comes after a user's first ones: users as they were when new.

    Parameters
    ----------
    sequences : Sequences
        Whole histories.
    known : int
        Events that the history keeps, 0 or more; 0 asks for the first event of all.

    Returns
    -------
    Holdout
        One row for each user with more events than that, with one target.

    Raises
    ------
    ValueError
        If ``known`` is not a whole number of 0 or more, or no row has so many events.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame({"user": [1, 1, 1, 2], "item": ["a", "b", "c", "a"], "time": range(4),
    ...                     "behavior": "view"})
    >>> holdout = first_events(Sequences.from_events(log), known=1)
    >>> holdout.histories[0], holdout.targets[0]
    (array([0], dtype=int32), array([1], dtype=int32))
    """
    whole("known", known, 0)
    long = sequences.take(sequences.lengths > known)
    if not len(long):
        raise ValueError(f"no row has more than {known} events: there is none to ask for")
    place = np.arange(long.n_events) - long.offsets[:-1][long.row_of_event]
    return Holdout(long.keep(place < known), long.keep(place == known))


def user_groups(
    sequences: Sequences, shares: tuple[float, ...], seed: int = 0
) -> tuple[Sequences, ...]:
    """Deal the users out at random: one group for each share, and first of all the rest.

    Parameters
    ----------
    sequences : Sequences
        Histories of all users.
    shares : tuple of float
        Share of the users in each group but the first, above 0; together below 1.
    seed : int
        The same seed deals the same users.

    Returns
    -------
    tuple of Sequences
        The rest, then a group for each share, rows in a random order: the first rows of a group
        are a random part of it.

    Raises
    ------
    ValueError
        If a share is not positive, they leave no one, or a group would be empty.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame({"user": range(10), "item": 1, "time": 0, "behavior": "view"})
    >>> train, validation, test = user_groups(Sequences.from_events(log), (0.2, 0.2))
    >>> len(train), len(validation), len(test)
    (6, 2, 2)
    """
    good = all(share > 0 for share in shares) and sum(shares) < 1
    require("shares", shares, good, "above 0 each and below 1 together")
    sizes = [int(share * len(sequences)) for share in shares]
    if 0 in sizes:
        raise ValueError(f"{len(sequences)} users are too few for groups of the shares {shares}")
    order = np.random.default_rng(seed).permutation(len(sequences))
    ends = np.cumsum([len(sequences) - sum(sizes), *sizes])
    return tuple(sequences.take(rows) for rows in np.split(order, ends[:-1]))
