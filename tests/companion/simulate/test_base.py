"""What all worlds share: arguments, seeds, the registry."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from behaviorseq import describe, simulate
from behaviorseq.events import validate
from behaviorseq.simulate import World
from behaviorseq.simulate.base import MOST_DAYS, to_datetime, to_seconds


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 5, 5), "n_users must be a whole number of 1 or more, got 0"),
        ((5, -1, 5), "n_items must be a whole number of 1 or more, got -1"),
        ((5, 5, -3), f"days must be a whole number from 1 to {MOST_DAYS}, got -3"),
        ((5, 5, MOST_DAYS + 1), "days must be"),
        ((5, 5, 2.5), r"days must be .* got 2.5"),
        ((True, 5, 5), "n_users must be .* got True"),
        ((5, 5, 5, -1), "seed must be a whole number of 0 or more, got -1"),
    ],
)
def test_bad_arguments(tiny: type[World], arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny(*arguments)


@pytest.mark.parametrize(("name", "hint"), [("bazaar", ""), ("Shop", r" \(is it 'shop'\?\)")])
def test_unknown_world(name: str, hint: str) -> None:
    with pytest.raises(ValueError, match=f"no world is named '{name}'{hint}; there are shop"):
        simulate.world(name)


def test_a_log_is_a_dataset_that_can_be_described(tiny: type[World]) -> None:
    world = tiny(3, 4, 1)
    log = world.log()
    assert validate(log.events).n_events == 12
    assert "world('tiny', n_users=3, n_items=4, days=1, seed=0)" in describe(log)["citation"]
    events, items, users = log.source.read({}, "item")
    assert events.equals(log.events)
    assert (len(items), len(users)) == (4, 3)


def test_seeds(tiny: type[World]) -> None:
    logs = [tiny(3, 4, 1, seed).log().events for seed in (0, 0, 1)]
    assert logs[0].equals(logs[1])
    assert not logs[0].equals(logs[2])


def test_each_purpose_and_block_draws_for_itself(tiny: type[World]) -> None:
    world = tiny(3, 4, 1)
    draws = {
        key: tuple(world.rng(*key).random(3))
        for key in [("a",), ("b",), ("a", 0), ("a", 1), ("a", 1, 0)]
    }
    assert len(set(draws.values())) == 5
    assert tuple(world.rng("a").random(3)) == draws[("a",)]


def test_times_go_there_and_back() -> None:
    seconds = np.array([0, 59, 86_400 * MOST_DAYS])
    assert to_seconds(to_datetime(seconds)).tolist() == seconds.tolist()
    assert to_datetime(0) == np.datetime64("2024-01-01")
    assert to_datetime(0).astype("datetime64[D]").astype(int) % 7 == 4  # 1970-01-01: a Thursday


@pytest.mark.parametrize(
    ("name", "options", "shown"),
    [
        ("shop", {"order": 0.25, "drift": 45}, ", seed=3, order=0.25)"),
        ("social", {"communities": 5}, ", seed=3, communities=5)"),
        ("finance", {"disposition": 0}, ", seed=3, disposition=0.0)"),
        ("education", {"wander": 0.15}, ", seed=3)"),
    ],
)
def test_the_call_that_is_shown_makes_the_same_world(
    name: str, options: dict[str, Any], shown: str
) -> None:
    made = simulate.world(name, 30, 40, 5, seed=3, **options)
    assert repr(made).endswith(shown)
    again = eval(repr(made), {"world": simulate.world})  # noqa: S307 - made here
    assert repr(again) == repr(made)
    assert again.log().events.equals(made.log().events)


def test_a_log_needs_no_gymnasium() -> None:
    code = """
import sys
sys.modules["gymnasium"] = None
from behaviorseq import simulate
for name in simulate.WORLDS:
    made = simulate.world(name, 25, 30, 3)
    assert len(made.log().events)
    made.audience(2)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
