"""Mixes of categories and their divergence, against loops, SciPy and laws."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from behaviorseq import ItemKNN, Popularity, Sequences
from behaviorseq.evaluation import calibrated_lists, category_mix, list_divergence, mix_divergence

LOG = pd.DataFrame(
    {
        "user": [1, 1, 1, 2, 2, 3, 3, 3],
        "item": list("abaacbda"),
        "time": range(8),
        "behavior": "view",
    }
)
KINDS = np.array([[1, 0, 0], [0.5, 0.5, 0], [0, 0.25, 0.75], [0, 0, 0]])  # d is of no kind


def mixes(seed, n=6, k=4):
    """Give random mixes, some of them with a share of 0."""
    rng = np.random.default_rng(seed)
    found = rng.random((n, k)) * (rng.random((n, k)) < 0.7)
    found[:, 0] += 1e-3
    return found / found.sum(axis=1, keepdims=True)


def test_the_mix_of_a_history_equals_a_loop_over_its_events():
    histories = Sequences.from_events(LOG)
    expected = []
    for user in (1, 2, 3):
        rows = [KINDS["abcd".index(item)] for item in LOG["item"][LOG["user"] == user]]
        rows = [row for row in rows if row.sum() > 0]
        expected.append(sum(rows) / len(rows))
    np.testing.assert_allclose(category_mix(histories, KINDS), expected)


def test_a_history_without_any_category_has_no_mix():
    histories = Sequences.from_events(LOG)
    kinds = KINDS.copy()
    kinds[[0, 2]] = 0  # of user 2's items none is left
    mix = category_mix(histories, kinds)
    np.testing.assert_array_equal(mix.sum(axis=1), [1, 0, 1])
    with pytest.raises(ValueError, match=r"wanted must have rows .* row 1 has not"):
        mix_divergence(mix, mix)


def test_divergence_equals_scipys_and_a_loop():
    p, q = mixes(0), mixes(1)
    for alpha in (0.01, 0.3):
        ours = mix_divergence(p, q, alpha=alpha)
        mixed = (1 - alpha) * q + alpha * p
        np.testing.assert_allclose(ours, stats.entropy(p, mixed, axis=1), atol=1e-12)
        for row in range(len(p)):
            cells = zip(p[row], mixed[row], strict=True)
            assert ours[row] == pytest.approx(sum(a * np.log(a / b) for a, b in cells if a > 0))


@given(st.integers(0, 10_000), st.floats(0.001, 0.9))
def test_divergence_is_bounded_and_zero_for_the_same_mix(seed, alpha):
    p, q = mixes(seed), mixes(seed + 1)
    found = mix_divergence(p, q, alpha=alpha)
    assert (found >= -1e-12).all()
    assert (found <= -np.log(alpha) + 1e-12).all()
    np.testing.assert_allclose(mix_divergence(p, p, alpha=alpha), 0, atol=1e-12)
    nothing = mix_divergence(p, np.zeros_like(p), alpha=alpha)
    np.testing.assert_allclose(nothing, -np.log(alpha))


@given(st.integers(0, 10_000))
def test_divergence_shrinks_as_a_list_comes_nearer_to_what_is_wanted(seed):
    p, q = mixes(seed), mixes(seed + 1)
    away = [mix_divergence(p, (1 - t) * q + t * p) for t in (0, 0.3, 0.6, 0.9)]
    assert all((far >= near - 1e-12).all() for far, near in pairwise(away))


@pytest.mark.parametrize("model", [Popularity(), ItemKNN()])
def test_the_divergence_of_lists_equals_a_loop_over_lists(model):
    histories = Sequences.from_events(LOG)
    model.fit(histories)
    wanted = category_mix(histories, KINDS)
    found = list_divergence(model, histories, KINDS, k=2)
    assert found.index.tolist() == [1, 2, 3]
    items, _ = model.recommend(histories, 2)
    for row, codes in enumerate(items):
        kinds = [KINDS[code] for code in codes if code >= 0 and KINDS[code].sum() > 0]
        mix = sum(kinds, np.zeros(3)) / max(len(kinds), 1)
        expected = mix_divergence(wanted[[row]], mix[None])[0]
        assert found.iloc[row] == pytest.approx(expected)


def test_another_mix_may_be_wanted():
    histories = Sequences.from_events(LOG)
    model = Popularity().fit(histories)
    truth = np.tile([0.0, 1.0, 0.0], (3, 1))
    found = list_divergence(model, histories, KINDS, k=1, wanted=truth, exclude_seen=False)
    assert found.tolist() == pytest.approx([-np.log(0.01)] * 3)  # all lists hold a alone


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1.0]], [[0.5, 0.5]]), "the shape of given"),
        (([[0.5, 0.4]], [[1.0, 0.0]]), "wanted must have rows"),
        (([[1.0, 0.0]], [[1.5, -0.5]]), "given must have rows"),
    ],
)
def test_what_is_no_mix_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        mix_divergence(*arguments)


@pytest.mark.parametrize("alpha", [0, 1, -0.1, 2])
def test_alpha_is_a_share(alpha):
    with pytest.raises(ValueError, match="alpha"):
        mix_divergence([[1.0]], [[1.0]], alpha=alpha)


def test_categories_must_fit_the_items():
    histories = Sequences.from_events(LOG)
    with pytest.raises(ValueError, match="the shape of categories"):
        category_mix(histories, KINDS[:3])
    with pytest.raises(ValueError, match="row 3"):
        category_mix(histories, np.vstack([KINDS[:3], [[0.5, 0.1, 0.1]]]))


@pytest.mark.parametrize("weight", [0, 0.3, 0.9, 1])
def test_calibrated_lists_equal_a_greedy_loop(weight):
    rng = np.random.default_rng(1)
    kinds, wanted = mixes(5, n=12, k=3), mixes(6, n=4, k=3)
    items = np.array([rng.permutation(12)[:6] for _ in range(4)])
    scores = rng.normal(size=(4, 6))
    items[2, 4:] = -1
    found = calibrated_lists(items, scores, kinds, wanted, k=5, weight=weight)
    for row in range(4):
        pairs = [(i, s) for i, s in zip(items[row], scores[row], strict=True) if i >= 0]
        taken = []
        while pairs and len(taken) < 5:

            def value(pair, row=row, taken=taken):
                mix = np.mean([kinds[i] for i in [*taken, pair[0]]], axis=0)
                return (1 - weight) * pair[1] - weight * mix_divergence(wanted[[row]], [mix])[0]

            best = max(pairs, key=value)
            taken.append(best[0])
            pairs.remove(best)
        assert found[row].tolist() == taken + [-1] * (5 - len(taken))


def test_weight_zero_gives_the_best_candidates_and_more_weight_a_nearer_mix():
    rng = np.random.default_rng(0)
    kinds, wanted = np.eye(4)[rng.integers(0, 4, 40)], mixes(3, n=25)
    items = np.array([rng.permutation(40)[:30] for _ in range(25)])
    scores = -np.sort(rng.exponential(size=(25, 30)), axis=1)
    away = []
    for weight in (0, 0.5, 1):
        lists = calibrated_lists(items, scores, kinds, wanted, k=8, weight=weight)
        away.append(mix_divergence(wanted, kinds[lists].mean(axis=1)).mean())
        assert (np.diff(np.sort(lists, axis=1), axis=1) > 0).all()  # nothing twice
        if weight == 0:
            np.testing.assert_array_equal(lists, items[:, :8])
    assert away[0] > away[1] > away[2]
    with pytest.raises(ValueError, match="k must be"):
        calibrated_lists(items, scores, kinds, wanted, k=31)
    with pytest.raises(ValueError, match="of the same users"):
        calibrated_lists(items, scores[:3], kinds, wanted)
