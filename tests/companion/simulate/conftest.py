"""A world so small that what happens in it can be followed by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from behaviorseq.datasets import Dataset
from behaviorseq.simulate import World
from behaviorseq.simulate.audience import Audience, Reaction
from behaviorseq.simulate.base import to_datetime


class TinyAudience(Audience):
    """User u clicks on item i where i and u are both even or both odd, and leaves at item 0."""

    def __init__(self, n_seats: int) -> None:
        self.users = np.zeros(n_seats, dtype=np.int64)

    def seat(self, seats: np.ndarray, users: np.ndarray) -> None:
        self.users[seats] = users

    def react(self, slates: np.ndarray, rng: np.random.Generator) -> Reaction:
        liked = slates % 2 == self.users[:, None] % 2
        return Reaction(
            done={"view": np.ones_like(liked), "click": liked},
            liked=liked,
            reward=liked.sum(axis=1).astype(float),
            leaves=(slates == 0).any(axis=1),
            seconds=np.full(len(slates), 60.0),
            values={"click": slates * 1.5},
            info={"odd": self.users % 2},
        )


class Tiny(World):
    """Each user views each item once, one a minute."""

    name = "tiny"
    title = "A tiny world"
    behaviors = ("view",)
    notes = "for tests"

    def log(self) -> Dataset:
        users, items = np.divmod(np.arange(self.n_users * self.n_items), self.n_items)
        noise = self.rng("value").random(len(users)).round(3)
        events = pd.DataFrame(
            {
                "user": users,
                "item": items,
                "time": to_datetime(60 * items),
                "behavior": "view",
                "value": noise,
            }
        ).sort_values(["time", "user"], ignore_index=True)
        return Dataset(
            events,
            pd.DataFrame({"item": np.arange(self.n_items)}),
            pd.DataFrame({"user": np.arange(self.n_users)}),
            self.source(len(events)),
        )

    @property
    def truth(self) -> Any:
        return None

    def audience(self, n_seats: int, **options: Any) -> TinyAudience:
        return TinyAudience(n_seats)


@pytest.fixture
def tiny() -> type[Tiny]:
    """Give the class of the tiny world."""
    return Tiny
