"""What people in the simulated shop see and do on a visit, page after page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .base import SECONDS_A_DAY
from .shop_catalog import repeats
from .shop_choice import click_probability, follow, mission_stage, utility

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .shop_people import People
    from .shop_visits import Visits

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

#: Items on a page at most, and how many are drawn to fill it.
PAGE = 8
DRAWN = 12
KINDS = ("browse", "related", "popular", "new", "shortlist", "repeat", "review")
BROWSE, RELATED, POPULAR, NEW, SHORTLIST, REPEAT, REVIEW = range(len(KINDS))
#: Shares of the pages without relation to the last click that are popular, and new items.
POPULAR_SHARE, NEW_SHARE = 0.08, 0.05
NEW_DAYS = 21
#: Share of the pages in the later stages of a mission that show its shortlist.
RETURN_SHARE = 0.7
#: Share of the items that an exploring person sees because they are on the way to the shortlist.
FOUND_SHARE = 0.2
SHORT = 4


@dataclass(frozen=True, eq=False)
class Views:
    """Items shown, page after page: all first pages, all second pages, and so on.

    All arrays have shape (n_views,): the visit, its page, the position and the item, the kind of
    page, whether it was clicked, and its utility.
    """

    visit: Ints
    page: Ints
    position: Ints
    item: Ints
    kind: Ints
    clicked: Bools
    utility: Floats


class Pages:
    """Fills the pages of visits.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where chance comes from.
    people : People
        Who visits.
    visits : Visits
        Their visits.
    shortlists : NDArray[int64]
        Items that each mission narrows down to, shape (n, missions, 4).
    order : float
        Share of the pages after a click that show items related to it.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        people: People,
        visits: Visits,
        shortlists: Ints,
        order: float,
    ) -> None:
        self.rng, self.people, self.visits, self.order = rng, people, visits, order
        self.catalog, self.shortlists = people.catalog, shortlists
        appeared = np.sort(self.catalog.appeared)
        self.new_first = np.argsort(self.catalog.appeared, kind="stable")
        # Of each visit: how many items were there, and how many were no longer new.
        self.n_there = np.searchsorted(appeared, visits.start, side="right")
        self.n_old = np.searchsorted(appeared, visits.start - NEW_DAYS * SECONDS_A_DAY)

    def fill(self, visit: Ints, last: Ints) -> tuple[Ints, Ints, Ints, Ints]:
        """Show a page on each visit, given the items clicked last (-1: none).

        Returns
        -------
        tuple of NDArray[int64]
            Index into ``visit``, position, item, and kind of page, of each item shown.
        """
        kind = self._kinds(visit, last)
        candidates = self._browsed(visit)
        rows = [np.flatnonzero(kind == which) for which in range(len(KINDS))]
        candidates[rows[RELATED]] = self._related(last[rows[RELATED]])
        candidates[rows[POPULAR]] = self._popular(len(rows[POPULAR]))
        candidates[rows[NEW]] = self._new(visit[rows[NEW]])
        candidates[rows[SHORTLIST]] = self._short(visit[rows[SHORTLIST]])
        start = self.visits.start[visit]
        shown = (candidates >= 0) & (self.catalog.appeared[candidates] <= start[:, None])
        shown &= ~repeats(candidates)
        place = np.cumsum(shown, axis=1) - 1
        row, column = np.nonzero(shown & (place < PAGE))
        return row, place[row, column], candidates[row, column], kind[row]

    def _kinds(self, visit: Ints, last: Ints) -> Ints:
        """Draw the kind of each page."""
        related = (last >= 0) & (self.rng.random(len(visit)) < self.order)
        chance = self.rng.random(len(visit))
        new = (chance < POPULAR_SHARE + NEW_SHARE) & (self.n_there > self.n_old)[visit]
        returns = (self.visits.stage[visit] > 0) & (self.rng.random(len(visit)) < RETURN_SHARE)
        choices = [related, chance < POPULAR_SHARE, new, returns]
        return np.select(choices, [RELATED, POPULAR, NEW, SHORTLIST], BROWSE)

    def _browsed(self, visit: Ints) -> Ints:
        """Draw items of the visit's leaf by popularity; explorers come upon their shortlist."""
        leaf = self.visits.leaf[visit][:, None]
        items = self.catalog.of_leaf.draw(leaf, self.rng.random((len(visit), DRAWN)))
        exploring = np.flatnonzero(self.visits.stage[visit] == 0)
        found = self._short(visit[exploring])[:, self.rng.integers(SHORT, size=DRAWN)]
        taken = (self.rng.random(found.shape) < FOUND_SHARE) & (found >= 0)
        items[exploring] = np.where(taken, found, items[exploring])
        return items

    def _related(self, last: Ints) -> Ints:
        """Order the related items of the last click by chance, the nearest mostly on top."""
        related = self.catalog.related[last]
        keys = -np.log1p(np.arange(related.shape[1])) + self.rng.gumbel(size=related.shape)
        related = np.take_along_axis(related, np.argsort(-keys, axis=1), axis=1)
        return np.pad(related, ((0, 0), (0, DRAWN - related.shape[1])), constant_values=-1)

    def _popular(self, n: int) -> Ints:
        catalog = self.catalog
        leaves = self.rng.choice(catalog.n_leaves, size=(n, DRAWN), p=catalog.leaf_weight)
        return catalog.of_leaf.draw(leaves, self.rng.random(leaves.shape))

    def _new(self, visit: Ints) -> Ints:
        old, there = self.n_old[visit][:, None], self.n_there[visit][:, None]
        places = old + np.floor(self.rng.random((len(visit), DRAWN)) * (there - old))
        return self.new_first[places.astype(np.int64)]

    def _short(self, visit: Ints) -> Ints:
        items = self.shortlists[self.visits.row[visit], self.visits.mission[visit]]
        return np.pad(items, ((0, 0), (0, DRAWN - SHORT)), constant_values=-1)


