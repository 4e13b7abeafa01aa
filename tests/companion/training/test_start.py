"""Item vectors that a network begins with."""

import numpy as np
import pytest
import torch

from behaviorseq.training.start import begin_with


class Network(torch.nn.Module):
    def __init__(self, n_items=4, width=3):
        super().__init__()
        self.items = torch.nn.Embedding(n_items, width)


def test_directions_are_given_and_lengths_kept():
    network = Network()
    before = network.items.weight.detach().numpy().copy()
    vectors = np.array([[2, 0, 0], [0, 0, 0], [0, -3, 0], [1, 1, 0]], dtype=np.float32)
    begin_with(network, vectors)
    after = network.items.weight.detach().numpy()
    np.testing.assert_array_equal(after[1], before[1])  # zeros leave what was drawn
    np.testing.assert_allclose(
        np.linalg.norm(after, axis=1), np.linalg.norm(before, axis=1), rtol=1e-6
    )
    for row in (0, 2, 3):
        direction = vectors[row] / np.linalg.norm(vectors[row])
        np.testing.assert_allclose(after[row] / np.linalg.norm(after[row]), direction, atol=1e-6)
    assert network.items.weight.requires_grad
    assert network.items.weight.is_leaf


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.ones((3, 3)), r"the shape of start must be \(4, 3\), got \(3, 3\)"),
        (np.ones(4), r"the shape of start must be \(4, 3\), got \(4,\)"),
        (np.full((4, 3), np.nan), "start must be finite numbers"),
    ],
)
def test_refuses_what_does_not_fit(vectors, message):
    with pytest.raises(ValueError, match=message):
        begin_with(Network(), vectors.astype(np.float32))


def test_refuses_a_network_without_items():
    with pytest.raises(ValueError, match="no table of item vectors"):
        begin_with(torch.nn.Linear(3, 4), np.ones((4, 3), dtype=np.float32))
