"""All families of features at one moment, and never anything after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import narwhals as nw
import numpy as np
import pandas as pd

from behaviorseq.arguments import require
from behaviorseq.columns import plain
from behaviorseq.prepare.frames import is_position, open_frame, refuse_missing, ticks
from behaviorseq.sequences import Sequences
from behaviorseq.vocabulary import Vocabulary

from .families import Family, GraphFeatures, TableFeatures
from .frames import before, distinct, moment_ticks
from .statistics import user_statistics
from .summary import series_features

if TYPE_CHECKING:
    from collections.abc import Mapping


class Past:
    """The events of a log before a moment, and nothing else of it.

    Parameters
    ----------
    events : dataframe or Sequences
        An event log: pandas, Polars (eager or lazy), DuckDB, Spark, or histories.
    moment : datetime, str, or int for positions
        Events at or after it are dropped here, before any family sees them.

    Attributes
    ----------
    users : pandas.Index
        Who has an event in the past, in order.
    """

    def __init__(self, events: Any, moment: Any) -> None:
        native = events_of(events) if isinstance(events, Sequences) else events
        frame: Any = open_frame(native, "user", "item", "time")
        refuse_missing(frame, "user", "item", "time")
        self.moment, self.tick = moment, moment_ticks(frame, moment)
        self._frame = before(frame, moment)
        users = plain(distinct(self._frame, "user").lazy().collect()["user"])
        if not len(users):
            raise ValueError(f"no event lies before {moment}")
        self.users = pd.Index(users, name="user").sort_values()
        self._histories: dict[str | None, Sequences] = {}

    def only(self, behavior: str | None = None) -> Any:
        """Give the events as a dataframe of the kind that came in, all or of one behavior."""
        return self._of(behavior).to_native()

    def has(self, behavior: str | None = None) -> bool:
        """Say whether there is an event, of any behavior or of one."""
        return behavior is None or len(self._of(behavior).lazy().head(1).collect()) > 0

    def histories(self, behavior: str | None = None) -> Sequences:
        """Give the events as histories, one row for each of ``users``; they are kept.

        Events that share their time are shuffled, so that the order of the log's rows, which some
        engines do not keep, has no part in it.
        """
        if behavior not in self._histories:
            self._histories[behavior] = self._gathered(self._of(behavior))
        return self._histories[behavior]

    def _of(self, behavior: str | None) -> Any:
        if behavior is None:
            return self._frame
        return self._frame.filter(nw.col("behavior").cast(nw.String) == behavior)

    def _gathered(self, frame: Any) -> Sequences:
        there = frame.collect_schema().names()
        kept = [name for name in ("behavior", "value") if name in there]
        table = frame.lazy().select("user", "item", *kept, time=ticks(frame)).collect().to_pandas()
        if not is_position(frame):
            table["time"] = table["time"].to_numpy(np.int64).astype("datetime64[us]")
        user_ids = Vocabulary(np.asarray(self.users))
        return Sequences.from_events(table, ties="random", user_ids=user_ids)


class Features:
    """Families of features that are fitted at one moment and computed at it or later ones.

    Every family gets a :class:`Past`, so none can read an event at or after the moment that it is
    asked for. What has to be learned (a graph, the weights of words, a network) is learned from
    the past of one moment, and may describe users at this moment and later: the numbers of two
    moments then mean the same, and a model that was trained on the first can read the second.

    Parameters
    ----------
    families : mapping of str to Family, optional
        The families by name. Without them :func:`user_statistics`, :func:`series_features` and
        :class:`GraphFeatures`.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame({"user": [1, 1, 2], "item": ["a", "b", "b"], "behavior": "view",
    ...     "time": pd.to_datetime(["2024-01-01", "2024-01-03", "2024-01-05"])})
    >>> features = Features().fit(log, "2024-01-04")
    >>> table = features.at(log, "2024-01-06")
    >>> table[["statistics: n_view", "graph: degree_out"]]
          statistics: n_view  graph: degree_out
    user
    1                      2                0.5
    2                      1                0.0
    """

    def __init__(self, families: Mapping[str, Family] | None = None) -> None:
        chosen = default_families() if families is None else dict(families)
        require("families", chosen, bool(chosen), "one family or more, by name")
        for name, family in chosen.items():
            if not isinstance(family, Family):
                raise ValueError(f"families[{name!r}] must be a Family, got {family!r}")
        self.families = chosen
        self.fitted_at: int | None = None

    def fit(self, events: Any, moment: Any) -> Self:
        """Let the families learn from what lies before a moment.

        Parameters
        ----------
        events : dataframe or Sequences
            An event log: pandas, Polars (eager or lazy), DuckDB, Spark, or histories.
        moment : datetime, str, or int for positions
            Nothing at or after it is read.

        Returns
        -------
        Self
            The same object.

        Raises
        ------
        ValueError
            If a column is not there, an entry is missing, no event lies before the moment, or
            for the reasons of a family.
        """
        past = Past(events, moment)
        for family in self.families.values():
            family.fit(past)
        self.fitted_at = past.tick
        return self

    def at(self, events: Any, moment: Any) -> pd.DataFrame:
        """Describe each user by what lies before a moment.

        Tables of one row a user are what a model is trained on, and they come to memory as
        pandas; the log itself stays with its engine, but for the columns that histories need.

        Parameters
        ----------
        events : dataframe or Sequences
            The log, as for ``fit``.
        moment : datetime, str, or int for positions
            Nothing at or after it is read. Not earlier than the moment of ``fit``.

        Returns
        -------
        pandas.DataFrame
            One row for each user with an event before the moment, in order; columns such as
            ``"graph: pagerank"``.

        Raises
        ------
        ValueError
            If ``fit`` was not called or read a later past, which would leak into the features;
            and for the reasons of ``fit``.
        """
        if self.fitted_at is None:
            raise ValueError("the features are not fitted: call fit(events, moment) first")
        past = Past(events, moment)
        if past.tick < self.fitted_at:
            raise ValueError(
                f"the families were fitted on events after {moment}, and would tell of its "
                "future: fit them at this moment or earlier"
            )
        made = {name: family.of(past) for name, family in self.families.items()}
        tables = [t.reindex(past.users).add_prefix(f"{name}: ") for name, t in made.items()]
        return pd.concat(tables, axis=1).rename_axis("user")


def features_at(
    events: Any, moment: Any, families: Mapping[str, Family] | None = None
) -> pd.DataFrame:
    """Fit families of features on what lies before a moment, and describe each user by them.

    Parameters
    ----------
    events, moment, families
        As for :class:`Features`, which keeps what was fitted for later moments.

    Returns
    -------
    pandas.DataFrame
        As from :meth:`Features.at`.

    Raises
    ------
    ValueError
        For the reasons of :class:`Features`.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame({"user": [1, 1, 2], "item": ["a", "b", "b"], "behavior": "view",
    ...     "time": pd.to_datetime(["2024-01-01", "2024-01-03", "2024-01-05"])})
    >>> features_at(log, "2024-01-04").index.tolist()
    [1]
    """
    return Features(families).fit(events, moment).at(events, moment)


def default_families() -> dict[str, Family]:
    """Give the families that need nothing but a log."""
    return {
        "statistics": TableFeatures(user_statistics),
        "series": TableFeatures(series_features),
        "graph": GraphFeatures(),
    }


def events_of(histories: Sequences) -> pd.DataFrame:
    """Write histories as an event log.

    Raises
    ------
    ValueError
        If they have no times.
    """
    if histories.times is None:
        raise ValueError("the histories have no times: there is no moment to look back from")
    table = pd.DataFrame(
        {
            "user": histories.user_ids.decode(histories.users)[histories.row_of_event],
            "item": histories.item_ids.decode(histories.items),
            "time": histories.times,
        }
    )
    if histories.behaviors is not None:
        table["behavior"] = np.array(histories.behavior_names, dtype=object)[histories.behaviors]
    return table if histories.values is None else table.assign(value=histories.values)
