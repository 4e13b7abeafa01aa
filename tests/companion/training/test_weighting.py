"""Losses of tasks and how they are added, against NumPy, scikit-learn and the optimum on paper."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from behaviorseq.training.weighting import (
    LossWeights,
    answer_losses,
    chain_log_chances,
    esmm_losses,
)

ODDS = st.floats(-40, 40)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def draw(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def test_binary_answers_have_the_loss_of_scikit_learn():
    logits, labels = draw(50, 1), (draw(50, seed=1) > 0).double()
    found = answer_losses("binary", logits, labels).mean()
    assert found.item() == pytest.approx(log_loss(labels, logits[:, 0].sigmoid()), rel=1e-9)


def test_classes_have_the_loss_of_scikit_learn():
    logits, labels = draw(50, 4), torch.arange(50).double() % 4
    found = answer_losses("class", logits, labels).mean()
    assert found.item() == pytest.approx(log_loss(labels, logits.softmax(dim=1)), rel=1e-9)


def test_labels_have_the_mean_loss_of_each():
    logits, labels = draw(50, 3), (draw(50, 3, seed=1) > 0).double()
    found = answer_losses("labels", logits, labels).mean()
    alone = [log_loss(labels[:, k], logits[:, k].sigmoid()) for k in range(3)]
    assert found.item() == pytest.approx(np.mean(alone), rel=1e-9)


@pytest.mark.parametrize("kind", ["binary", "class"])
def test_an_unknown_answer_has_neither_loss_nor_gradient(kind):
    logits = draw(4, 1 if kind == "binary" else 3).requires_grad_()
    labels = torch.tensor([0.0, torch.nan, 1.0, torch.nan], dtype=torch.float64)
    losses = answer_losses(kind, logits, labels)
    losses.sum().backward()
    assert (losses[[1, 3]] == 0).all()
    assert (logits.grad[[1, 3]] == 0).all()
    assert (logits.grad[[0, 2]] != 0).any()


@given(ODDS, ODDS)
@settings(max_examples=100)
def test_the_chances_of_a_chain_have_sum_1(a, b):
    both, not_both = chain_log_chances(*(torch.tensor([x], dtype=torch.float64) for x in (a, b)))
    assert (both.exp() + not_both.exp()).item() == pytest.approx(1, abs=1e-12)
    assert both.exp().item() == pytest.approx(sigmoid(a) * sigmoid(b), rel=1e-9)


def loop_esmm(click, conversion, clicked, bought):
    found = np.zeros((len(click), 2))
    for i in range(len(click)):
        p, q = sigmoid(click[i]), sigmoid(conversion[i])
        for j, (y, chance) in enumerate(((clicked[i], p), (bought[i], p * q))):
            found[i, j] = -(y * np.log(chance) + (1 - y) * np.log(1 - chance))
    return found


def test_esmm_equals_a_loop_in_value_and_gradient():
    odds = [draw(12, seed=s).requires_grad_() for s in (0, 1)]
    clicked = (draw(12, seed=2) > 0).double()
    bought = clicked * (draw(12, seed=3) > 0).double()
    losses = esmm_losses(*odds, clicked, bought)
    labels = clicked.numpy(), bought.numpy()
    plain = [o.detach().numpy().copy() for o in odds]
    np.testing.assert_allclose(losses.detach(), loop_esmm(*plain, *labels), rtol=1e-10)
    losses.sum().backward()
    for which in range(2):
        for i in range(12):
            ends = []
            for step in (1e-6, -1e-6):
                moved = [o.copy() for o in plain]
                moved[which][i] += step
                ends.append(loop_esmm(*moved, *labels).sum())
            slope = (ends[0] - ends[1]) / 2e-6
            assert odds[which].grad[i].item() == pytest.approx(slope, rel=1e-5, abs=1e-8)


def test_esmm_teaches_the_conversion_rate_by_impressions_without_a_click():
    """There too the product is known to have failed; the loss of clicks alone says nothing."""
    conversion = torch.zeros(1, requires_grad=True)
    esmm_losses(torch.zeros(1), conversion, torch.zeros(1), torch.zeros(1)).sum().backward()
    assert conversion.grad.item() > 0


def test_extreme_odds_stay_finite():
    far = torch.tensor([80.0, -80.0, 80.0, -80.0], requires_grad=True)
    losses = esmm_losses(far, far.flip(0), torch.zeros(4), torch.zeros(4))
    losses.sum().backward()
    assert losses.isfinite().all()
    assert far.grad.isfinite().all()


def test_uncertainty_settles_at_one_over_twice_the_loss():
    losses = torch.tensor([0.2, 3.0])
    weights = LossWeights("uncertainty", torch.ones(2))
    optimizer = torch.optim.Adam(weights.parameters(), lr=0.05)
    for _ in range(1500):
        optimizer.zero_grad()
        weights(losses).backward()
        optimizer.step()
    torch.testing.assert_close(weights.weights().detach(), 1 / (2 * losses), rtol=1e-3, atol=1e-4)


def test_equal_and_scaled_are_sums():
    losses, scales = torch.tensor([1.0, 3.0, 2.0]), torch.tensor([2.0, 3.0, 8.0])
    assert LossWeights("equal", scales)(losses).item() == 6
    assert LossWeights("scaled", scales)(losses).item() == pytest.approx(0.5 + 1 + 0.25)
