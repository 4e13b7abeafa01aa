"""Faults of real logs, injected into a clean one, with a record of what was done where."""

from __future__ import annotations

import difflib
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from behaviorseq.arguments import number, whole
from behaviorseq.event_checks import require_columns

from .fault_kinds import ADD, COLUMNS, EDIT, FAULTS, INSERTING, OUT_OF_BOUNDS, Added, Edit, wide

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Corruption:
    """A log with faults, and where they are.

    Parameters
    ----------
    events : pandas.DataFrame
        The log with its faults: the columns are kept, rows may have been inserted, and are
        numbered from 0.
    touched : pandas.DataFrame
        One row for each entry that was changed and each row that was inserted: ``row`` (in
        ``events``, counted from 0), ``fault``, ``column`` (empty for an inserted row),
        ``original`` (the entry of the clean log), ``detail`` (in words). In order of ``row``. An
        entry that two faults hit is listed twice, both times with the entry of the clean log.
    dtypes : pandas.Series
        The types of the columns of the clean log.
    """

    events: pd.DataFrame = field(repr=False)
    touched: pd.DataFrame = field(repr=False)
    dtypes: pd.Series[Any] = field(repr=False)

    def restore(self) -> pd.DataFrame:
        """Undo all that was touched.

        Returns
        -------
        pandas.DataFrame
            The clean log, its rows numbered from 0.
        """
        events = self.events.copy()
        changed = self.touched[self.touched["column"] != ""]
        for name, part in changed.groupby("column"):
            column = events[name].copy()
            column.iloc[part["row"].to_numpy()] = part["original"].to_list()
            events[name] = column
        inserted = self.touched.loc[self.touched["fault"].isin(INSERTING), "row"]
        return events.drop(index=inserted).reset_index(drop=True).astype(self.dtypes.to_dict())


def corrupt(events: pd.DataFrame, faults: Mapping[str, float], *, seed: int = 0) -> Corruption:
    """Inject faults into an event log.

    Parameters
    ----------
    events : pandas.DataFrame
        An event log, as `behaviorseq.events` describes it. It is not changed.
    faults : mapping of str to float
        How much of each fault, from 0 to 1: the share of events, of users for ``robot``.

        ``duplicate``
            An event is logged twice: half of them exactly, half of them 1 to 5 seconds later
            (all exactly where times are positions). A copy has the other faults of its event.
        ``missing``
            An entry is empty: one of item, behavior, value, price.
        ``outlier``
            A value or price is 100, 1,000 or 10,000 times as large.
        ``clock``
            All events of some users are shifted: by whole hours (a wrong time zone), to 1970 (a
            clock without battery), or by a century (a wrong year). Users are taken until the
            share of events is reached as nearly as can be, one at least.
        ``robot``
            Users are added with 200 to 400 events each of the commonest behavior, with items and
            all else drawn from the log, one event every 1 to 5 seconds without the least
            variation. Where times are positions only the long history is left of that.
        ``mixed_type``
            An identifier of a user or item is text with another spelling (``' 12'``, ``'12.0'``,
            ``'a12'`` for ``'A12'``) in a column of type object.

        ``missing``, ``outlier`` and ``mixed_type`` take a column of your own after a colon:
        ``"missing:time"``, ``"outlier:price"``, ``"mixed_type:item"``.
    seed : int
        The same seed gives the same faults. What one fault does to the events of the log depends
        neither on which others are asked for nor on how much of them.

    Returns
    -------
    Corruption
        The log with faults, what was touched, and a way back.

    Raises
    ------
    ValueError
        If a fault is not known, a share is not from 0 to 1, a column is not there, or the log is
        empty, or keeps only the order where a fault of clocks is asked for.

    Examples
    --------
    >>> log = pd.DataFrame(
    ...     {
    ...         "user": [1, 1, 2, 2],
    ...         "item": [12, 7, 12, 9],
    ...         "time": pd.to_datetime(["2024-05-01"] * 4).as_unit("s"),
    ...         "behavior": "purchase",
    ...         "value": [5.0, 2.0, 5.0, 4.0],
    ...     }
    ... )
    >>> broken = corrupt(log, {"mixed_type:item": 0.5, "outlier": 0.25}, seed=1)
    >>> broken.touched
       row       fault column original         detail
    0    1  mixed_type   item        7  leading space
    1    1     outlier  value      2.0      times 100
    2    3  mixed_type   item        9  leading space
    >>> broken.events["item"].tolist()
    [12, ' 7', 12, ' 9']
    >>> broken.restore().equals(log)
    True
    """
    require_columns(events.columns)
    if not len(events):
        raise ValueError("the event log is empty: there is nothing to put faults into")
    seed = whole("seed", seed, 0)
    shares = {name: number(f"faults[{name!r}]", share, 0, 1) for name, share in faults.items()}
    asked = {name: _parse(name, events) for name in shares}
    clean = events.reset_index(drop=True)
    changed, edits, added = clean.copy(), [], []
    for name in sorted(asked, key=lambda name: (FAULTS.index(asked[name][0]), name)):
        fault, columns = asked[name]
        key = zlib.crc32(name.encode())
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(key,)))
        if fault in ADD:
            added.append(ADD[fault](clean, shares[name], rng))
        else:
            edits += (made := EDIT[fault](clean, columns, shares[name], rng))
            for edit in made:
                _write(changed, edit)
    return _assemble(clean, changed, edits, added)


