"""Checks of arguments: what passes, and what a refusal says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from behaviorseq.arguments import check_options, is_count, number, options_of, require, whole


def test_what_passes_comes_back_as_a_plain_number() -> None:
    assert whole("n", np.int32(4), 1) == 4
    assert type(whole("n", np.int32(4), 1)) is int
    assert number("x", 1, 0, 1) == 1.0
    assert type(number("x", np.float32(0.5), 0, 1)) is float
    assert number("x", np.inf, 1, np.inf) == np.inf


@pytest.mark.parametrize("value", [-0.1, 1.01, "0.5", True, None, float("nan"), [0.5]])
def test_numbers_out_of_range(value: Any) -> None:
    with pytest.raises(ValueError, match="rate must be a number from 0 to 1, got "):
        number("rate", value, 0, 1)


@pytest.mark.parametrize("value", [0, 6, 2.0, "2", True, None])
def test_whole_numbers_out_of_range(value: Any) -> None:
    with pytest.raises(ValueError, match="n must be a whole number from 1 to 5, got "):
        whole("n", value, 1, 5)
    with pytest.raises(ValueError, match="n must be a whole number of 9 or more, got "):
        whole("n", value, 9)


@pytest.mark.parametrize(
    ("value", "counts"),
    [(1, True), (np.int8(3), True), (0, False), (True, False), (1.0, False), ("1", False)],
)
def test_counts(value: Any, counts: bool) -> None:
    assert is_count(value) is counts


def test_require() -> None:
    require("x", 1, True, "anything")
    with pytest.raises(ValueError, match="x must be odd, got 2"):
        require("x", 2, False, "odd")


def call(n: int, *, speed: float = 2.0, colour: str = "red") -> None:
    """Take two options."""


def test_options() -> None:
    assert options_of(call) == {"speed": 2.0, "colour": "red"}
    check_options("the call", call, {"speed": 1})
    with pytest.raises(ValueError, match=r"the call has no option 'color' \(is it 'colour'\?\)"):
        check_options("the call", call, {"color": "blue"})
    with pytest.raises(ValueError, match="it has none"):
        check_options("nothing", test_options, {"x": 1})
