"""Layers that tasks share: each equals loops in NumPy, in value and in gradient."""

import numpy as np
import pytest
import torch

from behaviorseq.models.sharing import (
    PLE,
    Experts,
    MMoE,
    SharedBottom,
    make_sharing,
    n_banks,
)

B, D, SIZE, K, E = 3, 4, 2, 3, 5


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def expert(x, weight, bias):
    out = np.zeros(len(bias))
    for o in range(len(bias)):
        out[o] = max(0.0, bias[o] + sum(x[i] * weight[i, o] for i in range(len(x))))
    return out


def experts(x, p, name):
    return [expert(x, w, b) for w, b in zip(p[f"{name}.weight"], p[f"{name}.bias"], strict=True)]


def mixed(x, gate, known):
    weights = softmax(gate @ x)
    return sum(weights[e] * known[e] for e in range(len(known)))


def loop_shared(x, p):
    return np.stack([np.stack([experts(row, p, "experts")[0]] * K) for row in x])


def loop_mmoe(x, p):
    gates = p["gates.weight"].reshape(K, E, D)
    return np.stack([np.stack([mixed(r, g, experts(r, p, "experts")) for g in gates]) for r in x])


def loop_ple(x, p, levels=2):
    found = []
    for row in x:
        views, common = [row] * K, row
        for level in range(levels):
            at = f"levels.{level}"
            own = [experts(views[k], p, f"{at}.own.{k}") for k in range(K)]
            shared = experts(common, p, f"{at}.shared")
            views = [
                mixed(views[k], p[f"{at}.gates.{k}.weight"], own[k] + shared) for k in range(K)
            ]
            if level < levels - 1:
                common = mixed(
                    common,
                    p[f"{at}.shared_gate.weight"],
                    [e for bank in own for e in bank] + shared,
                )
        found.append(np.stack(views))
    return np.stack(found)


LAYERS = {
    "shared": (lambda: SharedBottom(D, SIZE, K), loop_shared),
    "mmoe": (lambda: MMoE(D, SIZE, K, E), loop_mmoe),
    "ple": (lambda: PLE(D, SIZE, K, own=2, shared=2, levels=2), loop_ple),
}


@pytest.fixture(params=LAYERS)
def layer(request):
    torch.manual_seed(1)
    make, loop = LAYERS[request.param]
    return make().double(), loop


def plain(layer):
    return {name: value.detach().numpy().copy() for name, value in layer.named_parameters()}


def test_values_are_those_of_loops(layer):
    network, loop = layer
    x = torch.randn(B, D, dtype=torch.float64)
    found = network(x)
    assert found.shape == (B, K, SIZE)
    np.testing.assert_allclose(found.detach(), loop(x.numpy(), plain(network)), rtol=1e-12)


def test_gradients_are_those_of_loops(layer):
    """Of a weighted sum of all that comes out, by every parameter and the input."""
    network, loop = layer
    x = torch.randn(B, D, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(B, K, SIZE, dtype=torch.float64)
    (network(x) * weights).sum().backward()
    slopes = {name: value.grad.numpy() for name, value in network.named_parameters()}
    slopes["x"] = x.grad.numpy()
    values = plain(network) | {"x": x.detach().numpy().copy()}
    step = 1e-6
    for name, array in values.items():
        flat, by_hand = array.reshape(-1), np.zeros(array.size)
        for i in range(array.size):
            ends = []
            for sign in (1, -1):
                flat[i] += sign * step
                ends.append((loop(values["x"], values) * weights.numpy()).sum())
                flat[i] -= sign * step
            by_hand[i] = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose(slopes[name].ravel(), by_hand, rtol=1e-5, atol=1e-8)


def test_gates_have_sum_1_and_tasks_differ():
    layer, x = MMoE(D, SIZE, K, E), torch.randn(B, D)
    torch.testing.assert_close(layer.weights(x).sum(dim=2), torch.ones(B, K))
    assert not torch.allclose(layer(x)[:, 0], layer(x)[:, 1])
    bottom = SharedBottom(D, SIZE, K)
    assert torch.equal(bottom(x)[:, 0], bottom(x)[:, 1])


def test_with_one_expert_a_mixture_is_a_shared_bottom():
    mixture, bottom, x = MMoE(D, SIZE, K, 1), SharedBottom(D, SIZE, K), torch.randn(B, D)
    bottom.experts = mixture.experts
    torch.testing.assert_close(mixture(x), bottom(x))


def test_experts_of_a_task_learn_from_that_task_alone():
    layer = PLE(D, SIZE, 2, own=1, shared=1)
    layer(torch.randn(B, D))[:, 0].sum().backward()
    level = layer.levels[0]
    assert level.own[0].weight.grad.abs().sum() > 0
    assert level.own[1].weight.grad is None or not level.own[1].weight.grad.any()
    assert level.shared.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("kind", ["shared", "mmoe", "ple"])
def test_the_size_of_a_view_is_foretold(kind):
    layer = make_sharing(kind, D, 24, K, 6)
    assert layer(torch.randn(B, D)).shape == (B, K, 24 // n_banks(kind, K, 6))


def test_experts_are_linear_maps_of_torch():
    bank, x = Experts(E, D, SIZE), torch.randn(B, D)
    for e in range(E):
        alone = torch.nn.functional.linear(x, bank.weight[e].T, bank.bias[e]).relu()
        torch.testing.assert_close(bank(x)[:, e], alone)