def _parse(name: str, events: pd.DataFrame) -> tuple[str, tuple[str, ...]]:
    """Split ``fault:column``, and find the columns that the fault takes."""
    fault, colon, column = str(name).partition(":")
    if fault not in FAULTS:
        near = difflib.get_close_matches(fault, FAULTS, n=1)
        hint = f" (is it {near[0]!r}?)" if near else ""
        raise ValueError(f"no fault is named {name!r}{hint}; there are {', '.join(FAULTS)}")
    if colon and (fault in INSERTING or fault == "clock"):
        raise ValueError(f"{name!r}: the fault {fault} takes no column")
    if column in OUT_OF_BOUNDS.get(fault, ()):
        raise ValueError(f"{name!r}: the fault {fault} cannot hit the column {column!r}")
    if fault == "clock" and pd.api.types.is_integer_dtype(events["time"]):
        raise ValueError("the log has positions as times: it has no clock that could be wrong")
    wanted = (column,) if colon else COLUMNS.get(fault, ())
    there = tuple(name for name in wanted if name in events)
    if wanted and not there:
        raise ValueError(
            f"{name!r}: the log has no column {' or '.join(map(repr, wanted))}; "
            f"it has {', '.join(map(str, events))}"
        )
    return fault, there


def _nullable(column: pd.Series[Any]) -> pd.Series[Any]:
    """Give a column of whole numbers or truth values a type that knows missing entries."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iub":
        return column.convert_dtypes()
    return column


def _write(changed: pd.DataFrame, edit: Edit) -> None:
    """Write new entries into a column, in a type that can hold them."""
    if not len(edit.rows):
        return
    prepare = {"mixed_type": lambda column: column.astype(object), "outlier": wide}
    column = prepare.get(edit.fault, _nullable)(changed[edit.column]).copy()
    column.iloc[edit.rows] = edit.entries
    changed[edit.column] = column


def _assemble(
    clean: pd.DataFrame, changed: pd.DataFrame, edits: list[Edit], added: list[Added]
) -> Corruption:
    """Bring all rows into order, and tell where the faults are."""
    for part in added:
        changed["user"] = _room(changed["user"], part.users)
    notes = [
        _note(edit.rows, edit.fault, edit.column, clean[edit.column].iloc[edit.rows], edit.detail)
        for edit in edits
    ]
    changes = pd.concat([_note(np.empty(0, dtype=np.int64), "", "", None, ""), *notes])
    frames, touched, n_rows = [changed], [changes], len(clean)
    for part in added:
        numbers = np.arange(n_rows, n_rows + len(part.sources))
        n_rows += len(part.sources)
        frames.append(_made(part, clean, changed))
        touched.append(_note(numbers, part.fault, "", None, part.detail))
        if part.fault == "duplicate":
            copy_of = pd.DataFrame({"row": part.sources, "copy": numbers})
            copied = changes.merge(copy_of, on="row")
            touched.append(copied.assign(row=copied["copy"]).drop(columns="copy"))
    places = np.concatenate([np.arange(len(clean)), *(part.places - 0.5 for part in added)])
    order = np.argsort(places, kind="stable")
    row_of = np.empty_like(order)
    row_of[order] = np.arange(n_rows)
    notes_in_order = pd.concat(touched)
    notes_in_order["row"] = row_of[notes_in_order["row"]]
    return Corruption(
        pd.concat(frames, ignore_index=True).take(order).reset_index(drop=True),
        notes_in_order.sort_values("row", kind="stable", ignore_index=True),
        clean.dtypes,
    )


def _room(column: pd.Series[Any], users: Any) -> pd.Series[Any]:
    """Give a column of users a type that can hold those who are added."""
    if users is None or not len(users):
        return column
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.add_categories(pd.unique(users))
    return wide(column)


def _made(part: Added, clean: pd.DataFrame, changed: pd.DataFrame) -> pd.DataFrame:
    """Make the rows that are inserted."""
    if part.users is None:
        rows = changed.take(part.sources)
        return rows.assign(time=rows["time"] + part.delay)
    rows = clean.take(part.sources).astype(changed.dtypes.to_dict())
    users = pd.Series(part.users, index=rows.index).astype(changed["user"].dtype)
    times = pd.Series(part.times, index=rows.index).astype(changed["time"].dtype)
    return rows.assign(user=users, time=times)


def _note(rows: Rows, fault: str, column: str, original: Any, detail: Any) -> pd.DataFrame:
    """Write down what was done."""
    entries = [None] * len(rows) if original is None else original.astype(object).to_numpy()
    return pd.DataFrame(
        {
            "row": rows,
            "fault": pd.Series([fault] * len(rows), dtype="str"),
            "column": pd.Series([column] * len(rows), dtype="str"),
            "original": pd.Series(entries, dtype=object),
            "detail": pd.Series(np.broadcast_to(detail, len(rows)), dtype="str"),
        }
    )
