"""The kinds of faults: which rows each of them hits, and what it makes of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from behaviorseq.event_checks import AMOUNTS, REQUIRED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    Rows = NDArray[np.int64]

#: The columns that a fault of entries takes where it is asked for without a column. The order is
#: that in which faults are applied: where two hit the same entry, the later one shows.
COLUMNS: dict[str, tuple[str, ...]] = {
    "mixed_type": ("user", "item"),
    "outlier": AMOUNTS,
    "clock": ("time",),
    "missing": ("item", "behavior", *AMOUNTS),
}
#: Faults that insert rows.
INSERTING = ("duplicate", "robot")
FAULTS = (*COLUMNS, *INSERTING)
OUT_OF_BOUNDS = {"mixed_type": ("time",), "outlier": REQUIRED}
FACTORS = (100, 1_000, 10_000)  # of outliers
LARGEST = 1e14  # amounts from here on are left alone: times a factor they would not fit an integer
LATEST_COPY = 5  # seconds after which an event is logged again, at most
SHIFTS = (*range(-11, 0), *range(1, 13))  # hours of a wrong time zone
CENTURY = np.timedelta64(36_525, "D")  # how far a clock is ahead that is set to a future year
ROBOT_EVENTS = (200, 400)  # events of one robot, least and most
ROBOT_GAP = 5  # seconds between two events of a robot, at most


@dataclass
class Edit:
    """Entries of one column: which rows of the clean log, the new entries, and what they are."""

    fault: str
    column: str
    rows: Rows
    entries: Any
    detail: Any


@dataclass
class Added:
    """Rows made of those of the log: of which, what is new in them, and before which they go."""

    fault: str
    sources: Rows
    places: Any
    detail: Any
    delay: Any = None  # of copies, after the time of their event
    users: Any = None  # of robots, with their times
    times: Any = None


def _some(n: int, among: Rows, rng: np.random.Generator) -> Rows:
    """Draw rows without repetition, as many as there are at most, in order."""
    return np.sort(rng.choice(among, size=min(n, len(among)), replace=False))


def _entries(
    clean: pd.DataFrame, usable: NDArray[np.bool_], share: float, rng: np.random.Generator
) -> list[Rows]:
    """Draw one usable entry in each of a share of the events; give the rows of each column."""
    rows = _some(round(share * len(clean)), np.flatnonzero(usable.any(axis=1)), rng)
    luck = np.where(usable[rows], rng.random((len(rows), usable.shape[1])), -1.0)
    chosen = luck.argmax(axis=1)
    return [rows[chosen == i] for i in range(usable.shape[1])]


def _missing(
    clean: pd.DataFrame, columns: tuple[str, ...], share: float, rng: np.random.Generator
) -> list[Edit]:
    """Empty entries that are not empty yet."""
    usable = clean[list(columns)].notna().to_numpy()
    hit = zip(columns, _entries(clean, usable, share, rng), strict=True)
    return [Edit("missing", name, rows, None, "empty") for name, rows in hit]


def _outlier(
    clean: pd.DataFrame, columns: tuple[str, ...], share: float, rng: np.random.Generator
) -> list[Edit]:
    """Multiply amounts that are not zero."""
    for name in columns:
        if clean[name].dtype.kind not in "uif":
            raise ValueError(f"'outlier': column {name!r} has type {clean[name].dtype}, no numbers")
    sizes = [clean[name].abs().to_numpy(dtype=np.float64, na_value=0.0) for name in columns]
    usable = np.column_stack([(size > 0) & (size < LARGEST) for size in sizes])
    edits = []
    for name, rows in zip(columns, _entries(clean, usable, share, rng), strict=True):
        which = rng.integers(len(FACTORS), size=len(rows))
        entries = wide(clean[name]).iloc[rows].to_numpy() * np.array(FACTORS)[which]
        detail = _said("times {:,}", FACTORS)[which]
        edits.append(Edit("outlier", name, rows, entries, detail))
    return edits


def _clock(
    clean: pd.DataFrame, columns: tuple[str, ...], share: float, rng: np.random.Generator
) -> list[Edit]:
    """Shift all events of users."""
    codes, users = pd.factorize(clean["user"])  # -1 where the user is missing
    counts = np.bincount(codes[codes >= 0], minlength=len(users))
    order = rng.permutation(len(users))
    kinds, zones = rng.integers(3, size=len(users)), rng.integers(len(SHIFTS), size=len(users))
    off = np.abs(np.cumsum(counts[order]) - share * len(clean))
    taken = order[: off.argmin() + 1] if share > 0 and len(users) else order[:0]
    rows = np.flatnonzero(np.isin(codes, taken) & clean["time"].notna().to_numpy())
    times, codes = clean["time"].to_numpy()[rows], codes[rows]
    first = pd.Series(times).groupby(codes).transform("min").to_numpy()
    kind, zone = kinds[codes], zones[codes]
    hours = np.array(SHIFTS, dtype="m8[h]")[zone]
    shifted = np.where(kind == 0, times + hours, times + CENTURY)
    shifted = np.where(kind == 1, times - first + np.datetime64(0, "s"), shifted)
    said = _said("time zone, {:+d} h", SHIFTS)[zone]
    detail = np.select([kind == 0, kind == 1], [said, "set to 1970"], "a century ahead")
    return [Edit("clock", "time", rows, shifted, detail)]


def _mixed_type(
    clean: pd.DataFrame, columns: tuple[str, ...], share: float, rng: np.random.Generator
) -> list[Edit]:
    """Spell identifiers in other ways."""
    usable = clean[list(columns)].notna().to_numpy()
    edits = []
    for name, rows in zip(columns, _entries(clean, usable, share, rng), strict=True):
        text = clean[name].iloc[rows].astype(str).astype(object).reset_index(drop=True)
        kind = rng.integers(3, size=len(rows))
        whole_number = text.str.fullmatch(r"-?\d+").to_numpy(dtype=bool)
        swapped = text.str.swapcase()
        ways = {
            "as decimal": ((kind == 0) & whole_number, text + ".0"),
            "other case": ((kind == 0) & (swapped != text).to_numpy(), swapped),
            "trailing space": (kind == 1, text + " "),
            "leading space": (np.full(len(rows), fill_value=True), " " + text),
        }
        masks = [mask for mask, _ in ways.values()]
        entries = np.select(masks, [spelt.to_numpy() for _, spelt in ways.values()], "")
        edits.append(Edit("mixed_type", name, rows, entries, np.select(masks, list(ways), "")))
    return edits


def _duplicate(clean: pd.DataFrame, share: float, rng: np.random.Generator) -> Added:
    """Log events twice, exactly or a little later."""
    sources = _some(round(share * len(clean)), np.arange(len(clean)), rng)
    seconds = rng.integers(2, size=len(sources)) * rng.integers(1, LATEST_COPY + 1, len(sources))
    positions = pd.api.types.is_integer_dtype(clean["time"])
    seconds *= not positions
    delay = seconds if positions else seconds.astype("m8[s]")
    times = clean["time"].iloc[sources].to_numpy() + delay
    places = np.where(seconds == 0, sources + 1, _place(clean, times, sources + 1))
    detail = np.append(["exact copy"], _said("copy {} s later", range(1, LATEST_COPY + 1)))[seconds]
    return Added("duplicate", sources, places, detail, delay=delay)


def _robot(clean: pd.DataFrame, share: float, rng: np.random.Generator) -> Added:
    """Add users who do one thing after another, as fast and as evenly as no person does."""
    users = clean["user"].dropna().unique()
    n_robots = round(share * len(users))
    lengths = rng.integers(ROBOT_EVENTS[0], ROBOT_EVENTS[1] + 1, size=n_robots)
    common = np.flatnonzero(clean["behavior"] == clean["behavior"].mode()[0])
    sources = rng.choice(common, size=lengths.sum())
    gap = np.repeat(rng.integers(1, ROBOT_GAP + 1, size=n_robots), lengths)
    step = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    starts = clean["time"].dropna().sample(n_robots, replace=True, random_state=rng).to_numpy()
    if pd.api.types.is_integer_dtype(clean["time"]):
        times, detail = step, np.full(len(step), "one of a long history")
    else:
        times = np.repeat(starts, lengths) + (gap * step).astype("m8[s]")
        detail = _said("one every {} s", range(ROBOT_GAP + 1))[gap]
    ids = np.repeat(np.asarray(_new_ids(users, n_robots), dtype=object), lengths)
    order = np.argsort(times, kind="stable")
    places = _place(clean, times[order], len(clean))
    return Added(
        "robot", sources[order], places, detail[order], users=ids[order], times=times[order]
    )


def _new_ids(users: Any, n: int) -> list[Any]:
    """Make identifiers that look like those of the log and are not in it."""
    ids = pd.Series(np.asarray(users, dtype=object))
    if ids.map(lambda user: isinstance(user, int)).all():
        return [ids.max() + 1 + i for i in range(n)]
    parts = ids.astype(str).str.extract(r"^(.*?)(\d{0,15})$", flags=re.DOTALL)
    last = pd.to_numeric(parts[1], errors="coerce").fillna(0).max()
    return [f"{parts.loc[0, 0]}{int(last) + 1 + i}" for i in range(n)]


def _said(form: str, numbers: Iterable[int]) -> NDArray[np.str_]:
    """Put each number into words."""
    return np.array([form.format(number) for number in numbers])


def _place(clean: pd.DataFrame, times: Any, otherwise: Any) -> Any:
    """Find the places of rows by their time, where the log is in order of time."""
    if not clean["time"].is_monotonic_increasing:
        return np.broadcast_to(otherwise, times.shape)
    return np.searchsorted(clean["time"].to_numpy(), times, side="right")


def wide(column: pd.Series[Any]) -> pd.Series[Any]:
    """Give a column of numbers room for large ones; leave any other as it is."""
    kind = getattr(column.dtype, "kind", "O")
    if kind not in "uif":
        return column
    nullable = isinstance(column.dtype, pd.api.extensions.ExtensionDtype)
    names = {"u": ("uint64", "UInt64"), "i": ("int64", "Int64"), "f": ("float64", "Float64")}
    return column.astype(names[kind][nullable])


EDIT: dict[str, Callable[..., list[Edit]]] = {
    "mixed_type": _mixed_type,
    "outlier": _outlier,
    "clock": _clock,
    "missing": _missing,
}
ADD: dict[str, Callable[..., Added]] = {"duplicate": _duplicate, "robot": _robot}
