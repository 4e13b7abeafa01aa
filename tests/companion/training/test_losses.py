"""Every loss against an independent reference, in value and gradient."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812 - the name that PyTorch's users know

from behaviorseq import training
from behaviorseq.training import losses
from behaviorseq.training.losses import draw_others

N, D, ITEMS = 13, 5, 11


@pytest.fixture
def tensors():
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(N, D, dtype=torch.float64, generator=generator, requires_grad=True)
    weight = torch.randn(ITEMS, D, dtype=torch.float64, generator=generator, requires_grad=True)
    targets = torch.randint(ITEMS, (N,), generator=generator)
    return hidden, weight, targets


def same(ours, reference, hidden, weight):
    """Compare two losses: value, and gradient for both inputs."""
    torch.testing.assert_close(ours, reference, rtol=1e-10, atol=1e-12)
    gradients = [
        torch.autograd.grad(3 * value, (hidden, weight), retain_graph=True)
        for value in (ours, reference)
    ]
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("chunk_bytes", [1, 8 * ITEMS * 4, 10**9])
def test_full_softmax_equals_cross_entropy(tensors, chunk_bytes, monkeypatch):
    monkeypatch.setattr(losses, "CHUNK_BYTES", chunk_bytes)
    monkeypatch.setattr(losses, "CPU_ROWS", 10**9)  # never by the CPU's cache
    hidden, weight, targets = tensors
    reference = F.cross_entropy(hidden @ weight.T, targets)
    same(training.full_softmax(hidden, weight, targets), reference, hidden, weight)


def test_full_softmax_passes_gradcheck(tensors):
    hidden, weight, targets = tensors
    assert torch.autograd.gradcheck(
        lambda h, w: training.full_softmax(h, w, targets), (hidden, weight)
    )


def test_full_softmax_can_go_backward_twice(tensors):
    hidden, weight, targets = tensors
    loss = training.full_softmax(hidden, weight, targets)
    first = torch.autograd.grad(loss, weight, retain_graph=True)[0].clone()
    torch.testing.assert_close(torch.autograd.grad(loss, weight)[0], first)


@pytest.mark.parametrize(("in_cache", "most"), [(20, 20), (10, 8)])
def test_full_softmax_never_holds_all_logits(monkeypatch, in_cache, most):
    monkeypatch.setattr(losses, "CPU_CHUNK_BYTES", 4 * 1000 * in_cache)  # 10 are too few
    monkeypatch.setattr(losses, "CHUNK_BYTES", 4 * 1000 * 8)
    held = []
    exp = torch.Tensor.exp_
    monkeypatch.setattr(torch.Tensor, "exp_", lambda t: (held.append(t.shape), exp(t))[1])
    hidden, weight = torch.randn(100, 4), torch.randn(1000, 4)
    training.full_softmax(hidden, weight, torch.zeros(100, dtype=torch.long))
    assert sum(rows for rows, _ in held) == 100
    assert max(rows for rows, _ in held) == most


def gbce_by_loop(hidden, weight, targets, negatives, t, prior=False):
    """Follow the paper's formula pair by pair, leaving out a negative that is the target."""
    n, k = negatives.shape
    alpha = k / (len(weight) - 1)
    beta = alpha * (t * (1 - 1 / alpha) + 1 / alpha)
    start = np.log(beta / k) if prior else 0
    total = torch.zeros((), dtype=torch.float64)
    for i in range(n):
        positive = torch.sigmoid(hidden[i] @ weight[targets[i]] + start)
        parts = beta * torch.log(positive)
        for j in negatives[i].tolist():
            if j != targets[i]:
                parts = parts + torch.log(1 - torch.sigmoid(hidden[i] @ weight[j] + start))
        total = total - parts / (k + 1)
    return total / n


@pytest.mark.parametrize("t", [0.0, 0.75, 1.0])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("prior", [True, False])
def test_gbce_equals_the_formula(tensors, t, shared, prior):
    hidden, weight, targets = tensors
    generator = torch.Generator().manual_seed(2)
    drawn = torch.randint(ITEMS, (4,) if shared else (N, 4), generator=generator)
    reference = gbce_by_loop(hidden, weight, targets, drawn.expand(N, 4), t, prior)
    ours = training.generalised_bce(hidden, weight, targets, drawn, t, prior)
    same(ours, reference, hidden, weight)


@pytest.mark.parametrize("t", [0.0, 0.75, 1.0])
def test_with_the_prior_no_common_shift_betters_scores_of_zero(t):
    shift = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    weight = torch.ones((9, 1), dtype=torch.float64)  # all items score the shift
    targets, drawn = torch.tensor([0, 1]), torch.tensor([3, 4, 5])
    slope = {}
    for prior in (True, False):
        loss = training.generalised_bce(shift.expand(2, 1), weight, targets, drawn, t, prior)
        (slope[prior],) = torch.autograd.grad(loss, shift)
    assert abs(slope[True]) < 1e-12
    assert slope[False] > 0.1  # without it all scores fall first