def make_shortlists(rng: np.random.Generator, people: People) -> Ints:
    """Choose the items that each mission narrows down to, by utility and chance.

    Returns
    -------
    NDArray[int64]
        Items, the best first, -1 where there are fewer, shape (n, missions, 4).
    """
    row, number = np.nonzero(np.isfinite(people.mission_bounds[:, :, 0]))
    start = people.mission_bounds[row, number, 0]
    leaf = people.mission_leaf[row, number]
    items = people.catalog.of_leaf.draw(leaf[:, None], rng.random((len(row), 2 * DRAWN)))
    gone = repeats(items) | (people.catalog.appeared[items] > start[:, None])
    # Interest is the same for all items of a leaf: any weight gives the same order.
    score = utility(people, row[:, None], items, np.zeros(items.shape))
    score = np.where(gone, -np.inf, score + rng.gumbel(size=items.shape))
    best = np.argsort(-score, axis=1)[:, :SHORT]
    chosen = np.take_along_axis(np.where(gone, -1, items), best, axis=1)
    shortlists = np.full((*people.mission_leaf.shape, SHORT), -1)
    shortlists[row, number] = chosen
    return shortlists


def show_pages(pages: Pages, bias: float) -> Views:
    """Show all pages of all visits; the last click decides what the next page shows."""
    people, visits, rng = pages.people, pages.visits, pages.rng
    interest = people.interest(visits.row, visits.start)
    last = np.full(len(visits.row), -1)
    shown: list[tuple[NDArray[np.generic], ...]] = []
    for page in range(int(visits.pages.max(initial=0))):
        active = np.flatnonzero(visits.pages > page)
        index, position, item, kind = pages.fill(active, last[active])
        visit = active[index]
        weight = interest[visit, people.catalog.leaf[item]]
        wanted = utility(people, visits.row[visit], item, weight)
        clicked = rng.random(len(item)) < click_probability(wanted, position, bias)
        last[visit[clicked]] = item[clicked]
        shown.append((visit, np.full(len(visit), page), position, item, kind, clicked, wanted))
    return Views(*(np.concatenate(column) for column in zip(*shown, strict=True)))


def follow_clicks(
    rng: np.random.Generator, people: People, visits: Visits, views: Views
) -> tuple[Ints, Ints, Ints]:
    """Tell which views led to a favorite, a cart and a purchase (indices into the views)."""
    clicks = np.flatnonzero(views.clicked)
    visit, item = views.visit[clicks], views.item[clicks]
    stage = mission_stage(people, visits.row[visit], item, visits.start[visit])
    chance = follow(views.utility[clicks], people.catalog.price[item], stage)
    favorite = rng.random(len(clicks)) < chance.favorite
    one = rng.random(len(clicks))
    return clicks[favorite], clicks[one < chance.cart], clicks[one < chance.purchase]
