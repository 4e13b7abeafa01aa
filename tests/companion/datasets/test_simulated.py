"""Simulated worlds by name: loaded as any data set, and named as what they are."""

from __future__ import annotations

import pytest

from behaviorseq import describe, list_datasets, load, simulate
from behaviorseq.datasets.simulated import SIMULATED


def test_the_worlds_are_those_of_simulate() -> None:
    assert list(SIMULATED) == list(simulate.WORLDS)


@pytest.mark.parametrize("name", ["social", "education", "finance"])
def test_a_world_is_loaded_by_its_name(name: str) -> None:
    loaded = load(name)
    assert loaded.events.equals(simulate.world(name).log().events)
    facts = describe(loaded)
    assert "simulate.world(" in facts["citation"]
    assert facts["events"] == list_datasets().loc[name, "events"]


def test_the_shop_has_the_number_of_events_that_is_listed() -> None:
    assert len(load("shop").events) == list_datasets().loc["shop", "events"]


def test_the_list_says_that_they_are_simulated() -> None:
    table = list_datasets()
    assert set(table.index[table["from"] == "simulated"]) == set(simulate.WORLDS)
    assert (table.loc[list(simulate.WORLDS), "megabytes"] == 0).all()


def test_unknown_item() -> None:
    with pytest.raises(ValueError, match="shop has no item 'leaf': take 'item'"):
        load("shop", item="leaf")
