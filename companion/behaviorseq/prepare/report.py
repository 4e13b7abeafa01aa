"""What cleaning did to a log: which events went, which entries were changed, and why."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import narwhals as nw
import pandas as pd

from behaviorseq.event_checks import AMOUNTS, EMPTY, REQUIRED, one_row, require_columns

from .frames import open_frame, unused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from narwhals.typing import IntoFrameT

    from behaviorseq.event_checks import Frame

Action = Literal["dropped", "changed", "emptied", "filled", "left"]


@dataclass(frozen=True)
class Change:
    """One kind of thing that a step of cleaning did.

    Parameters
    ----------
    step : str
        The step: ``"ids"``, ``"clock"``, ...
    action : str
        What was done. ``"dropped"``: the event went. ``"changed"``, ``"emptied"``, ``"filled"``:
        an entry did not stay as it was. ``"left"``: found, and not touched.
    column : str
        Of the entry, or where the reason lies for an event.
    reason : str
        Why, in words.
    count : int
        Events, or entries of the column.
    """

    step: str
    action: Action
    column: str
    reason: str
    count: int = 0


@dataclass(frozen=True)
class CleaningReport:
    """What was done to a log, and how often.

    Parameters
    ----------
    n_events, n_kept : int
        Events before and after.
    changes : tuple of Change
        All that was looked for, in order, also where nothing was found.
    """

    n_events: int
    n_kept: int
    changes: tuple[Change, ...]

    def count(self, step: str | None = None, action: str | None = None) -> int:
        """Add up what a step did, or what was done in a way; all steps, all ways by default."""
        return sum(
            change.count
            for change in self.changes
            if step in (None, change.step) and action in (None, change.action)
        )

    def table(self) -> pd.DataFrame:
        """Give one row for each kind of change."""
        columns = ["step", "action", "column", "reason", "count"]
        return pd.DataFrame([asdict(change) for change in self.changes], columns=columns)

    def __str__(self) -> str:
        """Say it in a line for each thing that happened."""
        lines = [f"{self.n_kept:,} of {self.n_events:,} events kept"]
        for change in self.changes:
            if change.count:
                column = f" `{change.column}`" if change.column else ""
                lines.append(
                    f"{change.step}: {change.count:,}{column} {change.action}: {change.reason}"
                )
        return "\n".join(lines)


@dataclass(frozen=True)
class Marked:
    """A log whose events carry marks of what is to go and what was changed.

    Nothing is taken out before all steps are through, so that all is counted in one run of a lazy
    frame.

    Parameters
    ----------
    frame : narwhals frame
        With columns of ours: ``why`` is the place of the change that drops the event, missing
        where it stays; one column for each other change; ``row``, the order of an eager frame.
    columns : tuple of str
        Those of the log.
    changes : tuple of Change
        What the marks stand for.
    names : tuple of str
        Names of our columns, by place of the change: ``why`` for events that go.
    why, row : str
        Names of our columns.
    """

    frame: Frame
    columns: tuple[str, ...]
    why: str
    row: str
    changes: tuple[Change, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def kept(self) -> nw.Expr:
        """Events that no step has dropped."""
        return nw.col(self.why).is_null()

    @property
    def order(self) -> list[str]:
        """What puts events into order: time, and of one time the order of an eager frame."""
        return ["time", self.row] if isinstance(self.frame, nw.DataFrame) else ["time"]

    def drop(self, mask: nw.Expr, step: str, column: str, reason: str) -> Marked:
        """Mark events that are to go, where they are not marked yet."""
        code = nw.when(mask.fill_null(value=False)).then(nw.lit(float(len(self.changes))))
        # Named once, so that the formula of many steps does not double with each of them.
        why = nw.coalesce(nw.col(self.why), code)
        frame: Any = self.frame.with_columns(why.alias(self.why))
        return self._with(frame, Change(step, "dropped", column, reason), self.why)

    def change(
        self,
        mask: nw.Expr,
        entry: nw.Expr | None,
        step: str,
        action: Action,
        note: str,
        column: str,
    ) -> Marked:
        """Write an entry into the events of a mask, those that are kept; None leaves it."""
        (name,) = unused(self.frame, f"{step} {column} {len(self.changes)}")
        frame: Any = self.frame.with_columns((self.kept & mask.fill_null(value=False)).alias(name))
        if entry is not None:
            written = nw.when(nw.col(name)).then(entry).otherwise(nw.col(column))
            frame = frame.with_columns(written.alias(column))
        return self._with(frame, Change(step, action, column, note), name)

    def on(self, frame: Any) -> Marked:
        """Go on with another frame, which has the same events and marks."""
        return replace(self, frame=frame)

    def _with(self, frame: Frame, change: Change, name: str) -> Marked:
        return replace(
            self, frame=frame, changes=(*self.changes, change), names=(*self.names, name)
        )


def open_log(events: Any, *, columns: Iterable[str] = REQUIRED) -> Marked:
    """Begin to clean a log."""
    frame = open_frame(events)
    names = tuple(frame.collect_schema().names())
    if set(columns) >= set(REQUIRED):
        require_columns(names)
    open_frame(events, *columns)
    schema = frame.collect_schema()
    for name in AMOUNTS:
        if name in names and not schema[name].is_numeric():
            raise ValueError(
                f"column `{name}` has type {schema[name]}: it has to be a number. Make it one, in "
                "pandas with pd.to_numeric(..., errors='coerce')"
            )
    why, row = unused(frame, "why", "row")
    if isinstance(frame, nw.DataFrame):
        frame = frame.with_row_index(row)
    marked: Any = frame.with_columns(nw.lit(None, nw.Float64).alias(why))
    return Marked(marked, names, why, row)


def close_log(log: Marked) -> tuple[Any, CleaningReport]:
    """Take out what is marked, and count."""
    frame = log.frame
    marks = [
        (nw.col(log.why) == i).fill_null(value=False) if name == log.why else nw.col(name)
        for i, name in enumerate(log.names)
    ]
    sums = [mark.cast(nw.Int64).sum().alias(f"{i}") for i, mark in enumerate(marks)]
    totals = one_row(frame, nw.len().alias("n"), log.kept.cast(nw.Int64).sum().alias("kept"), *sums)
    if not totals["n"]:
        raise ValueError(EMPTY)
    counted = [replace(c, count=int(totals[f"{i}"])) for i, c in enumerate(log.changes)]
    cleaned = frame.filter(log.kept)
    if isinstance(frame, nw.DataFrame) and not cleaned[log.row].is_sorted():
        cleaned = cleaned.sort(log.row)
    native = cleaned.select(*log.columns).to_native()
    if isinstance(native, pd.DataFrame):
        native = native.reset_index(drop=True)
    report = CleaningReport(int(totals["n"]), int(totals["kept"]), tuple(counted))
    return native, report


def cleaned(
    events: IntoFrameT, *steps: Callable[[Marked], Marked], columns: Iterable[str] = REQUIRED
) -> tuple[IntoFrameT, CleaningReport]:
    """Run steps over a log."""
    log = open_log(events, columns=columns)
    for step in steps:
        log = step(log)
    return close_log(log)
