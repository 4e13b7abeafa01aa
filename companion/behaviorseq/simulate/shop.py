"""The simulated shop: the world and its public face."""

from __future__ import annotations

import math
from concurrent.futures import ProcessPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from behaviorseq.datasets.sources import Dataset

from .shop_catalog import Catalog, item_table, make_catalog
from .shop_events import BEHAVIORS, MOST_SESSIONS, Events, make_events
from .shop_people import HOUSEHOLDS, People, join_people, make_people
from .shop_sessions import KINDS
from .shop_people import STAGES
from .world import World, fraction, to_datetime, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .shop_audience import ShopAudience
    from .shop_truth import ShopTruth

#: People who are simulated together, with random numbers of their own.
BLOCK = 1024


class Shop(World):
    name = "shop"
    title = "Simulated shop"
    behaviors = BEHAVIORS
    notes = ""

    def __init__(
        self,
        n_users: int,
        n_items: int,
        days: int,
        seed: int = 0,
        *,
        drift: float = 45.0,
        position_bias: float = 0.7,
        order: float = 0.5,
        new_items: float = 0.2,
    ) -> None:
        super().__init__(n_users, n_items, days, seed)
        self.drift = drift
        self.position_bias = position_bias
        self.order = fraction("order", order)
        self.new_items = fraction("new_items", new_items)

    @cached_property
    def catalog(self) -> Catalog:
        return make_catalog(self.rng("catalog"), self.n_items, self.days, self.new_items)

    def people(self, block: int) -> People:
        n = min(BLOCK, self.n_users - block * BLOCK)
        return make_people(self.rng("people", block), n, self.catalog, self.days, self.drift)

    def events(self, block: int) -> Events:
        return make_events(self.rng("events", block), self.people(block), self.shortlists(block), self.days, self.order, self.position_bias)
    def shortlists(self, block):
        from .shop_sessions import make_shortlists
        return make_shortlists(self.rng('shortlists', block), self.people(block))
    def log(self): ...
    def truth(self): ...
    def audience(self, n_seats, **o): ...