@pytest.mark.parametrize("prior", [True, False])
def test_gbce_hands_its_prior_on(tensors, prior):
    hidden, weight, targets = tensors
    torch.manual_seed(3)
    ours = training.GBCE(negatives=4, t=0.6, shared=True, prior=prior)(hidden, weight, targets)
    torch.manual_seed(3)
    drawn = torch.randint(ITEMS, (4,)).expand(N, 4)
    same(ours, gbce_by_loop(hidden, weight, targets, drawn, 0.6, prior), hidden, weight)


def test_gbce_without_calibration_is_binary_cross_entropy(tensors):
    hidden, weight, targets = tensors
    drawn = draw_others(targets, ITEMS, 3)
    logits = torch.cat([(hidden @ weight.T).gather(1, x) for x in (targets[:, None], drawn)], dim=1)
    truth = torch.zeros_like(logits)
    truth[:, 0] = 1
    reference = F.binary_cross_entropy_with_logits(logits, truth)
    same(training.generalised_bce(hidden, weight, targets, drawn), reference, hidden, weight)


@pytest.mark.parametrize("shared", [True, False])
def test_gbce_draws_its_negatives_and_calibrates(tensors, shared):
    hidden, weight, targets = tensors
    torch.manual_seed(3)
    ours = training.GBCE(negatives=4, t=0.6, shared=shared)(hidden, weight, targets)
    torch.manual_seed(3)
    drawn = torch.randint(ITEMS, (4,)) if shared else draw_others(targets, ITEMS, 4)
    same(ours, gbce_by_loop(hidden, weight, targets, drawn.expand(N, 4), 0.6), hidden, weight)


def test_binary_cross_entropy_is_that_of_sasrec(tensors):
    hidden, weight, targets = tensors
    torch.manual_seed(3)
    ours = training.BinaryCrossEntropy()(hidden, weight, targets)
    torch.manual_seed(3)
    negative = draw_others(targets, ITEMS, 1)[:, 0]
    up, down = (torch.sigmoid((hidden * weight[x]).sum(dim=1)) for x in (targets, negative))
    same(ours, -(torch.log(up) + torch.log(1 - down)).mean(), hidden, weight)


def test_bpr_loss_equals_the_formula(tensors):
    hidden, weight, targets = tensors
    torch.manual_seed(3)
    ours = training.BPRLoss()(hidden, weight, targets)
    torch.manual_seed(3)
    negative = draw_others(targets, ITEMS, 1)[:, 0]
    up, down = ((hidden * weight[x]).sum(dim=1) for x in (targets, negative))
    same(ours, -torch.log(torch.sigmoid(up - down)).mean(), hidden, weight)


