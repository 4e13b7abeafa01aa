"""Histories that a model draws: their lengths checked, and put in flat arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from behaviorseq.arguments import is_count, require
from behaviorseq.sequences import Sequences
from behaviorseq.vocabulary import Vocabulary

if TYPE_CHECKING:
    from numpy.typing import NDArray


def checked_lengths(n: int, length: int | NDArray[np.int64], most: int | None) -> NDArray[np.int64]:
    """Check the sizes of what is to be drawn; give the length of each history, shape (n,)."""
    require("n", n, is_count(n), "a whole number of 1 or more")
    lengths = np.asarray(length)
    rule = "a whole number of 0 or more, or one for each history"
    shaped = lengths.shape in ((), (n,)) and lengths.dtype.kind in "iu"
    require("length", length, shaped and bool((lengths >= 0).all()), rule)
    if most is not None:
        require("length", length, bool((lengths <= most).all()), f"at most {most}, all items")
    return np.broadcast_to(lengths.astype(np.int64), (n,))


def new_histories(
    items: NDArray[np.int32], lengths: NDArray[np.int64], item_ids: Vocabulary
) -> Sequences:
    """Make histories of users 0, 1, ... from their items, row after row."""
    return Sequences(
        items=items,
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        users=np.arange(len(lengths), dtype=np.int32),
        user_ids=Vocabulary(np.arange(len(lengths))),
        item_ids=item_ids,
    )
