"""The catalogue of the simulated shop: product types, brands, items, their texts and graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .base import SECONDS_A_DAY, to_datetime
from .shop_words import (
    BRAND_BEGINNINGS,
    BRAND_ENDS,
    MAKES,
    SERIES,
    TIERS,
    ProductType,
    read_tree,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

ITEMS_A_LEAF = 16
FEWEST_IN_A_LEAF = 5
LEAF_EXPONENT = 1.0
BRANDS_A_DEPARTMENT = 8
BRANDS_A_LEAF = 4
TASTE_DIMENSIONS = 4
N_RELATED = 10
#: Places in the list of related items that show what goes with an item.
COMPLEMENT_PLACES = (2, 5, 8)
#: How far around the ring of styles, and up in log price, related items lie.
STYLE_STEP, PRICE_STEP = 0.12, 0.1


class Groups:
    """Things in groups, drawn from a group by weight: the inverse of a running sum.

    Parameters
    ----------
    group : NDArray[int64]
        Group of each thing, shape (n,).
    weight : NDArray[float64]
        Weight of each thing, above 0, shape (n,).
    n_groups : int
        Number of groups.
    """

    def __init__(self, group: Ints, weight: Floats, n_groups: int) -> None:
        self.members = np.argsort(group, kind="stable")
        self.begins = np.concatenate([[0], np.cumsum(np.bincount(group, minlength=n_groups))])
        self.cumulative = np.concatenate([[0.0], np.cumsum(weight[self.members])])

    def __getitem__(self, group: int) -> Ints:
        """Give the things of a group."""
        things: Ints = self.members[self.begins[group] : self.begins[group + 1]]
        return things

    def draw(self, groups: Any, uniforms: Floats) -> Ints:
        """Draw a thing of each group (none empty); the shapes of the arguments are broadcast."""
        first, last = self.begins[groups], self.begins[groups + 1]
        low, high = self.cumulative[first], self.cumulative[last]
        places = np.searchsorted(self.cumulative, low + uniforms * (high - low), side="right") - 1
        drawn: Ints = self.members[np.clip(places, first, last - 1)]
        return drawn


@dataclass(frozen=True, eq=False)
class Catalog:
    """What the shop sells. Leaves, brands and items are numbered from 0.

    Parameters
    ----------
    types : tuple of ProductType
        The product type of each leaf.
    leaf_department, goes_with : NDArray[int64]
        Department of each leaf, and the leaf that people look at next to it, shape (n_leaves,).
    leaf_weight : NDArray[float64]
        Popularity of each leaf, sum 1, shape (n_leaves,).
    brand_names : tuple of str
        Name of each brand.
    brand_tier : NDArray[int64]
        -1 cheap, 0, 1 dear, shape (n_brands,).
    brand_vector : NDArray[float64]
        What a brand is like, shape (n_brands, 4); a taste is a product with it.
    leaf, brand : NDArray[int64]
        Leaf and brand of each item, shape (n_items,).
    style : NDArray[float64]
        Place on the ring of the leaf's styles, in [0, 1), shape (n_items,).
    price, level : NDArray[float64]
        Price, and log of the price over what is typical of the leaf, shape (n_items,).
    quality : NDArray[float64]
        About standard normal, shape (n_items,).
    weight : NDArray[float64]
        Popularity within the leaf, sum 1 in each leaf, shape (n_items,).
    appeared : NDArray[float64]
        Seconds from the start of the period, 0 or less for items that were there, (n_items,).
    related : NDArray[int64]
        Items shown next to each item, the nearest first, -1 where there is none, (n_items, 10).
    of_leaf : Groups
        Draws items of a leaf, by weight.
    of_department : Groups
        Draws leaves of a department, by weight.
    """

    types: tuple[ProductType, ...]
    leaf_department: Ints
    goes_with: Ints
    leaf_weight: Floats
    brand_names: tuple[str, ...]
    brand_tier: Ints
    brand_vector: Floats
    leaf: Ints
    brand: Ints
    style: Floats
    price: Floats
    level: Floats
    quality: Floats
    weight: Floats
    appeared: Floats
    related: Ints
    of_leaf: Groups
    of_department: Groups

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.leaf)

    @property
    def n_leaves(self) -> int:
        """Number of product types in use."""
        return len(self.types)

    @property
    def departments(self) -> tuple[str, ...]:
        """Names of the departments in use."""
        return tuple(dict.fromkeys(kind.department for kind in self.types))


def make_catalog(rng: np.random.Generator, n_items: int, days: int, new_items: float) -> Catalog:
    """Make a catalogue.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where chance comes from.
    n_items : int
        Number of items. One product type is used for each 16 of them, 128 at most.
    days : int
        Length of the period.
    new_items : float
        Share of the items that appear during the period.
    """
    types = _types_in_use(n_items)
    n_leaves = len(types)
    leaf_weight = _zipf(n_leaves)[rng.permutation(n_leaves)]
    leaf = _leaves_of_items(rng, n_items, leaf_weight)
    departments = list(dict.fromkeys(kind.department for kind in types))
    leaf_department = np.array([departments.index(kind.department) for kind in types])
    n_brands = BRANDS_A_DEPARTMENT * len(departments)
    tier = rng.integers(-1, 2, n_brands)
    brand = _brands_of_items(rng, leaf, leaf_department)
    style = rng.random(n_items)
    typical = np.array([kind.price for kind in types])[leaf]
    level = 0.35 * tier[brand] + 0.3 * rng.standard_normal(n_items)
    price = np.maximum(np.round(typical * np.exp(level), 2), 0.01)
    level = np.log(price / typical)
    quality = 0.4 * tier[brand] + 0.4 * level + 0.8 * rng.standard_normal(n_items)
    weight = rng.lognormal(0.4 * quality, 1.3)
    weight /= np.bincount(leaf, weight, n_leaves)[leaf]
    of_leaf = Groups(leaf, weight, n_leaves)
    goes_with = _complements(types)
    return Catalog(
        types=types,
        leaf_department=leaf_department,
        goes_with=goes_with,
        leaf_weight=leaf_weight,
        brand_names=_brand_names(rng, n_brands),
        brand_tier=tier,
        brand_vector=rng.standard_normal((n_brands, TASTE_DIMENSIONS)) / 2,
        leaf=leaf,
        brand=brand,
        style=style,
        price=price,
        level=level,
        quality=quality,
        weight=weight,
        appeared=_appearances(rng, n_items, days, new_items),
        related=_relate(rng, of_leaf, goes_with, style, level, weight),
        of_leaf=of_leaf,
        of_department=Groups(leaf_department, leaf_weight, len(departments)),
    )


def item_table(catalog: Catalog, rng: np.random.Generator) -> pd.DataFrame:
    """Write down what an observer can know of each item, with an English title and description."""
    types = np.array(catalog.types, dtype=object)
    kinds = pd.DataFrame(types, columns=ProductType._fields).loc[catalog.leaf]
    words = np.array([kind.styles for kind in catalog.types])
    style = words[catalog.leaf, (catalog.style * words.shape[1]).astype(int)]
    brand = np.array(catalog.brand_names)[catalog.brand]
    series = np.array(SERIES.split())[rng.integers(len(SERIES.split()), size=catalog.n_items)]
    seen = catalog.quality + 0.5 * rng.standard_normal(catalog.n_items)
    make = np.array(MAKES)[np.searchsorted([-1.2, -0.4, 0.4, 1.2], seen)]
    tier = np.array(TIERS)[catalog.brand_tier[catalog.brand] + 1]
    texts = [
        (
            f"{b} {s} {w} {k.name}",
            f"{w.capitalize()} {k.name} for {k.use}. {m} From {b}, {t}; {k.department}, "
            f"{k.category}.",
        )
        for b, s, w, k, m, t in zip(
            brand, series, style, kinds.itertuples(index=False), make, tier, strict=True
        )
    ]
    return pd.DataFrame(
        {
            "item": np.arange(catalog.n_items),
            "title": [title for title, _ in texts],
            "description": [description for _, description in texts],
            "department": kinds["department"].to_numpy(),
            "category": kinds["category"].to_numpy(),
            "product_type": kinds["name"].to_numpy(),
            "brand": brand,
            "price": catalog.price,
            "appeared": to_datetime(catalog.appeared),
        }
    ).astype(dict.fromkeys(["title", "description", "department", "category"], "str"))


def _types_in_use(n_items: int) -> tuple[ProductType, ...]:
    """Take as many product types as there are items for, whole categories by turns."""
    types = read_tree()
    by_turns = [types[i : i + 4] for turn in range(0, 16, 4) for i in range(turn, len(types), 16)]
    chosen = [kind for four in by_turns for kind in four]
    return tuple(chosen[: max(1, min(len(chosen), n_items // ITEMS_A_LEAF))])


def _zipf(n: int) -> Floats:
    weights = np.power(np.arange(1.0, n + 1), -LEAF_EXPONENT)
    shares: Floats = weights / weights.sum()
    return shares


def _leaves_of_items(rng: np.random.Generator, n_items: int, leaf_weight: Floats) -> Ints:
    """Give each leaf a few items and share the others out by popularity."""
    n_leaves = len(leaf_weight)
    fewest = min(FEWEST_IN_A_LEAF, n_items // n_leaves)
    more = rng.choice(n_leaves, n_items - fewest * n_leaves, p=leaf_weight)
    return rng.permutation(np.concatenate([np.repeat(np.arange(n_leaves), fewest), more]))


def _brands_of_items(rng: np.random.Generator, leaf: Ints, leaf_department: Ints) -> Ints:
    """Let four brands of the department serve each leaf, the strong ones with more items."""
    n_leaves = len(leaf_department)
    ranks = np.argsort(rng.random((n_leaves, BRANDS_A_DEPARTMENT)), axis=1)[:, :BRANDS_A_LEAF]
    serving = leaf_department[:, None] * BRANDS_A_DEPARTMENT + np.sort(ranks, axis=1)
    places = (BRANDS_A_LEAF * rng.random(len(leaf)) ** 1.5).astype(int)
    brands: Ints = serving[leaf, places]
    return brands


def _brand_names(rng: np.random.Generator, n: int) -> tuple[str, ...]:
    names = [begin + end for begin in BRAND_BEGINNINGS.split() for end in BRAND_ENDS.split()]
    return tuple(str(name) for name in rng.choice(names, n, replace=False))


def _appearances(rng: np.random.Generator, n_items: int, days: int, new_items: float) -> Floats:
    """Let a share of the items appear during the period, the others in the years before."""
    before = -np.ceil(rng.exponential(300, n_items))
    during = np.floor(1 + rng.random(n_items) * (days - 1))
    is_new = (rng.permutation(n_items) < round(new_items * n_items)) & (days > 1)
    return np.where(is_new, during, before) * SECONDS_A_DAY


def _complements(types: tuple[ProductType, ...]) -> Ints:
    """Find the leaf that goes with each; where it is not in use, the next one of the category."""
    codes = {kind.name: code for code, kind in enumerate(types)}
    beside = [code + 1 if code % 4 < 3 else code - 3 for code in range(len(types))]
    near = [other if other < len(types) else code for code, other in enumerate(beside)]
    return np.array([codes.get(kind.goes_with, near[c]) for c, kind in enumerate(types)])


def _relate(
    rng: np.random.Generator,
    of_leaf: Groups,
    goes_with: Ints,
    style: Floats,
    level: Floats,
    weight: Floats,
) -> Ints:
    """List the items shown next to each: a step on in style and price, and what goes with it."""
    related = np.full((len(style), N_RELATED), -1)
    with_it = np.array(COMPLEMENT_PLACES)
    alike = np.setdiff1d(np.arange(N_RELATED), with_it)
    charm = 0.3 * np.log(weight)
    for leaf, other in enumerate(goes_with):
        own, beside = of_leaf[leaf], of_leaf[other]
        for part in np.array_split(own, 1 + len(own) * len(own) // 4_000_000):
            step = (style[own] - style[part, None] - STYLE_STEP + 0.5) % 1 - 0.5
            rise = level[own] - level[part, None] - PRICE_STEP
            score = charm[own] - np.abs(step) / 0.1 - np.abs(rise) / 0.5
            score[part[:, None] == own] = -np.inf
            related[np.ix_(part, alike)] = _best(score, own, len(alike))
            score = charm[beside] - np.abs(level[beside] - level[part, None]) / 0.5
            score = score + rng.gumbel(size=score.shape)
            score[part[:, None] == beside] = -np.inf
            related[np.ix_(part, with_it)] = _best(score, beside, len(with_it))
    return _without_repeats(related)


def _best(score: Floats, items: Ints, k: int) -> Ints:
    """Give the items of the k largest scores of each row, -1 where there are not so many."""
    order = np.argsort(-score, axis=1)[:, :k]
    best = np.where(np.take_along_axis(score, order, axis=1) > -np.inf, items[order], -1)
    return np.pad(best, ((0, 0), (0, k - best.shape[1])), constant_values=-1)


def _without_repeats(related: Ints) -> Ints:
    """Mark an item that stands in a row already (where a leaf goes with itself)."""
    return np.where(repeats(related), -1, related)


def repeats(rows: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which entries of each row stand further left in it already."""
    again = np.zeros(rows.shape, dtype=bool)
    for column in range(1, rows.shape[1]):
        again[:, column] = (rows[:, :column] == rows[:, column, None]).any(axis=1)
    return again
