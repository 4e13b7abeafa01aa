"""Histories of all users in flat arrays with offsets, never a list of lists."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
import scipy.sparse as sp

from behaviorseq.columns import (
    encoded,
    read_behaviors,
    read_columns,
    read_times,
    read_values,
)
from behaviorseq.vocabulary import Vocabulary as Vocabulary
from behaviorseq.vocabulary import check_codes, read_only

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Ties = Literal["stable", "item", "random", "error"]


@dataclass(frozen=True, eq=False)
class Sequences:
    """Histories, one row each, events oldest first, in flat arrays that cannot be written to.

    The events of row ``i`` stand at ``offsets[i]`` to ``offsets[i + 1]`` of each event array.

    Parameters
    ----------
    items : NDArray[int32]
        Item code of each event, shape (n_events,).
    offsets : NDArray[int64]
        Where each row begins, and the end of the last one, shape (n_rows + 1,).
    users : NDArray[int32]
        Code of the user of each row, shape (n_rows,).
    user_ids, item_ids : Vocabulary
        What the codes stand for.
    times : NDArray, optional
        Time of each event: datetime64, or int64 positions where a log keeps only the order.
    behaviors : NDArray[int8], optional
        Behavior of each event, an index into ``behavior_names``.
    behavior_names : tuple of str
        Names of the behaviors.
    values : NDArray[float32], optional
        Value of each event, in the unit of the log's ``value`` column; NaN where it has none.

    Raises
    ------
    ValueError
        If an array has another type than said above, the arrays do not fit together, a code
        stands for nothing, or the times of a row fall.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame({"user": ["u", "v", "u"], "item": [30, 10, 20],
    ...                     "time": [1, 0, 0], "behavior": "view"})
    >>> histories = Sequences.from_events(log)
    >>> len(histories), histories.n_items, histories.lengths
    (2, 3, array([2, 1]))
    >>> histories.item_ids.decode(histories[0])
    array([20, 30])
    """

    items: NDArray[np.int32]
    offsets: NDArray[np.int64]
    users: NDArray[np.int32]
    user_ids: Vocabulary
    item_ids: Vocabulary
    times: NDArray[Any] | None = None
    behaviors: NDArray[np.int8] | None = None
    behavior_names: tuple[str, ...] = ()
    values: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        """Check that the arrays fit together, and make them read-only."""
        for name, dtypes in _DTYPES.items():
            array = getattr(self, name)
            if array is not None:
                _check_array(name, array, dtypes)
                object.__setattr__(self, name, read_only(array))
        n = self.n_events
        if len(self.offsets) != len(self) + 1:
            raise ValueError(f"{len(self)} rows need {len(self) + 1} offsets")
        if self.offsets[0] != 0 or self.offsets[-1] != n or (self.lengths < 0).any():
            raise ValueError(f"offsets must rise from 0 to the number of events, {n}")
        for name, array in self._event_arrays().items():
            if len(array) != n:
                raise ValueError(f"{name} has {len(array)} entries for {n} events")
        check_codes("items", self.items, self.n_items)
        check_codes("users", self.users, len(self.user_ids))
        if self.behaviors is not None:
            check_codes("behaviors", self.behaviors, len(self.behavior_names))
        if self.times is not None:
            falling = self._continues(self.times[1:] < self.times[:-1])
            if falling.any():
                row = int(np.searchsorted(self.offsets, falling.argmax(), side="right")) - 1
                raise ValueError(f"times must not fall inside a row, but they do in row {row}")

    @classmethod
    def from_events(
        cls,
        events: Any,
        *,
        ties: Ties = "stable",
        seed: int = 0,
        user_ids: Vocabulary | None = None,
        item_ids: Vocabulary | None = None,
    ) -> Self:
        """Gather the events of each user, in order of time.

        Parameters
        ----------
        events : dataframe
            An event log (pandas, Polars, DuckDB, PyArrow, through Narwhals) with the columns
            ``user``, ``item``, ``time`` and, if there, ``behavior`` and ``value``.
        ties : {"stable", "item", "random", "error"}
            Order of a user's events that share their time. "stable": as the rows of the log
            stand, which an engine without row order (DuckDB) may change from run to run.
            "item": by item, behavior and value; it makes patterns of its own, since a higher item
            always follows a lower one, and lifts the figures of sequence models, so it
            only serves to repeat published ones. "random": shuffled with ``seed``, starting from
            the order of "item", so that the rows of the log may stand in any order: the
            result is the same. "error": refused.
        seed : int
            Seed of ``ties="random"``.
        user_ids, item_ids : Vocabulary, optional
            Vocabularies to encode with; without them they are built from the log. With
            ``user_ids`` a user without events has an empty row.

        Returns
        -------
        Sequences
            One row a user, in the order of ``user_ids``.

        Raises
        ------
        ValueError
            If a column is missing or of the wrong type, a user, item, time or behavior is missing,
            an identifier is not in a given vocabulary, or ``ties="error"`` and two events of a
            user share their time.

        References
        ----------
        - https://github.com/yueqirex/LRURec/issues/1 (its author's experience: NDCG about a
          fifth higher).
        """
        check_ties(ties)
        columns = read_columns(events)
        # Encoding text and gathering in no order wait for memory most of the time: two at once.
        with ThreadPoolExecutor(max_workers=2) as threads:
            identifiers = (columns["user"], columns["item"])
            codes = threads.map(encoded, identifiers, (user_ids, item_ids))
            (user, user_ids), (item, item_ids) = codes
            times = read_times(columns["time"])
            behaviors, names = read_behaviors(columns.get("behavior"))
            values = read_values(columns.get("value"))
            order = history_order(user, times, len(user_ids))
            there = {"items": item, "times": times, "behaviors": behaviors, "values": values}
            arrays = {name: array for name, array in there.items() if array is not None}
            gathered = threads.map(lambda array: array[order], arrays.values())
            ordered: dict[str, Any] = dict(zip(arrays, gathered, strict=True))
        histories = cls(
            offsets=_offsets(np.bincount(user, minlength=len(user_ids))),
            users=np.arange(len(user_ids), dtype=np.int32),
            user_ids=user_ids,
            item_ids=item_ids,
            behavior_names=names,
            **ordered,
        )
        return histories.order_ties(ties, seed)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.users)

    def __getitem__(self, row: int) -> NDArray[np.int32]:
        """Return the item codes of a row, oldest first, without copying."""
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        row %= len(self)
        return self.items[self.offsets[row] : self.offsets[row + 1]]

    @property
    def n_items(self) -> int:
        """Number of items in the vocabulary."""
        return len(self.item_ids)

    @property
    def n_events(self) -> int:
        """Number of events in all rows."""
        return len(self.items)

    @property
    def item_counts(self) -> NDArray[np.int64]:
        """Number of events of each item, shape (n_items,)."""
        return np.bincount(self.items, minlength=self.n_items)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of events of each row, shape (n_rows,)."""
        return np.diff(self.offsets)

    @property
    def row_of_event(self) -> NDArray[np.int64]:
        """Row of each event, shape (n_events,)."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @property
    def position_from_end(self) -> NDArray[np.int64]:
        """How many events of the row come after each event, shape (n_events,)."""
        return np.repeat(self.offsets[1:] - 1, self.lengths) - np.arange(self.n_events)

    def slice(self, start: int, stop: int) -> Self:
        """Return rows ``start`` to ``stop`` (as in a Python slice) without copying their events."""
        start, stop, _ = slice(start, stop).indices(len(self))
        stop = max(start, stop)
        first, last = self.offsets[start], self.offsets[stop]
        arrays = {name: a[first:last] for name, a in self._event_arrays().items()}
        offsets = self.offsets[start : stop + 1] - first
        return replace(self, offsets=offsets, users=self.users[start:stop], **arrays)

    def take(self, rows: ArrayLike) -> Self:
        """Return the given rows (indices, repeats allowed, or a mask over rows), in that order."""
        rows = np.asarray(rows)
        if rows.dtype == bool:
            if rows.shape != self.users.shape:
                raise ValueError(f"a mask over rows needs {len(self)} booleans, got {rows.shape}")
            rows = np.flatnonzero(rows)
        if rows.size and rows.dtype.kind not in "iu":
            raise ValueError(f"rows must be indices or a mask, got {rows.dtype}")
        rows = rows.astype(np.int64)
        check_codes("rows", rows, len(self))
        lengths = self.lengths[rows]
        offsets = _offsets(lengths)
        index = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], lengths)
        arrays = {name: a[index] for name, a in self._event_arrays().items()}
        return replace(self, offsets=offsets, users=self.users[rows], **arrays)

    def keep(self, mask: NDArray[np.bool_]) -> Self:
        """Return the same rows with only the events where ``mask`` (n_events,) is true."""
        if mask.shape != self.items.shape or mask.dtype != bool:
            shape = f"{mask.dtype} of shape {mask.shape}"
            raise ValueError(f"a mask over events needs {self.n_events} booleans, got {shape}")
        arrays = {name: a[mask] for name, a in self._event_arrays().items()}
        return replace(self, offsets=_offsets(mask)[self.offsets], **arrays)

    def last(self, n: int) -> Self:
        """Return the same rows with at most their last ``n`` events."""
        if n < 0:
            raise ValueError(f"n must be 0 or more, got {n}")
        return self.keep(self.position_from_end < n)

    def shuffled(self, seed: int = 0, *, keep: int = 0) -> Self:
        """Return the same rows with the events of each in random order, and without times.

        What a model loses by it is what order was worth to it. The last ``keep`` events of each
        row stay where they are.
        """
        place = self.position_from_end
        chance = np.random.default_rng(seed).random(self.n_events)
        rank = np.where(place < keep, 1 + 1 / (1 + place), chance)
        order = np.lexsort((rank, self.row_of_event))
        arrays = {name: a[order] for name, a in self._event_arrays().items()}
        return replace(self, **{**arrays, "times": None})

    def to_csr(self, weights: NDArray[Any] | None = None) -> sp.csr_array:
        """Return the row by item matrix of event counts, or of summed ``weights`` (n_events,).

        Returns
        -------
        scipy.sparse.csr_array
            Shape (n_rows, n_items), float32, without duplicates.
        """
        data = np.ones(self.n_events, dtype=np.float32) if weights is None else weights
        if len(data) != self.n_events:
            raise ValueError(f"weights must hold {self.n_events} numbers, got {len(data)}")
        # All three are copies, because summing works in place.
        parts = (np.array(data, dtype=np.float32), self.items.copy(), self.offsets.copy())
        matrix = sp.csr_array(parts, shape=(len(self), self.n_items))
        matrix.sum_duplicates()
        return matrix

    def _event_arrays(self) -> dict[str, Any]:
        names = ("items", "times", "behaviors", "values")
        return {name: a for name in names if (a := getattr(self, name)) is not None}

    def _continues(self, pairs: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Align a fact about each event and the one before, false where a row begins."""
        aligned = np.zeros(self.n_events, dtype=bool)
        aligned[1:] = pairs
        begins = self.offsets[:-1]
        aligned[begins[begins < self.n_events]] = False
        return aligned

    def order_ties(self, ties: Ties, seed: int = 0) -> Self:
        """Return the same rows with the events of each that share their time in another order.

        See :meth:`from_events` for ``ties`` and ``seed``.
        """
        check_ties(ties)
        if ties == "stable":
            return self
        if self.times is None:
            raise ValueError("histories without times have no ties: use ties='stable'")
        tied = self._continues(self.times[1:] == self.times[:-1])
        if ties == "error" and tied.any():
            rows = np.unique(self.row_of_event[tied])[:5]
            users = self.user_ids.decode(self.users[rows]).tolist()
            raise ValueError(
                f"{int(tied.sum())} events share their time with the user's event before, first "
                f"for users {users}; choose ties='stable' or ties='random'"
            )
        places = np.flatnonzero(tied | np.append(tied[1:], False))
        run = np.cumsum(~tied)[places]  # the events of one user at one time have one number
        content = [a[places] for a in (self.values, self.behaviors, self.items) if a is not None]
        order = places[np.lexsort((*content, run))]
        if ties == "random":
            chance = np.random.default_rng(seed).random(len(places))
            order = order[np.lexsort((chance, run))]
        index = np.arange(self.n_events)
        index[places] = order
        return replace(self, **{name: a[index] for name, a in self._event_arrays().items()})