def test_full_calibration_gives_the_probabilities_of_all_negatives():
    """The optimum of gBCE with t=1 is that of binary cross-entropy against every other item."""
    hidden = torch.ones(1, 1, dtype=torch.float64)
    truth, k = 0.1, 2
    found = {}
    for t in (0.0, 1.0):
        weight = torch.zeros(ITEMS, 1, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([weight], max_iter=100)

        def closure(t=t, weight=weight, optimizer=optimizer):
            optimizer.zero_grad()
            alpha = k / (ITEMS - 1)
            beta = alpha * (t * (1 - 1 / alpha) + 1 / alpha)
            # In expectation: item 0 is the target with chance 0.1, else drawn with chance alpha.
            s = weight[0, 0] * hidden[0, 0]
            loss = truth * beta * F.softplus(-s) + (1 - truth) * alpha * F.softplus(s)
            loss.backward()
            return loss

        optimizer.step(closure)
        found[t] = torch.sigmoid(weight[0, 0]).item()
    assert found[1.0] == pytest.approx(truth, abs=1e-4)
    assert found[0.0] > 3 * truth  # overconfident


def sampled_by_loop(hidden, weight, targets, negatives, q):
    n, m = negatives.shape
    total = torch.zeros((), dtype=torch.float64)
    for i in range(n):
        positive = hidden[i] @ weight[targets[i]]
        z = torch.exp(positive)
        for j in negatives[i].tolist():
            if j != targets[i]:
                z = z + torch.exp(hidden[i] @ weight[j]) / (m * q[j] if q is not None else 1)
        total = total - positive + torch.log(z)
    return total / n


@pytest.mark.parametrize("corrected", [True, False])
@pytest.mark.parametrize("shared", [True, False])
def test_sampled_softmax_equals_the_formula(tensors, corrected, shared):
    hidden, weight, targets = tensors
    generator = torch.Generator().manual_seed(2)
    drawn = torch.randint(ITEMS, (6,) if shared else (N, 6), generator=generator)
    assert (drawn == targets[:, None]).any()  # a draw of the target is among them
    q = torch.rand(ITEMS, dtype=torch.float64, generator=generator)
    q = q / q.sum() if corrected else None
    reference = sampled_by_loop(hidden, weight, targets, drawn.expand(N, 6), q)
    log_q = None if q is None else q.log()
    ours = training.sampled_softmax(hidden, weight, targets, drawn, log_q)
    same(ours, reference, hidden, weight)


def test_sampling_each_other_item_once_is_the_full_softmax(tensors):
    hidden, weight, targets = tensors
    others = torch.stack([torch.tensor([j for j in range(ITEMS) if j != t]) for t in targets])
    full = F.cross_entropy(hidden @ weight.T, targets)
    same(training.sampled_softmax(hidden, weight, targets, others), full, hidden, weight)
    # the whole catalogue, drawn alike: log(m q) is 0, and the target itself counts as nothing
    whole, log_q = torch.arange(ITEMS), torch.full((ITEMS,), -math.log(ITEMS), dtype=torch.float64)
    corrected = training.sampled_softmax(hidden, weight, targets, whole, log_q)
    same(corrected, full, hidden, weight)


@pytest.mark.parametrize("loss", [training.sampled_softmax, training.generalised_bce])
def test_a_row_whose_draws_are_all_its_target_has_no_loss_but_its_own(tensors, loss):
    hidden, weight, _ = tensors
    targets, drawn = torch.arange(N) % 2, torch.tensor([1, 1, 1])  # hits for every second row
    value = loss(hidden, weight, targets, drawn)
    for gradient in torch.autograd.grad(value, (hidden, weight)):
        assert gradient.isfinite().all()
    alone = loss(hidden[1::2], weight, targets[1::2], drawn)
    own = torch.nn.functional.softplus(-(hidden[1::2] @ weight[1])).mean() / 4
    expected = own if loss is training.generalised_bce else torch.zeros_like(own)
    torch.testing.assert_close(alone, expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: training.SampledSoftmax(negatives=0), "negatives must be 1 or more"),
        (lambda: training.GBCE(negatives=0), "negatives must be 1 or more"),
        (lambda: training.GBCE(t=1.5), "t must be 0 to 1"),
    ],
)
def test_refuses_settings_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_the_corrected_sum_is_an_unbiased_estimate(tensors, power):
    hidden, weight, targets = (t.detach() for t in tensors)
    loss = training.SampledSoftmax(negatives=4, power=power)
    loss.prepare(torch.arange(ITEMS) ** 2)
    torch.manual_seed(0)
    h, w, target = hidden[:1], weight, targets[:1]
    positive = (h @ w.T)[0, target]
    estimates = [torch.exp(loss(h, w, target) + positive).item() for _ in range(8000)]
    truth = torch.exp(h @ w.T).sum().item()
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert np.mean(estimates) == pytest.approx(truth, abs=4 * error)
    assert error < 0.02 * truth


@pytest.mark.parametrize("power", [0.0, 0.75])
def test_negatives_are_drawn_in_proportion_to_popularity(power):
    counts = torch.tensor([0, 1, 10, 100, 1000])
    loss = training.SampledSoftmax(negatives=200_000, power=power)
    loss.prepare(counts)
    torch.manual_seed(0)
    expected = (counts + 1.0) ** power
    expected /= expected.sum()
    drawn = torch.bincount(loss.draw(), minlength=5) / 200_000
    torch.testing.assert_close(drawn, expected, atol=0.004, rtol=0)
    torch.testing.assert_close(loss._log_q.exp(), expected, atol=1e-6, rtol=1e-5)


def test_a_catalogue_of_one_item_has_no_negative():
    with pytest.raises(ValueError, match="a catalogue of 1 item has no other to draw"):
        draw_others(torch.zeros(3, dtype=torch.long), 1, 2)


def test_others_are_drawn_alike_and_never_the_target():
    targets = torch.arange(4).repeat_interleave(30_000)
    torch.manual_seed(0)
    drawn = draw_others(targets, 4, 2)
    for target in range(4):
        share = torch.bincount(drawn[targets == target].flatten(), minlength=4) / 60_000
        assert share[target] == 0
        assert (share - 1 / 3).abs()[torch.arange(4) != target].max() < 0.01


@pytest.mark.parametrize(
    "loss",
    [
        training.BinaryCrossEntropy(),
        training.BPRLoss(),
        training.GBCE(negatives=3),
        training.GBCE(negatives=3, shared=True),
        training.SampledSoftmax(negatives=3),
        training.SampledSoftmax(negatives=3, power=0.5, correct=False),
        training.FullSoftmax(),
    ],
    ids=repr,
)
def test_every_loss_falls_by_its_own_gradient(loss):
    torch.manual_seed(0)
    hidden, weight = torch.randn(50, 8), torch.randn(30, 8, requires_grad=True)
    targets = torch.randint(30, (50,))
    loss.prepare(torch.bincount(targets, minlength=30))
    optimizer = torch.optim.Adam([weight], lr=0.05)
    values = []
    for _ in range(60):
        value = loss(hidden, weight, targets)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert np.mean(values[-10:]) < 0.7 * np.mean(values[:10])
