"""Figures of several chapters: what they draw and what they refuse."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex

from behaviorseq import plots
from behaviorseq.events import BEHAVIORS
from behaviorseq.notebook import use_style
from behaviorseq.plots import plot_calibrated, plot_histories, plot_intervals, plot_long_tail

TABLE = pd.DataFrame(
    {"mean": [0.2, 0.5], "low": [0.1, 0.4], "high": [0.25, 0.8]}, index=["popularity", "kNN"]
)
LOG = pd.DataFrame(
    {
        "user": ["b", "a", "a", "c"],
        "item": [1, 2, 3, 4],
        "time": pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03", "2020-01-04"]),
        "behavior": ["view", "purchase", "view", "view"],
    }
)


@pytest.fixture(autouse=True)
def _off_screen() -> Iterator[None]:
    with mpl.rc_context():
        plt.switch_backend("agg")
        use_style()
        yield
        plt.close("all")


def test_intervals_lie_where_the_table_says() -> None:
    ax = plot_intervals(TABLE, xlabel="NDCG@10 (0 to 1)", baseline="popularity")
    (container,) = ax.containers
    assert container.lines[0].get_xdata().tolist() == [0.2, 0.5]
    reach = [segment[:, 0].tolist() for segment in container.lines[2][0].get_segments()]
    np.testing.assert_allclose(reach, [[0.1, 0.25], [0.4, 0.8]])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["popularity", "kNN"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # first row on top
    assert ax.get_xlabel() == "NDCG@10 (0 to 1)"
    assert ax.lines[0].get_xdata() == [0.2, 0.2]


def test_intervals_refuse_what_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="'low'"):
        plot_intervals(TABLE.drop(columns="low"), xlabel="x")
    with pytest.raises(ValueError, match="baseline 'random'"):
        plot_intervals(TABLE, xlabel="x", baseline="random")
    with pytest.raises(ValueError, match=r"outside.*kNN"):
        plot_intervals(TABLE.assign(high=[0.25, 0.45]), xlabel="x")


def test_histories_have_a_mark_for_each_event() -> None:
    ax = plot_histories(LOG)
    marks = {c.get_label(): c.get_offsets().data for c in ax.collections}
    assert set(marks) == {"view", "purchase"}
    assert marks["view"][:, 1].tolist() == [0, 1, 2]
    assert marks["purchase"][:, 1].tolist() == [1]
    assert ax.get_xlabel() == "Time (UTC)"
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["view", "purchase"]


def test_histories_of_some_users() -> None:
    ax = plot_histories(LOG, users=["c", "a"])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["c", "a"]
    assert ax.get_ylabel() == "User (2 of 3)"
    assert sum(len(c.get_offsets()) for c in ax.collections) == 3
    assert plot_histories(LOG, max_users=1).get_ylabel() == "User (1 of 3)"
    with pytest.raises(ValueError, match=r"\['z'\] have no event"):
        plot_histories(LOG, users=["z"])
    with pytest.raises(ValueError, match="'behavior'"):
        plot_histories(LOG.drop(columns="behavior"))


def test_no_two_behaviors_look_alike() -> None:
    looks = [plots.behavior_style(b) for b in [*BEHAVIORS, "something else"]]
    assert len(set(looks)) == len(looks)


def test_the_palette_is_that_of_the_style() -> None:
    cycle = plt.rcParams["axes.prop_cycle"].by_key()
    assert [to_hex(c) for c in cycle["color"]] == [c.lower() for c in plots.COLOURS]
    neighbours = set(zip(cycle["linestyle"], cycle["linestyle"][1:], strict=False))
    assert all(a != b for a, b in neighbours)  # colour is never the only cue


def test_the_long_tail_counts_events() -> None:
    items = np.repeat(["a", "b", "c", "d"], [10, 5, 4, 1])
    ax = plot_long_tail(items, share=0.75)
    assert ax.lines[0].get_ydata().tolist() == [10, 5, 4, 1]
    assert ax.lines[1].get_xdata() == [2, 2]
    assert ax.get_legend().get_texts()[1].get_text() == "75% of the events: 2 of 4 items"
    assert ax.get_xscale() == ax.get_yscale() == "log"


def test_the_long_tail_refuses_nonsense() -> None:
    with pytest.raises(ValueError, match="empty"):
        plot_long_tail([])
    with pytest.raises(ValueError, match="share"):
        plot_long_tail(["a"], share=1.2)


def test_figures_can_be_drawn_on_given_axes() -> None:
    ax = plt.subplots()[1]
    assert plot_intervals(TABLE, xlabel="x", ax=ax) is ax
    assert plot_histories(LOG, ax=ax) is ax
    assert plot_long_tail(["a"], ax=ax) is ax


@pytest.mark.parametrize("ends", [(0.0, 1.0), (0.2, 0.9)])
def test_the_band_of_calibrated_groups_holds_nearly_all_that_are_drawn(ends):
    size, draws = 150, 4000
    ax = plot_calibrated(size, low=ends[0], high=ends[1])
    (line,) = ax.get_lines()
    said = line.get_xdata()
    assert (said[0], said[-1]) == ends
    assert np.array_equal(said, line.get_ydata())
    (path,) = ax.collections[0].get_paths()
    rng = np.random.default_rng(0)
    for chance in (0.25, 0.5, 0.8):
        band = path.vertices[np.isclose(path.vertices[:, 0], chance, atol=0.003), 1]
        low, high = band.min() - 1e-9, band.max() + 1e-9
        shares = rng.binomial(size, chance, draws) / size
        assert 0.94 < np.mean((low <= shares) & (shares <= high)) < 0.99
    assert path.vertices[:, 1].min() >= 0
    assert path.vertices[:, 1].max() <= 1


def test_the_band_of_calibrated_groups_refuses_what_is_no_probability():
    with pytest.raises(ValueError, match="size must be a whole number"):
        plot_calibrated(0)
    with pytest.raises(ValueError, match=r"\(low, high\) must be two numbers"):
        plot_calibrated(10, low=0.5, high=0.5)
