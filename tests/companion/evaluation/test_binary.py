"""The area under the ROC curve against pairs of users, scikit-learn, and a plain bootstrap."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from behaviorseq import auc_interval, auc_test

LABELS = st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=30).filter(
    lambda rows: len({happened for happened, _ in rows}) == 2
)


@given(LABELS)
@settings(max_examples=60)
def test_it_is_the_share_of_pairs_in_order(rows):
    happened, scores = (np.array(column) for column in zip(*rows, strict=True))
    yes, no = scores[happened][:, None], scores[~happened]
    expected = ((yes > no) + 0.5 * (yes == no)).mean()
    value, low, high = auc_interval(happened, scores, n_bootstrap=20)
    assert value == pytest.approx(expected)
    assert value == pytest.approx(roc_auc_score(happened, scores))
    assert 0 <= low <= high <= 1


def example(n=400, seed=0):
    rng = np.random.default_rng(seed)
    happened = rng.random(n) < 0.2
    good = np.round(happened + rng.normal(0, 1, n), 1)
    return happened, good, good + rng.normal(0, 2, n)


def test_the_interval_is_that_of_a_plain_bootstrap():
    happened, scores, _ = example()
    rng = np.random.default_rng(1)
    drawn = [rng.integers(0, len(scores), len(scores)) for _ in range(1000)]
    plain = np.quantile([roc_auc_score(happened[d], scores[d]) for d in drawn], [0.025, 0.975])
    found = auc_interval(happened, scores)
    np.testing.assert_allclose(found[1:], plain, atol=0.01)
    narrow = auc_interval(happened, scores, level=0.5)
    assert found.low < narrow.low < found.value < narrow.high < found.high
    assert auc_interval(happened, scores) == found
    assert auc_interval(happened, scores, seed=1) != found


def test_rows_of_one_user_are_drawn_together():
    happened, good, worse = example()
    users = np.arange(len(good)) // 4  # four rows each, which say the same
    first = np.repeat(np.arange(0, len(good), 4), 4)
    labels, scores = happened[first], good[first]
    found = auc_interval(labels, scores, users=users)
    alone = auc_interval(labels[::4], scores[::4])
    assert found == pytest.approx(alone)
    assert found.high - found.low > 1.5 * np.ptp(auc_interval(labels, scores)[1:])
    assert auc_interval(happened, good, users=np.arange(len(good))) == auc_interval(happened, good)
    test = auc_test(labels, scores, worse[first], users=[f"user {u:03}" for u in users])
    assert test == pytest.approx(auc_test(labels[::4], scores[::4], worse[first][::4]))
    with pytest.raises(ValueError, match="each label needs its user"):
        auc_interval(happened, good, users=users[1:])


def test_a_better_score_is_told_from_a_worse_one_and_not_from_itself():
    happened, good, worse = example()
    test = auc_test(happened, good, worse)
    assert test.difference == pytest.approx(
        roc_auc_score(happened, good) - roc_auc_score(happened, worse)
    )
    assert 0 < test.low < test.difference < test.high
    assert test.p_value < 0.01
    assert auc_test(happened, worse, good).difference == -test.difference
    same = auc_test(happened, good, 2 * good)
    assert (same.difference, same.p_value) == (0, 1)


def test_between_scores_that_are_alike_it_is_seldom_sure():
    p_values = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        happened = rng.random(200) < 0.3
        one, two = happened + rng.normal(0, 1, (2, 200))
        p_values.append(auc_test(happened, one, two, n_bootstrap=200).p_value)
    assert np.mean(np.array(p_values) < 0.05) < 0.2


@pytest.mark.parametrize(
    ("happened", "scores", "message"),
    [
        ([0, 1], [0.5], "a label and a score"),
        ([0, 1], [0.5, np.nan], "not a number"),
        ([1, 1], [0.5, 0.6], "happened to 2 of 2"),
    ],
)
def test_what_cannot_be_judged_is_refused(happened, scores, message):
    with pytest.raises(ValueError, match=message):
        auc_interval(happened, scores)
