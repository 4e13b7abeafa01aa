"""Grids and gaps beside pandas and SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline

from behaviorseq import prepare
from behaviorseq.prepare.fill import natural_splines

START = pd.Timestamp("2024-05-01")


def make_series(seed: int, n: int) -> pd.DataFrame:
    """Make series in no order, with irregular times and gaps."""
    rng = np.random.default_rng(seed)
    place = rng.choice(4 * 100, size=n, replace=False)
    series = pd.DataFrame(
        {"user": place // 100, "second": place % 100, "value": rng.normal(size=n)}
    )
    series["time"] = START + pd.to_timedelta(series["second"], unit="s")
    return series.assign(value=series["value"].where(rng.random(n) < 0.6))


def by_series(series: pd.DataFrame, fill: Any) -> Any:
    """Fill each series by itself, and give the column in the order of the rows."""
    parts = [fill(part.sort_values("time")) for _, part in series.groupby("user")]
    return pd.concat(parts).sort_index()


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.integers(1, 60))
def test_linear_is_that_of_pandas(seed: int, n: int) -> None:
    series = make_series(seed, n)
    expected = by_series(
        series,
        lambda part: pd.Series(
            part.set_index("time")["value"].interpolate("time", limit_area="inside").to_numpy(),
            part.index,
        ),
    )
    found = prepare.interpolate(series, "value")["value"]
    np.testing.assert_allclose(found, expected, atol=1e-9)


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.integers(1, 60))
def test_spline_is_that_of_scipy(seed: int, n: int) -> None:
    series = make_series(seed, n)

    def fill(part: pd.DataFrame) -> pd.Series[Any]:
        known = part.dropna()
        if len(known) < 2:
            return part["value"]
        spline = CubicSpline(known["second"], known["value"], bc_type="natural")
        inside = part["second"].between(known["second"].min(), known["second"].max())
        filled = pd.Series(spline(part["second"]), part.index)
        return part["value"].fillna(filled.where(inside))

    expected = by_series(series, fill)
    found = prepare.interpolate(series, "value", method="spline")["value"]
    np.testing.assert_allclose(found, expected, atol=1e-7)
    polars = prepare.interpolate(pl.from_pandas(series), "value", method="spline")["value"]
    np.testing.assert_allclose(polars.to_numpy(), expected, atol=1e-7)


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.integers(1, 60), st.none() | st.integers(1, 3))
def test_forward_is_that_of_pandas(seed: int, n: int, limit: int | None) -> None:
    series = make_series(seed, n)
    expected = by_series(series, lambda part: part["value"].ffill(limit=limit))
    found = prepare.fill_forward(series, "value", limit=limit)["value"]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("how", ["count", "sum", "mean"])
def test_grid_is_that_of_pandas(how: Any) -> None:
    log = make_series(0, 80).assign(user=lambda log: log["user"].map("abcd".__getitem__))
    found = prepare.resample(log, "7s", how=how, start=START).sort_values(["user", "window"])
    name = "n" if how == "count" else how
    for user, part in log.groupby("user"):
        grid = part.set_index("time")["value"].resample("7s", origin=START)
        expected = {"count": grid.size(), "sum": grid.sum(), "mean": grid.mean()}[how]
        ours = found[found["user"] == user]
        times = START + pd.to_timedelta(7 * ours["window"], unit="s")
        assert times.tolist() == expected.index.tolist()
        np.testing.assert_allclose(ours[name], expected, atol=1e-12)


def test_spline_swings_beyond_what_is_known() -> None:
    stars = np.array([5.0, 1, np.nan, 1, 5])  # of 1 to 5
    assert natural_splines(np.zeros(5), np.arange(5.0), stars)[2] < 0


def refused(series: Any = None, **options: Any) -> None:
    series = make_series(0, 20) if series is None else series
    prepare.interpolate(series, **{"column": "value", **options})


def test_refused() -> None:
    with pytest.raises(ValueError, match="method must be linear or spline"):
        refused(method="cubic")
    twice = pd.concat([make_series(0, 20)] * 2)
    with pytest.raises(ValueError, match="20 of 20 events: there are several rows for one `user`"):
        refused(twice)
    with pytest.raises(ValueError, match="it has to be a number"):
        refused(make_series(0, 20).assign(value="a"))
    with pytest.raises(ValueError, match="there is no column `price`"):
        refused(column="price")
    with pytest.raises(ValueError, match="how must be count, sum or mean"):
        prepare.resample(make_series(0, 20), "1s", how="max")  # type: ignore[arg-type]
    for by in ("window", "first"):
        with pytest.raises(ValueError, match=f"by='{by}': rename"):
            prepare.resample(make_series(0, 20).assign(**{by: 1}), "1s", by=by)
    with pytest.raises(ValueError, match="limit must be a whole number of 1 or more"):
        prepare.fill_forward(make_series(0, 20), "value", limit=0)
