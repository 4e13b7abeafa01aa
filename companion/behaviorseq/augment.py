"""Adding histories to a training log."""

from __future__ import annotations

import numpy as np

from behaviorseq.sequences import Sequences
from behaviorseq.vocabulary import Vocabulary


def with_histories(train: Sequences, more: Sequences) -> Sequences:
    """Put histories, such as generated ones, under those of a training log.

    Users are numbered anew, because those of the second are others even where their numbers are
    the same. Times, behaviors and values are left out, as generated histories have none; the
    order of the events stays.

    Parameters
    ----------
    train : Sequences
        Histories that come first.
    more : Sequences
        Histories that come after them, of the same items.

    Returns
    -------
    Sequences
        ``len(train) + len(more)`` rows, users 0, 1, ...

    Raises
    ------
    ValueError
        If the two use different item vocabularies.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import MarkovChain, Sequences, with_histories
    >>> log = pd.DataFrame({"user": [1, 1, 2], "item": ["a", "b", "b"], "time": [0, 1, 0],
    ...                     "behavior": "view"})
    >>> histories = Sequences.from_events(log)
    >>> drawn = MarkovChain().fit(histories).sample(3, length=4)
    >>> with_histories(histories, drawn).lengths
    array([2, 1, 4, 4, 4])
    """
    if not np.array_equal(train.item_ids.ids, more.item_ids.ids):
        raise ValueError(
            f"the histories use different item vocabularies, of {train.n_items} and "
            f"{more.n_items} items: make both with the same item_ids"
        )
    n = len(train) + len(more)
    return Sequences(
        items=np.concatenate([train.items, more.items]),
        offsets=np.concatenate([train.offsets, train.n_events + more.offsets[1:]]),
        users=np.arange(n, dtype=np.int32),
        user_ids=Vocabulary(np.arange(n)),
        item_ids=train.item_ids,
    )
