"""Scaling curves: found again from their own points, and refused where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from behaviorseq import fit_scaling_curve
from behaviorseq.scaling import ScalingCurve

SIZES = np.array([1e3, 3e3, 1e4, 3e4, 1e5, 3e5])


@settings(max_examples=40)
@given(st.floats(0, 5), st.floats(0.5, 3), st.floats(0.2, 1.5))
def test_a_curve_is_found_again(floor: float, excess: float, exponent: float) -> None:
    true = ScalingCurve(floor, excess, exponent, SIZES[0], 0.0)
    found = fit_scaling_curve(SIZES[::-1], true(SIZES[::-1]))
    assert found.exponent == pytest.approx(exponent, rel=0.03)
    assert found.floor == pytest.approx(floor, abs=0.05)
    assert found.excess == pytest.approx(excess, abs=0.05)
    assert found.error < 0.01


def test_same_as_scipy_on_noisy_points() -> None:
    noise = 0.02 * np.random.default_rng(0).standard_normal(len(SIZES))
    losses = ScalingCurve(3.0, 2.0, 0.5, SIZES[0], 0.0)(SIZES) + noise
    found = fit_scaling_curve(SIZES, losses)
    (floor, excess, exponent), _ = curve_fit(
        lambda n, e, a, b: e + a * (n / SIZES[0]) ** -b, SIZES, losses, p0=(2, 1, 1)
    )
    assert found.floor == pytest.approx(floor, abs=0.01)
    assert found.excess == pytest.approx(excess, abs=0.01)
    assert found.exponent == pytest.approx(exponent, rel=0.02)


def test_a_plain_power_law_has_no_floor() -> None:
    plain = 4 * (SIZES / SIZES[0]) ** -0.3
    assert fit_scaling_curve(SIZES, plain, floor=0).floor == 0
    assert fit_scaling_curve(SIZES, plain, floor=0).exponent == pytest.approx(0.3, rel=0.02)
    assert fit_scaling_curve(SIZES, 3 + plain, floor=3).excess == pytest.approx(4, abs=0.05)


def test_a_floor_is_never_negative() -> None:
    straight = np.linspace(2.0, 0.1, len(SIZES))  # in log-size: no power law, it heads below 0
    assert fit_scaling_curve(SIZES, straight).floor >= 0


def test_a_loss_that_rises_has_no_curve() -> None:
    found = fit_scaling_curve(SIZES, np.linspace(1, 2, len(SIZES)))
    assert found.excess == 0
    assert found.floor == pytest.approx(1.5)


def test_size_for_a_share_of_the_excess() -> None:
    curve = ScalingCurve(2.0, 1.0, 0.5, 100.0, 0.0)
    assert curve(curve.size_for(0.25)) == pytest.approx(2.25)
    with pytest.raises(ValueError, match="share"):
        curve.size_for(0)


@pytest.mark.parametrize(
    ("sizes", "losses", "floor", "match"),
    [
        ([1, 2, 3], [1, 2], None, "one loss a size"),
        ([0, 2, 3], [1, 2, 3], None, "sizes must be positive"),
        ([1, 2, 3], [1, np.nan, 3], None, "losses must be"),
        ([1, 2, 3], [1, 2, 3], -1.0, "floor"),
        ([1, 2, 2], [1, 2, 3], None, "three different sizes"),
    ],
)
def test_refusals(sizes: list[float], losses: list[float], floor: float, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        fit_scaling_curve(sizes, losses, floor=floor)
