"""Losses and areas of several tasks, against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from behaviorseq import expected_auc, expected_losses, task_auc, task_losses

RNG = np.random.default_rng(0)


def test_losses_are_those_of_scikit_learn():
    p, y = RNG.random(80), RNG.integers(0, 2, 80)
    assert task_losses(p, y).mean() == pytest.approx(log_loss(y, p))
    q, c = RNG.dirichlet(np.ones(4), 80), np.arange(80) % 4
    assert task_losses(q, c).mean() == pytest.approx(log_loss(c, q))
    r, labels = RNG.random((80, 3)), RNG.integers(0, 2, (80, 3))
    alone = [log_loss(labels[:, k], r[:, k]) for k in range(3)]
    assert task_losses(r, labels).mean() == pytest.approx(np.mean(alone))


def test_areas_are_those_of_scikit_learn():
    p, y = RNG.random(80), RNG.integers(0, 2, 80)
    assert task_auc(p, y) == pytest.approx(roc_auc_score(y, p))
    q, c = RNG.dirichlet(np.ones(4), 80), np.arange(80) % 4
    assert task_auc(q, c) == pytest.approx(roc_auc_score(c, q, multi_class="ovr"))
    r, labels = RNG.random((80, 3)), RNG.integers(0, 2, (80, 3))
    assert task_auc(r, labels) == pytest.approx(roc_auc_score(labels, r))


def test_unknown_answers_and_rare_classes_are_left_out():
    p, y = RNG.random(80), RNG.integers(0, 2, 80).astype(float)
    y[:20] = np.nan
    assert np.isnan(task_losses(p, y)[:20]).all()
    assert task_auc(p, y) == pytest.approx(roc_auc_score(y[20:], p[20:]))
    r, labels = RNG.random((80, 2)), RNG.integers(0, 2, (80, 2))
    labels[5:, 1] = 0
    assert task_auc(r, labels) == pytest.approx(roc_auc_score(labels[:, 0], r[:, 0]))
    with pytest.raises(ValueError, match="no class has"):
        task_auc(p[20:], np.zeros(60))
    with pytest.raises(ValueError, match="do not fit"):
        task_losses(r, np.zeros(70))


def test_what_is_expected_is_the_mean_of_what_is_drawn():
    truth, scores = RNG.random(300) ** 3, RNG.random(300)
    drawn = RNG.random((2000, 300)) < truth
    losses = -(drawn * np.log(scores) + (1 - drawn) * np.log1p(-scores))
    np.testing.assert_allclose(expected_losses(truth, scores).mean(), losses.mean(), rtol=5e-3)
    areas = np.mean([roc_auc_score(y, scores) for y in drawn[:300]])
    assert expected_auc(truth, scores) == pytest.approx(areas, abs=5e-3)


def test_the_truth_has_the_least_loss_and_the_largest_area():
    truth = RNG.random(300)
    other = np.clip(truth + RNG.normal(0, 0.2, 300), 0.01, 0.99)
    assert expected_losses(truth, truth).mean() < expected_losses(truth, other).mean()
    assert expected_auc(truth, truth) > expected_auc(truth, other)