_DTYPES = {
    "items": "int32",
    "offsets": "int64",
    "users": "int32",
    "times": "datetime64 or int64",
    "behaviors": "int8",
    "values": "float32",
}


def check_ties(ties: Ties) -> None:
    """Refuse an order of ties that there is not."""
    if ties not in get_args(Ties):
        raise ValueError(f"ties must be one of {get_args(Ties)}, got {ties!r}")


def _check_array(name: str, array: Any, dtypes: str) -> None:
    if not isinstance(array, np.ndarray) or array.ndim != 1:
        raise ValueError(f"{name} must be a numpy array of one dimension, got {type(array)}")
    if array.dtype.name.partition("[")[0] not in dtypes.split(" or "):
        raise ValueError(f"{name} must be {dtypes}, got {array.dtype}; use .astype")


def _offsets(lengths: NDArray[Any]) -> NDArray[np.int64]:
    """Sum lengths up, beginning with 0, shape (n + 1,)."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def history_order(user: NDArray[np.int32], times: NDArray[Any], n_users: int) -> NDArray[np.intp]:
    """Sort the rows of a log by user, then by time, then as they stand."""
    by_time = _time_order(times.view(np.int64))
    n = len(user)
    index = np.arange(n, dtype=np.int32 if n < 2**31 else np.int64)
    coordinates = (user if by_time is None else user[by_time], index)
    # Building a CSR matrix from coordinates is a counting sort by row: stable, linear.
    by_user = sp.coo_array((np.ones(n, dtype=np.int8), coordinates), shape=(n_users, n)).tocsr()
    order: NDArray[np.intp] = by_user.indices.astype(np.intp)  # numpy gathers fastest by intp
    return order if by_time is None else by_time[order]


def _time_order(ticks: NDArray[np.int64]) -> NDArray[np.intp] | None:
    """Sort the rows of a log by time, then as they stand; None where they are sorted.

    Sorting values is several times faster than finding the order of values, so time and row are
    packed into one number where 63 bits hold both: years of seconds or milliseconds do fit.
    """
    if (ticks[1:] >= ticks[:-1]).all():
        return None
    n, first, last = len(ticks), int(ticks.min()), int(ticks.max())
    row_bits = (n - 1).bit_length()
    if last - first < 2**63:
        since = ticks - first
        unit = next(u for u in (10**9, 10**6, 10**3, 1) if not (since % u).any())
        if (last - first) // unit < 2 ** (63 - row_bits):
            since //= unit
            since <<= row_bits
            since |= np.arange(n)
            since.sort()
            since &= 2**row_bits - 1
            return since.astype(np.intp, copy=False)
    return np.argsort(ticks, kind="stable")
