"""Simulated worlds whose truth is known: a shop, a social network, investors, students.

Each is made to resemble real logs where that matters for a lesson, and says where it does not.
A result found in one of them is a result about a simulation.
"""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import Any

from behaviorseq.arguments import check_options

from .base import World as World
from .faults import Corruption as Corruption
from .faults import corrupt as corrupt

#: Each world: its module, its class, and its size where none is asked for.
WORLDS: dict[str, tuple[str, str, dict[str, int]]] = {
    "shop": ("shop", "Shop", {"n_users": 2_000, "n_items": 1_000, "days": 90}),
    "social": ("social", "Social", {"n_users": 1_000, "n_items": 2_000, "days": 30}),
    "finance": ("finance", "Finance", {"n_users": 2_000, "n_items": 200, "days": 360}),
    "education": ("education", "Education", {"n_users": 1_000, "n_items": 300, "days": 90}),
}


def world(
    name: str,
    n_users: int | None = None,
    n_items: int | None = None,
    days: int | None = None,
    seed: int = 0,
    **options: Any,
) -> World:
    """Make a simulated world.

    Parameters
    ----------
    name : {"shop", "social", "finance", "education"}
        Which one.
    n_users, n_items, days : int, optional
        How many people and things, and for how long. Each world has a size of its own where
        nothing is asked for.
    seed : int
        The same seed gives the same world.
    **options
        What a world has beyond this; see its class.

    Returns
    -------
    World
        With ``log()``, ``truth``, ``environment()`` and ``corrupt(log, faults)``.

    Raises
    ------
    ValueError
        If there is no such world or option, or a number is out of its range.

    Examples
    --------
    >>> from behaviorseq import simulate
    >>> simulate.world("bazaar")
    Traceback (most recent call last):
        ...
    ValueError: no world is named 'bazaar'; there are shop, social, finance, education
    """
    if name not in WORLDS:
        near = difflib.get_close_matches(str(name).lower(), WORLDS, n=1, cutoff=0.6)
        hint = f" (is it {near[0]!r}?)" if near else ""
        raise ValueError(f"no world is named {name!r}{hint}; there are {', '.join(WORLDS)}")
    module, kind, sizes = WORLDS[name]
    asked = {"n_users": n_users, "n_items": n_items, "days": days}
    given = {key: number for key, number in asked.items() if number is not None}
    make = getattr(import_module(f".{module}", __name__), kind)
    check_options(f"the world {name}", make, options)
    made: World = make(**{**sizes, **given}, seed=seed, **options)
    return made
