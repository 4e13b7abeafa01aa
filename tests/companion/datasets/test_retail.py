"""The real files of Complete Journey: what is stated is counted in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from behaviorseq.datasets import describe
from behaviorseq.datasets.retail import NO_TYPE
from behaviorseq.events import validate

if TYPE_CHECKING:
    from collections.abc import Callable

    from behaviorseq.datasets import Dataset


@pytest.mark.parametrize("item", ["product_type", "product"])
def test_complete_journey_is_as_stated(item: str, real: Callable[..., Dataset]) -> None:
    data = real("complete-journey", item)
    report, source = validate(data.events), data.source
    assert (report.n_events, report.n_users) == (source.n_events, source.n_users)
    assert report.n_items == source.items[item]
    assert report.behaviors == {"purchase": 1_469_307}
    assert list(data.events)[:6] == ["user", "item", "time", "behavior", "value", "session"]
    assert data.events["item"].equals(data.events[item].rename("item"))
    for table, key in ((data.items, "item"), (data.users, "user")):
        assert table.columns[0] == key
        assert table[key].tolist() == sorted(data.events[key].unique())
    assert data.items["title"].str.len().min() > 1


def test_complete_journey_default_item(real: Callable[..., Dataset]) -> None:
    data = real("complete-journey")
    assert next(iter(data.source.items)) == "product_type"
    assert data.events["item"].equals(data.events["product_type"].rename("item"))


def test_complete_journey_notes(real: Callable[..., Dataset]) -> None:
    data = real("complete-journey", "product")
    events, notes = data.events, data.source.notes
    assert f"{(events['product_type'] == NO_TYPE).sum():,} lines are of products without" in notes
    lacking = data.items["department"].isna()
    assert f"{lacking.sum()} products that the product table lacks" in notes
    assert (data.items.loc[lacking, "title"] == NO_TYPE).all()
    known = data.users["income"].notna().sum()
    assert f"known of {known} of the households" in notes


def test_complete_journey_types_have_the_category_of_most_products(
    real: Callable[..., Dataset],
) -> None:
    types = real("complete-journey", "product_type").items.set_index("item")
    assert types.loc["YOGURT NOT MULTI-PACKS", "product_category"] == "YOGURT"
    assert types.loc["POTATO CHIPS", "department"] == "GROCERY"
    assert types["n_products"].sum() <= 92_331


def test_complete_journey_times_say_what_is_stated(real: Callable[..., Dataset]) -> None:
    data = real("complete-journey")
    events, times = data.events, data.source.times
    report = describe(data)
    assert f"{report['first']:%Y-%m-%d} to {report['last']:%Y-%m-%d}" in times
    assert f"{report['tied in time']:.0%} of the lines share their time" in times
    baskets = events.drop_duplicates(["session", "user", "time"])
    assert baskets["session"].is_unique  # a basket has one household and one time
    assert f"{len(events) / len(baskets):.1f} lines a basket" in times
    there = baskets["time"].dt.tz_localize("UTC").dt.tz_convert("America/New_York")
    assert there.dt.year.unique().tolist() == [2017]
    assert not ((there.dt.month == 12) & (there.dt.day == 25)).any()
    seconds = baskets["session"] % 100 * 60 // 100  # made from the basket number
    assert (seconds == there.dt.second).all()
