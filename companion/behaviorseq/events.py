"""The event log: what it is, how it is checked, how it is read from a file.

An event log is a dataframe with one row for each thing a user did. Its columns:

========  ========  ==========================================================================
column    required  meaning
========  ========  ==========================================================================
user      yes       who; any type, never missing
item      yes       with what; any type, never missing
time      yes       when: ``datetime64`` without time zone, in UTC; or an integer position in
                    the user's history (0, 1, ...) where the log keeps only the order
behavior  yes       what was done: a name of `BEHAVIORS`, or of a vocabulary of one's own
value     no        an amount that is not negative: stars, money, seconds
price     no        an amount of money that is not negative
session   no        what was done in one go: a visit, a basket
========  ========  ==========================================================================

Other columns are kept and not looked at. Rows need not be sorted by time.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import narwhals as nw
import pandas as pd

from .event_checks import (
    REQUIRED,
    SHOWN,
    contract_columns,
    encode_text,
    find_faults,
    near,
    one_row,
    refuse,
    require_columns,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from narwhals.typing import IntoFrame

    from .event_checks import Frame

#: The standard names of behaviors: what is seen, wanted, bought, judged, shared, played, studied,
#: and done with money.
BEHAVIORS: tuple[str, ...] = (
    *("impression", "view", "click", "search"),
    *("favorite", "cart", "uncart"),
    *("purchase", "return"),
    *("rate", "review", "like", "dislike"),
    *("comment", "share", "follow"),
    *("play", "skip", "complete"),
    *("enroll", "attempt", "answer"),
    *("deposit", "withdraw", "transfer", "pay", "invest", "redeem"),
)


@dataclass(frozen=True)
class EventReport:
    """What `validate` counted in an event log.

    Parameters
    ----------
    n_events, n_users, n_items : int
        Rows, different users, different items.
    first, last : pandas.Timestamp or int
        Earliest and latest time, or lowest and highest position.
    behaviors : dict of str to int
        Events of each behavior, the most frequent first.
    duplicates : int
        Events that repeat the user, item, time and behavior of another; the first is not counted.
    single_event_users : int
        Users with one event, of whom nothing can be predicted and tested.
    tied_events : int
        Events that share their time with another event of the same user: the log does not say
        which came first.
    """

    n_events: int
    n_users: int
    n_items: int
    first: pd.Timestamp | int
    last: pd.Timestamp | int
    behaviors: dict[str, int]
    duplicates: int
    single_event_users: int
    tied_events: int

    @property
    def tied_share(self) -> float:
        """Share of the events that are tied in time with another of their user, 0 to 1."""
        return self.tied_events / self.n_events

    def __str__(self) -> str:
        """Say it in a few lines."""
        named = ", ".join(f"{name} {count:,}" for name, count in self.behaviors.items())
        return (
            f"{self.n_events:,} events of {self.n_users:,} users with {self.n_items:,} items\n"
            f"from {self.first} to {self.last}\n"
            f"behaviors: {named}\n"
            f"duplicated events: {self.duplicates:,}\n"
            f"users with a single event: {self.single_event_users:,}\n"
            f"events that share their time with another of the same user: "
            f"{self.tied_events:,} ({self.tied_share:.1%})"
        )


def validate(
    events: IntoFrame, *, behaviors: Collection[str] = BEHAVIORS, now: datetime | None = None
) -> EventReport:
    """Check an event log and count what a reader should know about it.

    Parameters
    ----------
    events : dataframe
        pandas, Polars (lazy too), DuckDB relation, pyarrow or Spark: whatever Narwhals reads. Of
        a lazy one only sums and the first offending rows are collected.
    behaviors : collection of str
        The behaviors that may occur.
    now : datetime, optional
        A later time is a fault. The present by default. Without time zone it is taken as UTC.

    Returns
    -------
    EventReport
        Counts, among them the things that are no fault but matter: duplicates, ties, users with
        a single event.

    Raises
    ------
    ValueError
        If a required column is missing or of the wrong type, an identifier, a time or a behavior
        is missing, a time lies in the future, a behavior is unknown, an amount is negative, or
        there is no event. The message names the column, the number of offending rows, the first
        of them (counted from 0, where the dataframe has an order), and the remedy.

    Examples
    --------
    >>> import numpy as np
    >>> log = pd.DataFrame(
    ...     {
    ...         "user": ["ann", "ann", "bob"],
    ...         "item": ["tea", "jam", "tea"],
    ...         "time": np.array(["2024-05-01T10", "2024-05-01T10", "2024-05-02T08"], "M8[s]"),
    ...         "behavior": ["view", "cart", "purchase"],
    ...         "value": [0, 0, 3.5],
    ...     }
    ... )
    >>> print(validate(log))
    3 events of 2 users with 2 items
    from 2024-05-01 10:00:00 to 2024-05-02 08:00:00
    behaviors: cart 1, purchase 1, view 1
    duplicated events: 0
    users with a single event: 1
    events that share their time with another of the same user: 2 (66.7%)
    >>> validate(log.assign(value=[0, 0, -3.5]))
    Traceback (most recent call last):
        ...
    ValueError: column `value`: 1 of 3 events: the amount is negative.
    First offending rows:
     row user item                time behavior value
       2  bob  tea 2024-05-02 08:00:00 purchase  -3.5
    Remedy: make returns a behavior of their own with a positive amount, or drop these events.
    """
    frame = contract_columns(events)
    faults = find_faults(frame, _utc(now or datetime.now(UTC)))
    totals = one_row(
        frame,
        nw.len().alias("events"),
        nw.col("time").min().alias("first"),
        nw.col("time").max().alias("last"),
        nw.col("item").n_unique().alias("items"),
        *(mask.cast(nw.Int64).sum().alias(f"fault {i}") for i, (_, mask, *_) in enumerate(faults)),
    )
    for i, (column, mask, fault, remedy) in enumerate(faults):
        if count := totals[f"fault {i}"]:
            refuse(frame, column, mask, int(count), fault, remedy)
    return _report(frame, totals, _count_behaviors(frame, behaviors))


def _count_behaviors(frame: Frame, known: Collection[str]) -> dict[str, int]:
    """Count the events of each behavior, and refuse an unknown one."""
    counts = frame.lazy().group_by("behavior").agg(nw.len().alias("n")).collect().rows()
    behaviors = dict(sorted(((str(b), int(n)) for b, n in counts), key=lambda x: (-x[1], x[0])))
    unknown = [name for name in behaviors if name not in known]
    if unknown:
        named = ", ".join(f"`{name}`{near(name, known)}" for name in unknown)
        mask = nw.col("behavior").cast(nw.String).is_in(unknown)
        remedy = (
            "rename them to names of behaviorseq.events.BEHAVIORS, "
            "or pass your own vocabulary: behaviors=(...)"
        )
        count = sum(behaviors[name] for name in unknown)
        refuse(frame, "behavior", mask, count, f"unknown behavior {named}", remedy)
    return behaviors


def _report(frame: Frame, totals: dict[str, Any], behaviors: dict[str, int]) -> EventReport:
    """Count users, ties and duplicates."""
    size = nw.len().alias("n")
    lazy = encode_text(frame).lazy()
    single = (nw.col("n") == 1).cast(nw.Int64).sum().alias("single")
    users = one_row(lazy.group_by("user").agg(size), nw.len().alias("users"), single)
    moments = lazy.group_by("user", "time").agg(size).filter(nw.col("n") > 1)
    tied = int(one_row(moments, nw.col("n").sum())["n"] or 0)
    duplicates = 0
    if tied:  # a duplicate is tied with its original: look nowhere else
        among = lazy.join(moments.select("user", "time"), on=["user", "time"], how="semi")
        different = one_row(among.select(REQUIRED).unique(), nw.len().alias("n"))["n"]
        duplicates = tied - int(different)
    as_time = int if isinstance(totals["first"], int) else pd.Timestamp
    return EventReport(
        n_events=int(totals["events"]),
        n_users=int(users["users"]),
        n_items=int(totals["items"]),
        first=as_time(totals["first"]),
        last=as_time(totals["last"]),
        behaviors=behaviors,
        duplicates=duplicates,
        single_event_users=int(users["single"]),
        tied_events=tied,
    )


def _utc(time: datetime) -> datetime:
    """Drop the time zone, after the change to UTC."""
    return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time


def read_events(
    path: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    behavior: str | None = None,
    time_unit: Literal["s", "ms", "us", "ns"] | None = None,
    time_format: str | None = None,
    behaviors: Collection[str] = BEHAVIORS,
) -> pd.DataFrame:
    r"""Read an event log from CSV, Parquet or JSON lines, and `validate` it.

    Parameters
    ----------
    path : str or Path
        ``.csv``, ``.parquet``, ``.jsonl`` or ``.ndjson``; ``.gz`` may follow all but Parquet.
    columns : mapping of str to str, optional
        Names of this contract, and what the file calls them: ``{"user": "customer_id"}``. Other
        columns are kept under their own names.
    behavior : str, optional
        The behavior of every event, for a log that has only one and does not say so.
    time_unit : {"s", "ms", "us", "ns"}, optional
        The unit of times given as numbers since 1 January 1970 UTC. Without it whole numbers are
        positions in the user's history.
    time_format : str, optional
        The format of times given as text, in the notation of ``strftime``. ISO 8601 by default:
        other notations are not guessed, since a guess can swap day and month.
    behaviors : collection of str
        The behaviors that may occur.

    Returns
    -------
    pandas.DataFrame
        The event log, required columns first, times without zone in UTC. Identifiers in a CSV
        are whole numbers only where nothing is lost by that: ``007`` stays text.

    Raises
    ------
    ValueError
        If a column is not in the file, a time cannot be read, or `validate` finds a fault.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "log.csv")
    ...     _ = path.write_text("customer,film,at\nann,7,2024-05-01T12:00:00+02:00\n")
    ...     read_events(
    ...         path, columns={"user": "customer", "item": "film", "time": "at"}, behavior="view"
    ...     )
      user  item                time behavior
    0  ann     7 2024-05-01 10:00:00     view
    """
    columns = dict(columns or {})
    path = Path(path)
    raw = _read_table(path, ids=[columns.get(name, name) for name in ("user", "item")])
    events = _rename(raw, columns)
    if behavior is not None:
        if "behavior" in events:
            raise ValueError("the file has a column `behavior`: leave out the argument `behavior`")
        events = events.assign(behavior=behavior)
    require_columns(events.columns)
    if len(events):
        events["time"] = _times(events, time_unit, time_format)
    validate(events, behaviors=behaviors)
    return events[[*REQUIRED, *(name for name in events if name not in REQUIRED)]]


def _read_table(path: Path, ids: list[str]) -> pd.DataFrame:
    """Read a file by its suffix; in a CSV the identifiers as text first."""
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if suffix == ".csv":
        try:
            table = pd.read_csv(path, dtype=dict.fromkeys(ids, str))
        except pd.errors.EmptyDataError as error:
            raise ValueError(f"the event log is empty: {path} has no line") from error
        return table.assign(**{name: _whole(table[name]) for name in ids if name in table})
    if suffix in {".jsonl", ".ndjson"}:
        with warnings.catch_warnings():  # convert_dates: pandas 2 needs it, 3.1 finds it needless
            warnings.simplefilter("ignore", DeprecationWarning)
            return pd.read_json(path, lines=True, dtype=False, convert_dates=False)
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    raise ValueError(f"{path.name}: the name has to end in .csv, .parquet, .jsonl or .ndjson")


def _whole(ids: pd.Series[str]) -> pd.Series[Any]:
    """Make whole numbers of identifiers, where each can be written back as it was."""
    numbers = pd.to_numeric(ids, errors="coerce")
    if not pd.api.types.is_integer_dtype(numbers) or (numbers.astype(str) != ids).any():
        return ids
    return numbers


def _rename(raw: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    """Give the columns the names of the contract."""
    for ours, theirs in columns.items():
        if theirs not in raw:
            raise ValueError(
                f"columns={{'{ours}': '{theirs}'}}: the file has no column `{theirs}`"
                f"{near(theirs, raw.columns)}. It has {', '.join(map(str, raw.columns))}"
            )
        if ours != theirs and ours in raw and ours not in columns.values():
            raise ValueError(
                f"columns={{'{ours}': '{theirs}'}}: the file has a column `{ours}` of its own. "
                f"Keep it under another name: columns={{..., 'file_{ours}': '{ours}'}}"
            )
    return raw.rename(columns={theirs: ours for ours, theirs in columns.items()})


def _times(events: pd.DataFrame, unit: str | None, form: str | None) -> pd.Series[Any]:
    """Make naive UTC times of numbers, text or times, or leave positions."""
    given = events["time"]
    if unit is not None:
        numbers = pd.to_numeric(given, errors="coerce")
        times = pd.to_datetime(numbers, unit=unit, errors="coerce", utc=True)
        remedy = f"times have to be numbers of {unit} since 1970; leave out time_unit for dates"
    elif pd.api.types.is_integer_dtype(given):
        return given
    elif pd.api.types.is_float_dtype(given):
        raise ValueError("column `time` holds numbers with a fraction, or gaps: pass time_unit")
    else:
        times = pd.to_datetime(given, format=form or "ISO8601", errors="coerce", utc=True)
        remedy = "write times as 2024-05-31 13:45:00, or pass time_format='%d/%m/%Y %H:%M'"
    _refuse_unparsed(events, given.notna() & times.isna(), remedy)
    return times.dt.tz_localize(None)


def _refuse_unparsed(events: pd.DataFrame, wrong: pd.Series[bool], remedy: str) -> None:
    """Raise the error that shows the times that could not be read."""
    if wrong.any():
        rows = events.loc[wrong, list(REQUIRED)].head(SHOWN)
        raise ValueError(
            f"column `time`: {int(wrong.sum()):,} of {len(events):,} times cannot be read.\n"
            f"First offending rows:\n{rows.to_string()}\nRemedy: {remedy}."
        )
