"""What tabular features need of a dataframe, on any of the four engines."""

from __future__ import annotations

from datetime import timedelta
from functools import reduce
from typing import TYPE_CHECKING, Any

import narwhals as nw
import pandas as pd

from behaviorseq.arguments import require
from behaviorseq.prepare.frames import EPOCH, is_position, naive, ticks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from behaviorseq.event_checks import Frame

DAY = 86_400_000_000  # microseconds


def moment_ticks(frame: Frame, moment: Any) -> int:
    """Read a moment in the unit of ``ticks``: microseconds since 1970, or a position.

    Raises
    ------
    ValueError
        If it does not fit the times of the log.
    """
    if is_position(frame):
        whole = isinstance(moment, int) and not isinstance(moment, bool)
        require("moment", moment, whole, "a whole number, since the log has positions as times")
        return int(moment)
    if isinstance(moment, int | float):
        raise ValueError(f"moment must be a time such as '2024-05-01', got {moment!r}")
    return (naive(moment) - EPOCH) // timedelta(microseconds=1)


def before(frame: Frame, moment: Any) -> Frame:
    """Keep the events before a moment, which itself does not belong to them."""
    return frame.filter(ticks(frame) < nw.lit(moment_ticks(frame, moment)))


def distinct(frame: Frame, *names: str) -> Frame:
    """Give each combination of entries in some columns once.

    By groups: what Narwhals makes of ``unique`` is a window over all rows in some engines.
    """
    groups: Any = frame.select(*names, _n=nw.lit(1)).group_by(*names).agg(nw.col("_n").sum())
    found: Frame = groups.select(*names)
    return found


def unit_of_days(frame: Frame) -> int:
    """Give the ticks of a day; of positions one."""
    return 1 if is_position(frame) else DAY


def divided(name: str, by: str, where: nw.Expr) -> nw.Expr:
    """Divide a column by another one where that means something, else leave it missing."""
    return nw.when(where).then(nw.col(name) / nw.col(by)).alias(name)


def joined(tables: Sequence[Any], by: str) -> Any:
    """Put tables of the same users side by side; the first one says which users."""
    return reduce(lambda left, right: left.join(right, on=by, how="left"), tables)


def as_table(frame: Any, by: str) -> Any:
    """Give the kind of dataframe that came in, one row a user; in pandas users are the index."""
    native = frame.to_native()
    return native.set_index(by).sort_index() if isinstance(native, pd.DataFrame) else native


def from_table(native: Any) -> Frame:
    """Wrap what ``as_table`` gave; users are a column."""
    frame: Frame = nw.from_native(
        native.reset_index() if isinstance(native, pd.DataFrame) else native
    )
    return frame
