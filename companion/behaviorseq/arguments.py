"""Checks of arguments, all with one form of message: name, rule, value."""

from __future__ import annotations

import difflib
import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def require(name: str, value: object, condition: bool, rule: str) -> None:
    """Raise a ValueError that names an argument, its value and the rule it breaks."""
    if not condition:
        raise ValueError(f"{name} must be {rule}, got {value!r}")


def is_count(value: object) -> bool:
    """Tell whether a value is a whole number of 1 or more."""
    return _is_whole(value) and bool(value >= 1)  # type: ignore[operator]  # a number


def whole(name: str, value: Any, least: int, most: int | None = None) -> int:
    """Check that an argument is a whole number in its range, and give it.

    Examples
    --------
    >>> whole("days", 0, 1, 10)
    Traceback (most recent call last):
        ...
    ValueError: days must be a whole number from 1 to 10, got 0
    """
    bounds = f"of {least} or more" if most is None else f"from {least} to {most}"
    inside = _is_whole(value) and value >= least and (most is None or value <= most)
    require(name, value, inside, f"a whole number {bounds}")
    return int(value)


def check_counts(holder: object, *names: str) -> None:
    """Check that attributes of an object, its settings, are whole numbers of 1 or more.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> check_counts(SimpleNamespace(layers=0), "layers")
    Traceback (most recent call last):
        ...
    ValueError: layers must be a whole number of 1 or more, got 0
    """
    for name in names:
        whole(name, getattr(holder, name), 1)


def number(name: str, value: Any, least: float, most: float) -> float:
    """Check that an argument is a number in its range, and give it.

    Examples
    --------
    >>> number("share", float("nan"), 0, 1)
    Traceback (most recent call last):
        ...
    ValueError: share must be a number from 0 to 1, got nan
    """
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    inside = is_number and bool(least <= value <= most)
    require(name, value, inside, f"a number from {least:g} to {most:g}")
    return float(value)


def options_of(call: Callable[..., Any]) -> dict[str, Any]:
    """Give the keyword-only parameters of a function or class, with their defaults."""
    parameters = inspect.signature(call).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def check_options(who: str, call: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Check that all options are keywords of what is to be called.

    Raises
    ------
    ValueError
        If one is not; the message names it, and those that there are.
    """
    known = list(options_of(call))
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" (is it {near[0]!r}?)" if near else ""
            raise ValueError(
                f"{who} has no option {name!r}{hint}; it has {', '.join(known) or 'none'}"
            )


def _is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
