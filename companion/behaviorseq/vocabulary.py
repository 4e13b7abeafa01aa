"""Identifiers and the codes that stand for them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Identifiers and their codes: code ``i`` stands for ``ids[i]``.

    Parameters
    ----------
    ids : NDArray
        Sorted, without repetition, shape (n,).

    Raises
    ------
    ValueError
        If ``ids`` is not sorted or repeats a value.
    TypeError
        If it mixes types that have no order.

    Examples
    --------
    >>> films = Vocabulary(np.array([12, 40, 77]))
    >>> films.encode([77, 12])
    array([2, 0], dtype=int32)
    >>> films.encode([77, 13], unknown=-1)
    array([ 2, -1], dtype=int32)
    >>> films.decode([2, 0])
    array([77, 12])
    """

    ids: NDArray[Any]

    def __post_init__(self) -> None:
        """Check the order."""
        ids = read_only(np.asarray(self.ids))
        if ids.ndim != 1 or not (ids[1:] > ids[:-1]).all():
            raise ValueError("ids must be one array, sorted, without repetition; use np.unique")
        object.__setattr__(self, "ids", ids)

    def __len__(self) -> int:
        """Return the number of identifiers."""
        return len(self.ids)

    @cached_property
    def _index(self) -> pd.Index:
        return pd.Index(self.ids)

    def encode(self, values: ArrayLike, *, unknown: int | None = None) -> NDArray[np.int32]:
        """Give the code of each value.

        Parameters
        ----------
        values : array-like
            Identifiers, shape (n,).
        unknown : int, optional
            The code of a value that is not in the vocabulary; without it such a value is an error.

        Returns
        -------
        NDArray[int32]
            Codes, one for each value.

        Raises
        ------
        ValueError
            If a value is not in the vocabulary and ``unknown`` is not given.
        """
        codes: NDArray[np.int32] = self._index.get_indexer(pd.Index(values)).astype(np.int32)
        missed = codes < 0
        if unknown is None and missed.any():
            first = pd.unique(pd.Series(np.asarray(values)[missed]))[:5].tolist()
            raise ValueError(
                f"{int(missed.sum())} values are not in the vocabulary of {len(self)}, the first "
                f"are {first}; encode with unknown=-1 to mark them, or build the vocabulary from "
                "a log that holds them"
            )
        codes[missed] = -1 if unknown is None else unknown
        return codes

    def decode(self, codes: ArrayLike) -> NDArray[Any]:
        """Give the identifier of each code.

        Raises
        ------
        ValueError
            If a code is below 0 or not below the number of identifiers.
        """
        codes = np.asarray(codes)
        if not codes.size:
            return self.ids[:0]
        check_codes("codes", codes, len(self))
        decoded: NDArray[Any] = self.ids[codes]
        return decoded


def check_codes(name: str, codes: NDArray[Any], n: int) -> None:
    """Refuse codes that are not in 0 to n - 1."""
    if codes.size and not (codes.min() >= 0 and codes.max() < n):
        bad = codes[(codes < 0) | (codes >= n)][:5].tolist()
        raise ValueError(f"{name} must be 0 or more and below {n}, but there are {bad}")


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a view that cannot be written to; the array itself stays as it is."""
    view = array.view()
    view.flags.writeable = False
    return view
