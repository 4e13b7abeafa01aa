"""Splitting histories into what a model may learn from and what it must predict."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from behaviorseq.sequences import Sequences

Target = Literal["next", "last", "all"]


@dataclass(frozen=True, eq=False)
class Holdout:
    """What is known of some users at a moment, and what they did then.

    Parameters
    ----------
    histories : Sequences
        What a model may read.
    targets : Sequences
        What it must predict: the same rows, one item or more in each.

    Raises
    ------
    ValueError
        If the two hold different users or use different items.
    """

    histories: Sequences
    targets: Sequences

    def __post_init__(self) -> None:
        """Check that rows belong together."""
        if not np.array_equal(self.histories.users, self.targets.users):
            raise ValueError("histories and targets must hold the same users in the same rows")
        if not np.array_equal(self.histories.item_ids.ids, self.targets.item_ids.ids):
            raise ValueError("histories and targets must use the same item vocabulary")

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.histories)


@dataclass(frozen=True)
class HoldoutReport:
    """What became of the events and users of one window.

    Parameters
    ----------
    events : int
        Events in the window.
    targets : int
        Those that must be predicted. The other ``events - targets`` were not asked for: they
        follow a "next" target, precede a "last" one (and stand in its history), or belong to
        users left out.
    cold_targets : int
        Targets on items without an event before the window, in any history: a model that learns
        from events alone cannot find them, and they count as misses. (After leave-one-out,
        before the window means before each user's target.)
    users : int
        Users with an event in the window.
    new_users : int
        Of these, users without any event before the window.
    left_out_users : int
        Of these, users that are not in the holdout, for want of history.
    users_without_target : int
        Users of the log without an event in the window; after leave-one-out, those with fewer
        than three events.
    """

    events: int
    targets: int
    cold_targets: int
    users: int
    new_users: int
    left_out_users: int
    users_without_target: int


@dataclass(frozen=True)
class SplitReport:
    """What became of the events and users of a log; every one is counted.

    ``events`` is ``train_events`` plus the events of the two windows.

    Parameters
    ----------
    events, users : int
        Events and rows of the log.
    train_events, train_users : int
        Events in training, and users with at least one of them.
    validation, test : HoldoutReport
        The same for each window.
    """

    events: int
    users: int
    train_events: int
    train_users: int
    validation: HoldoutReport
    test: HoldoutReport

    def counts(self) -> dict[str, int]:
        """Return all counts by name; those of a window begin with ``validation_`` or ``test_``."""
        own = asdict(self)
        windows = {w: own.pop(w) for w in ("validation", "test")}
        return own | {
            f"{w}_{name}": n for w, counts in windows.items() for name, n in counts.items()
        }


@dataclass(frozen=True, eq=False)
class Split:
    """Training histories, and two holdouts: one to choose settings, one to report.

    Parameters
    ----------
    train : Sequences
        What settings are chosen with: fit here, score ``validation``. All users of the log have
        a row, some an empty one.
    validation : Holdout
        Earlier holdout.
    train_validation : Sequences
        Everything before the test targets: fit the chosen settings here, or keep the model
        fitted on ``train``, as most of the literature does.
    test : Holdout
        Later holdout, for the figures that are reported.
    report : SplitReport
        What became of every event and user.
    """

    train: Sequences
    validation: Holdout
    train_validation: Sequences
    test: Holdout
    report: SplitReport


def leave_one_out(sequences: Sequences) -> Split:
    """Hold out each user's last event for the test and the last but one for validation.

    The protocol of most published figures. It lets a model learn from events of other users
    that lie after the target, so it flatters; ``global_time_split`` does not.

    Parameters
    ----------
    sequences : Sequences
        All histories. Rows of fewer than three events stay in training and are counted as
        ``users_without_target``.

    Returns
    -------
    Split
        With one target a row.

    Raises
    ------
    ValueError
        If no user has three events.

    References
    ----------
    - Kang and McAuley, Self-attentive sequential recommendation, ICDM 2018,
      arXiv 1808.09781, section IV.
    - Gusak et al., Time to split: exploring data splitting strategies for offline
      evaluation of sequential recommenders, RecSys 2025, arXiv 2507.16289.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import Sequences
    >>> log = pd.DataFrame({"user": 1, "item": ["a", "b", "c", "d"], "time": range(4),
    ...                     "behavior": "view"})
    >>> split = leave_one_out(Sequences.from_events(log))
    >>> split.train[0], split.validation.targets[0], split.test.targets[0]
    (array([0, 1], dtype=int32), array([2], dtype=int32), array([3], dtype=int32))
    """
    long = sequences.lengths >= 3
    if not long.any():
        raise ValueError("no user has three events: leave-one-out needs a history and two targets")
    ends = sequences.offsets[1:]
    validation = _Window("validation", sequences, ends - 2 * long, ends - long)
    test = _Window("test", sequences, ends - long, ends)
    return _split(sequences, validation, test, "all", min_history=1)


def global_time_split(
    sequences: Sequences,
    *,
    validation_start: float | str | pd.Timestamp = 0.8,
    test_start: float | str | pd.Timestamp = 0.9,
    target: Target = "next",
    min_history: int = 1,
) -> Split:
    """Learn from everything before a moment, predict what comes after it.

    As in use: nothing a model learns from lies after a target. Events at the very moment
    belong to the later part, so that events of one time are never torn apart.

    Parameters
    ----------
    sequences : Sequences
        All histories, with datetimes.
    validation_start, test_start : float, str or Timestamp
        The two moments, or the shares of events (0 to 1) that come before them. Where many events
        share a time, fewer events may come before.
    target : {"next", "last", "all"}
        What of a user's events in the window must be predicted. "next": the first one. "last":
        the last one; the history then reaches up to it, into the window. "all": all of them.
    min_history : int
        Users whose history has fewer events are left out of the holdout, and counted; 0 keeps
        all, new users with an empty history.

    Returns
    -------
    Split
        Validation targets lie in [validation_start, test_start), test targets from
        ``test_start`` on. ``train_validation`` is everything before ``test_start``.

    Raises
    ------
    ValueError
        If the log keeps positions instead of times, the moments do not lie in order inside the
        log, or a window has no user with a history.

    References
    ----------
    - Gusak et al., Time to split: exploring data splitting strategies for offline
      evaluation of sequential recommenders, RecSys 2025, arXiv 2507.16289.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import Sequences
    >>> log = pd.DataFrame({"user": [1, 1, 1, 2, 2], "item": list("abcab"), "behavior": "view",
    ...     "time": pd.to_datetime(["2024-01-01", "2024-02-01", "2024-03-01",
    ...                             "2024-01-15", "2024-03-02"])})
    >>> split = global_time_split(Sequences.from_events(log), validation_start="2024-01-20",
    ...                           test_start="2024-03-01")
    >>> split.train.n_events, split.test.targets.items
    (2, array([2, 1], dtype=int32))
    >>> split.report.validation.users_without_target
    1
    """
    if target not in get_args(Target):
        raise ValueError(f"target must be one of {get_args(Target)}, got {target!r}")
    if min_history < 0:
        raise ValueError(f"min_history must be 0 or more, got {min_history}")
    times = _datetimes(sequences)
    first, second = (_moment(times, moment) for moment in (validation_start, test_start))
    if not times.min() < first < second <= times.max():
        raise ValueError(
            f"the moments {first} and {second} must lie in this order inside the log, which runs "
            f"from {times.min()} to {times.max()}"
        )
    opens, closes = (_places(sequences, times < moment) for moment in (first, second))
    validation = _Window("validation", sequences, opens, closes)
    test = _Window("test", sequences, closes, sequences.offsets[1:])
    return _split(sequences, validation, test, target, min_history)


def _datetimes(sequences: Sequences) -> NDArray[Any]:
    times = sequences.times
    if times is None or times.dtype.kind != "M":
        raise ValueError(
            "this log keeps the order of each user's events but not their times, and the orders "
            "of two users cannot be compared: there is no moment to split at; use leave_one_out"
        )
    if not times.size:
        raise ValueError("the log has no event: there is nothing to split")
    return times


def _moment(times: NDArray[Any], moment: float | str | pd.Timestamp) -> np.datetime64:
    """Give a moment that was named, or the time that comes after a share of the events."""
    if not isinstance(moment, int | float | np.number):
        named: np.datetime64 = pd.Timestamp(moment).to_datetime64()
        return named
    if not 0 < moment < 1:
        raise ValueError(f"a share of events lies between 0 and 1, got {moment}")
    place = int(moment * len(times))
    reached: np.datetime64 = np.partition(times, place)[place]
    return reached


def _places(sequences: Sequences, before: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Find where the events of each row stop to be ``before`` a moment, shape (n_rows,)."""
    counts = np.concatenate([[0], np.cumsum(before)])[sequences.offsets]
    places: NDArray[np.int64] = sequences.offsets[:-1] + np.diff(counts)
    return places


def _between(sequences: Sequences, starts: NDArray[Any], stops: NDArray[Any]) -> Sequences:
    """Keep the events from ``starts`` up to ``stops``, places in the event arrays by row."""
    rows, place = sequences.row_of_event, np.arange(sequences.n_events)
    return sequences.keep((place >= starts[rows]) & (place < stops[rows]))


@dataclass(frozen=True)
class _Window:
    """Events from ``opens[row]`` up to ``closes[row]``, places in the event arrays."""

    name: str
    sequences: Sequences
    opens: NDArray[np.int64]
    closes: NDArray[np.int64]

    def before(self) -> Sequences:
        """Keep what lies before the window: what may be learned from."""
        return _between(self.sequences, self.sequences.offsets[:-1], self.opens)

    def holdout(
        self, target: Target, min_history: int, train: Sequences
    ) -> tuple[Holdout, HoldoutReport]:
        """Cut targets and the histories before them; count what becomes of the window."""
        begins, n_events = self.sequences.offsets[:-1], self.closes - self.opens
        active = n_events > 0
        first = np.where(active, self.closes - 1, self.opens) if target == "last" else self.opens
        last = first + active if target == "next" else self.closes
        rows = active & (first - begins >= min_history)
        if not rows.any():
            raise ValueError(
                f"no user has an event in the {self.name} window and a history of {min_history} "
                "before it; widen the window or ask for less history"
            )
        histories = _between(self.sequences, begins, first).take(rows)
        targets = _between(self.sequences, first, last).take(rows)
        known = np.bincount(train.items, minlength=train.n_items) > 0
        report = HoldoutReport(
            events=int(n_events.sum()),
            targets=targets.n_events,
            cold_targets=int((~known[targets.items]).sum()),
            users=int(active.sum()),
            new_users=int((active & (self.opens == begins)).sum()),
            left_out_users=int((active & ~rows).sum()),
            users_without_target=int((~active).sum()),
        )
        return Holdout(histories, targets), report


def _split(
    sequences: Sequences, validation: _Window, test: _Window, target: Target, min_history: int
) -> Split:
    train, train_validation = validation.before(), test.before()
    early, early_report = validation.holdout(target, min_history, train)
    late, late_report = test.holdout(target, min_history, train_validation)
    report = SplitReport(
        events=sequences.n_events,
        users=len(sequences),
        train_events=train.n_events,
        train_users=int((train.lengths > 0).sum()),
        validation=early_report,
        test=late_report,
    )
    return Split(train, early, train_validation, late, report)
