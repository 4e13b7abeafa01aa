"""The classifier of windows: what it reads, that it learns the order of days, what it refuses."""

import dataclasses

import numpy as np
import pytest
import torch

from behaviorseq import Training, WindowClassifier, auc_interval
from behaviorseq.models.series import WindowBatches

FAST = Training(epochs=10, batch_size=64, learning_rate=0.02)


def make(n=600, seed=0):
    """Make windows after which something happens if activity was in the second half."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(0.5, (n, 8, 2))
    late = counts[:, 4:, 0].sum(axis=1) > counts[:, :4, 0].sum(axis=1)
    return counts, late


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_the_order_of_days_is_learned(cell):
    (windows, labels), (others, truth) = make(), make(seed=1)
    model = WindowClassifier(cell=cell, training=FAST).fit(windows, labels)
    assert auc_interval(truth, model.predict(others)).low > 0.9
    turned = others[:, ::-1]
    assert auc_interval(truth, model.predict(turned)).high < 0.3
    assert model.encode(others).shape == (600, 16)


def test_the_probability_is_that_of_the_encoded_state():
    windows, labels = make(200)
    model = WindowClassifier(training=dataclasses.replace(FAST, epochs=1)).fit(windows, labels)
    with torch.no_grad():
        odds = model.network.out(torch.from_numpy(model.encode(windows)))[:, 0]
    np.testing.assert_allclose(model.predict(windows), odds.sigmoid(), rtol=1e-5)
    one = model.predict(windows[5:6])  # another batch, the same answer
    np.testing.assert_allclose(one, model.predict(windows)[5:6], rtol=1e-5)


def test_days_are_read_by_the_equations_of_a_gru():
    """In float64, by hand: log, standardise, then the gates of Cho et al. as PyTorch has them."""
    windows, labels = make(50)
    model = WindowClassifier(inner=3, training=dataclasses.replace(FAST, epochs=1))
    network = model.fit(windows, labels).network.double()
    logs = np.log1p(windows)
    flat = logs.reshape(-1, 2)
    np.testing.assert_allclose(network.center, flat.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(network.scale, flat.std(axis=0, ddof=1), rtol=1e-5)
    x = (torch.from_numpy(logs) - network.center) / network.scale
    gru = network.recurrent
    h = torch.zeros(50, 3, dtype=torch.float64)
    for t in range(8):
        inside = x[:, t] @ gru.weight_ih_l0.T + gru.bias_ih_l0
        again = h @ gru.weight_hh_l0.T + gru.bias_hh_l0
        reset, keep = (inside[:, :6] + again[:, :6]).sigmoid().chunk(2, dim=1)
        new = (inside[:, 6:] + reset * again[:, 6:]).tanh()
        h = (1 - keep) * new + keep * h
    state, _ = network(torch.from_numpy(windows).double())
    torch.testing.assert_close(state, h)
    direction = torch.randn_like(h)
    gradients = [
        torch.autograd.grad((value * direction).sum(), list(gru.parameters()))
        for value in (state, h)
    ]
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_a_fit_can_be_repeated_and_the_best_epoch_is_kept():
    windows, labels = make(200)
    few = dataclasses.replace(FAST, epochs=3)
    one, two = (WindowClassifier(training=few).fit(windows, labels) for _ in "ab")
    assert (one.predict(windows) == two.predict(windows)).all()
    values = iter([0.9, 0.3, 0.2])
    kept = WindowClassifier(training=few).fit(windows, labels, validate=lambda _: next(values))
    first = WindowClassifier(training=dataclasses.replace(few, epochs=1)).fit(windows, labels)
    assert (kept.predict(windows) == first.predict(windows)).all()


def test_what_does_not_fit_is_refused():
    windows, labels = make(20)
    model = WindowClassifier(training=dataclasses.replace(FAST, epochs=1))
    with pytest.raises(ValueError, match="not fitted"):
        model.predict(windows)
    with pytest.raises(ValueError, match="as many labels"):
        model.fit(windows, labels[:-1])
    with pytest.raises(ValueError, match="0 or 1"):
        model.fit(windows, labels * 2)
    with pytest.raises(ValueError, match="0 or more"):
        model.fit(-windows, labels)
    with pytest.raises(ValueError, match="numbers a day"):
        model.fit(windows[0], labels[:8])
    with pytest.raises(ValueError, match="of 2 numbers a day"):
        model.fit(windows, labels).predict(windows[:, :, :1])


@pytest.mark.parametrize("change", [{"cell": "cnn"}, {"inner": 0}])
def test_settings_out_of_range_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        WindowClassifier(**change)


def test_an_order_belongs_to_an_epoch_and_holds_every_window_once():
    number = torch.arange(50.0)
    orders = []
    for seed, epoch in ((0, 0), (0, 1), (1, 0), (0, 0)):
        batches = list(WindowBatches(number[:, None, None], number, 8, seed).epoch(epoch))
        assert all((batch.windows[:, 0, 0] == batch.labels).all() for batch in batches)
        orders.append(torch.cat([batch.labels for batch in batches]).tolist())
        assert sorted(orders[-1]) == number.tolist()
    assert orders[3] == orders[0]
    assert orders[0] not in orders[1:3]
