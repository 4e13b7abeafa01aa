"""The listings against references written anew, and on one backend against the other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

keras = pytest.importorskip("keras", reason="keras is not installed")

from behaviorseq import listings  # noqa: E402 - it needs Keras

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

N, T, F = 12, 6, 5  # windows, events, numbers an event
NODES, CLASSES, CODES = 9, 3, 11
STEPS = 3
edges = np.triu(np.random.default_rng(1).random((NODES, NODES)) < 0.4, 1)
GRAPH = sp.csr_array((edges | edges.T) * 1.0)

CASES: dict[str, Callable[[], Any]] = {
    "lstm": lambda: listings.lstm(T, F),
    "transformer": lambda: listings.transformer(CODES, 8, 2, 16, T),
    "gcn": lambda: listings.gcn(GRAPH, F, CLASSES, units=7),
    "vae": lambda: listings.vae(T, F, 2, units=8),
    "multitask": lambda: listings.multitask(T, F, CLASSES),
    "reinforcement": lambda: listings.reinforcement(F, 4, units=8),
}


def examples() -> dict[str, np.ndarray]:
    """Give what each listing reads and is to learn: ``name x``, ``name y``, several where so."""
    rng = np.random.default_rng(0)
    windows = rng.random((N, T, F)).astype(np.float32)
    happened = rng.integers(0, 2, (N, 1)).astype(np.float32)
    kinds = np.eye(CLASSES, dtype=np.float32)
    codes = rng.integers(1, CODES, (N, T)).astype(np.int32)
    codes[np.arange(T) < rng.integers(0, T, (N, 1))] = 0  # padding in front
    return {
        "lstm x": windows,
        "lstm y": happened,
        "transformer x": codes,
        "transformer y": happened,
        "gcn x": rng.normal(size=(1, NODES, F)).astype(np.float32),
        "gcn y": kinds[rng.integers(0, CLASSES, (1, NODES))],
        "gcn weight": (rng.random((1, NODES)) < 0.7).astype(np.float32),
        "vae x": windows,
        "vae y": windows,
        "multitask x": windows,
        "multitask y predictive_task": happened,
        "multitask y classification_task": kinds[rng.integers(0, CLASSES, N)],
        "reinforcement x 0": windows[:, 0],
        "reinforcement x 1": rng.random((N, 4)).astype(np.float32),
        "reinforcement y": rng.normal(size=(N, 1)).astype(np.float32),
    }


def parts(given: Mapping[str, np.ndarray], name: str) -> tuple[Any, Any, Any]:
    """Give inputs, targets and weights of the examples, as Keras takes them."""
    found: dict[str, dict[str, np.ndarray]] = {"x": {}, "y": {}, "weight": {}}
    for key in given:
        listing, part, *rest = key.split(" ")
        if listing == name and not (part == "weight" and rest):
            found[part][" ".join(rest)] = given[key]
    x = found["x"][""] if "" in found["x"] else [found["x"][k] for k in sorted(found["x"])]
    y = found["y"][""] if "" in found["y"] else found["y"]
    return x, y, found["weight"].get("")


def outputs(model: Any, x: Any) -> np.ndarray:
    """Give all outputs for each example, side by side."""
    found = model.predict(x, verbose=0, batch_size=N)
    if isinstance(found, dict):
        found = np.concatenate([found[k] for k in sorted(found)], axis=-1)
    return np.asarray(found)


def losses(model: Any, x: Any, y: Any, weight: Any) -> np.ndarray:
    """Give the loss before and after a few steps of training on the examples."""

    def loss() -> float:
        found = model.evaluate(
            x, y, sample_weight=weight, batch_size=N, verbose=0, return_dict=True
        )
        return float(found["loss"])

    before = loss()
    for _ in range(STEPS):
        model.train_on_batch(x, y, sample_weight=weight)
    return np.array([before, loss()])


GIVEN = examples()
# Keras turns tensors into arrays in a way that NumPy will not take for ever.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def seeded(name: str) -> Any:
    keras.utils.set_random_seed(0)
    model = CASES[name]()
    rng = np.random.default_rng(0)  # biases are 0 in a fresh network: a wrong one would not show
    model.set_weights([w + 0.1 * rng.normal(size=w.shape) for w in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def models() -> dict[str, Any]:
    return {name: seeded(name) for name in CASES}


@pytest.fixture(scope="module")
def other(models: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Run all listings with the same weights on the other backend, in one process."""
    pytest.importorskip("tensorflow", reason="tensorflow is not installed")
    folder = tmp_path_factory.mktemp("listings")
    weights = {
        f"{name} weight {i}": weight
        for name, model in models.items()
        for i, weight in enumerate(model.get_weights())
    }
    np.savez(folder / "given.npz", **GIVEN, **weights)
    backend = "tensorflow" if keras.backend.backend() == "torch" else "torch"
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, __file__, str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(folder / "found.npz", allow_pickle=False) as found:
        assert found["backend"] == backend
        yield found


@pytest.mark.parametrize("name", CASES)
def test_both_backends_give_the_same(name: str, models: dict[str, Any], other: Any) -> None:
    here = outputs(models[name], parts(GIVEN, name)[0])
    assert here.std() > 1e-3
    np.testing.assert_allclose(other[f"{name} output"], here, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_a_saved_listing_is_loaded_as_it_was(name: str, other: Any) -> None:
    np.testing.assert_array_equal(other[f"{name} loaded"], other[f"{name} output"])


@pytest.mark.parametrize("name", CASES)
def test_training_lowers_the_loss_on_both_backends(name: str, other: Any) -> None:
    before, after = losses(seeded(name), *parts(GIVEN, name))
    assert after < before
    there_before, there_after = other[f"{name} losses"]
    assert there_after < there_before
    assert there_before == pytest.approx(before, rel=1e-4)


def kinds(model: Any) -> list[str]:
    return [type(layer).__name__ for layer in model.layers if "Input" not in type(layer).__name__]


def test_layers_are_those_of_the_document(models: dict[str, Any]) -> None:
    assert kinds(models["lstm"]) == ["LSTM", "Dropout", "LSTM", "Dropout", "Dense"]
    assert kinds(models["gcn"]) == ["GCN", "Dropout", "Dense"]
    assert kinds(models["multitask"]) == ["Dense", "Bidirectional", "Flatten", "Dense", "Dense"]
    first, drop, second, _, last = models["lstm"].layers
    assert (first.units, first.return_sequences, drop.rate) == (128, True, 0.2)
    assert (second.units, second.return_sequences, last.activation.__name__) == (
        64,
        False,
        "sigmoid",
    )
    dense, both, _, happens, kind = models["multitask"].layers[1:]
    assert (dense.units, dense.activation.__name__) == (128, "relu")
    assert (both.forward_layer.units, both.forward_layer.return_sequences) == (64, True)
    assert happens.input is kind.input  # the second head does not read the first
    assert [part.name for part in models["vae"].layers][-1] == "decoder"
    assert len(models["reinforcement"].inputs) == 2


def test_losses_and_optimizers_are_those_of_the_document(models: dict[str, Any]) -> None:
    wanted = {
        "lstm": "binary_crossentropy",
        "transformer": "binary_crossentropy",
        "gcn": "categorical_crossentropy",
        "vae": "binary_crossentropy",
        "reinforcement": "mse",
    }
    assert {name: models[name].loss for name in wanted} == wanted
    assert models["multitask"].loss == {
        "predictive_task": "binary_crossentropy",
        "classification_task": "categorical_crossentropy",
    }
    assert {type(m.optimizer).__name__ for m in models.values()} == {"Adam"}


def gates(inputs: int, units: int) -> int:
    return 4 * units * (inputs + units + 1)


def test_parameters_are_counted_by_hand(models: dict[str, Any]) -> None:
    by_hand = {
        "lstm": gates(F, 128) + gates(128, 64) + 64 + 1,
        "transformer": CODES * 8 + 4 * 8 * 9 + 2 * 2 * 8 + 8 * 16 + 16 + 16 * 8 + 8 + 8 + 1,
        "gcn": F * 7 + 7 + 7 * CLASSES + CLASSES,
        "vae": gates(F, 8) + 2 * (8 * 2 + 2) + gates(2, 8) + 8 * F + F,
        "multitask": F * 128 + 128 + 2 * gates(128, 64) + (T * 128 + 1) * (1 + CLASSES),
        "reinforcement": (F + 4) * 8 + 8 + 8 + 1,
    }
    trained = {
        name: sum(int(np.prod(w.shape)) for w in model.trainable_weights)
        for name, model in models.items()
    }
    assert trained == by_hand


def lstm_state(weights: list[torch.Tensor], suffix: str = "") -> dict[str, torch.Tensor]:
    """Give a Keras LSTM's kernel, recurrent kernel and bias as torch names them."""
    kernel, recurrent, bias = weights
    state = {"weight_ih": kernel.T, "weight_hh": recurrent.T, "bias_ih": bias}
    state["bias_hh"] = torch.zeros_like(bias)
    return {f"{name}_l0{suffix}": value for name, value in state.items()}


def test_lstm_is_that_of_torch(models: dict[str, Any]) -> None:
    weights = [torch.tensor(w) for w in models["lstm"].get_weights()]
    x = torch.tensor(GIVEN["lstm x"])
    for layer in range(2):
        own = weights[3 * layer : 3 * layer + 3]
        reference = torch.nn.LSTM(own[0].shape[0], own[1].shape[0], batch_first=True)
        reference.load_state_dict(lstm_state(own))
        x, _ = reference(x)
    wanted = torch.sigmoid(x[:, -1] @ weights[6] + weights[7]).detach().numpy()
    np.testing.assert_allclose(outputs(models["lstm"], GIVEN["lstm x"]), wanted, atol=1e-5)


def test_multitask_and_its_loss_are_those_of_torch(models: dict[str, Any]) -> None:
    model = models["multitask"]
    w = [torch.tensor(each) for each in model.get_weights()]  # those of the heads come last
    reader = torch.nn.LSTM(128, 64, batch_first=True, bidirectional=True)
    reader.load_state_dict(lstm_state(w[2:5]) | lstm_state(w[5:8], "_reverse"))
    x, y, _ = parts(GIVEN, "multitask")
    read, _ = reader(torch.relu(torch.tensor(x) @ w[0] + w[1]))
    flat = read.flatten(1)  # (N, T * 128)
    heads = ("predictive_task", "classification_task")
    logit, kinds = (
        flat @ torch.tensor(kernel) + torch.tensor(bias)
        for kernel, bias in (model.get_layer(head).get_weights() for head in heads)
    )
    wanted = torch.cat([kinds.softmax(dim=1), torch.sigmoid(logit)], dim=1)
    found = outputs(model, x)
    np.testing.assert_allclose(found, wanted.detach().numpy(), atol=1e-5)
    happened, kind = (torch.tensor(y[head]) for head in heads)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logit, happened)
    loss = loss + torch.nn.functional.cross_entropy(kinds, kind)
    assert losses(seeded("multitask"), x, y, None)[0] == pytest.approx(loss.item(), rel=1e-4)


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def norm(x: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-6) * scale + shift


def test_transformer_is_a_loop_over_rows_without_their_padding(models: dict[str, Any]) -> None:
    model = models["transformer"]
    items, *rest = (np.asarray(each, dtype=np.float64) for each in model.get_weights())
    wq, bq, wk, bk, wv, bv, wo, bo, g1, s1, w1, b1, w2, b2, g2, s2, w3, b3 = rest
    assert wq.shape == (8, 2, 4)
    wanted = []
    for row in GIVEN["transformer x"]:
        places = np.flatnonzero(row)
        x = items[row[places]] * np.sqrt(8)
        for i in range(4):
            angle = places / 10000 ** (2 * i / 8)
            x[:, 2 * i] += np.sin(angle)
            x[:, 2 * i + 1] += np.cos(angle)
        seen = bo.copy()
        for head in range(2):
            q, k, v = (x @ m[:, head] + b[head] for m, b in ((wq, bq), (wk, bk), (wv, bv)))
            seen = seen + softmax(q @ k.T / np.sqrt(4)) @ v @ wo[head]
        x = norm(x + seen, g1, s1)
        x = norm(x + np.maximum(x @ w1 + b1, 0) @ w2 + b2, g2, s2)
        wanted.append(1 / (1 + np.exp(-(x.mean(axis=0) @ w3 + b3))))
    found = outputs(model, GIVEN["transformer x"])
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_gcn_is_a_dense_product(models: dict[str, Any]) -> None:
    kernel, bias, out, out_bias = (w.astype(np.float64) for w in models["gcn"].get_weights())
    loops = GRAPH.toarray() + np.eye(NODES)
    half = np.diag(loops.sum(axis=1) ** -0.5)
    hidden = np.maximum(half @ loops @ half @ GIVEN["gcn x"][0] @ kernel + bias, 0)
    wanted = softmax(hidden @ out + out_bias)
    np.testing.assert_allclose(outputs(models["gcn"], GIVEN["gcn x"])[0], wanted, atol=1e-5)


def test_loss_of_the_vae_is_a_loop(models: dict[str, Any]) -> None:
    model, windows = models["vae"], GIVEN["vae x"]
    encoder = model.get_layer("reader")
    states = outputs(keras.Model(model.input, encoder.output), windows).astype(np.float64)
    mean, log_variance = (
        states @ weight + bias
        for weight, bias in (model.get_layer(n).get_weights() for n in ("mean", "log_variance"))
    )
    written = outputs(model, windows).astype(np.float64)
    bound = 0.0
    for i in range(N):
        for j in range(2):
            variance = np.exp(log_variance[i, j])
            bound += (mean[i, j] ** 2 + variance - 1 - log_variance[i, j]) / 2
        for t in range(T):
            for f in range(F):
                p, x = written[i, t, f], windows[i, t, f]
                bound -= x * np.log(p) + (1 - x) * np.log(1 - p)
    assert losses(seeded("vae"), windows, windows, None)[0] == pytest.approx(
        bound / (N * T * F), rel=1e-5
    )


def test_draws_of_the_vae_have_its_mean_and_deviation() -> None:
    keras.utils.set_random_seed(0)
    mean, deviation = np.array([1.0, -2.0]), np.array([0.5, 2.0])
    parts_ = [
        np.tile(each, (40_000, 1)).astype("float32") for each in (mean, 2 * np.log(deviation))
    ]
    draws = keras.ops.convert_to_numpy(listings.Sampling(1.0)(parts_, training=True))
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=5 * 2 / 200)
    np.testing.assert_allclose(draws.std(axis=0), deviation, rtol=0.02)
    rest = keras.ops.convert_to_numpy(listings.Sampling(1.0)(parts_, training=False))
    np.testing.assert_array_equal(rest, parts_[0])


def test_targets_of_q_learning_are_a_loop(models: dict[str, Any]) -> None:
    model = models["reinforcement"]
    rng = np.random.default_rng(2)
    users, items = rng.random((4, F)), rng.random((3, 4))
    rewards, last = np.array([0.0, 1.0, 2.0, 3.0]), np.array([False, False, True, False])
    hidden, bias, out, out_bias = model.get_weights()
    wanted = []
    for user, reward, ends in zip(users, rewards, last, strict=True):
        values = [
            (np.maximum(np.concatenate([user, item]) @ hidden + bias, 0) @ out + out_bias)[0]
            for item in items
        ]
        wanted.append(reward if ends else reward + 0.5 * max(values))
    found = listings.q_targets(model, rewards, users, items, discount=0.5, last=last)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: listings.lstm(0, 3), "timesteps must be a whole number of 1 or more, got 0"),
        (lambda: listings.transformer(9, 7, 2, 4, 5), "d_model must be a multiple of num_heads=2"),
        (lambda: listings.gcn(GRAPH, 3, 1), "num_interests must be a whole number of 2 or more"),
        (lambda: listings.vae(4, 3, 0), "latent_dim must be"),
        (lambda: listings.multitask(4, 3, 1), "num_categories must be"),
        (lambda: listings.reinforcement(3, 0), "item_features must be"),
    ],
)
def test_wrong_sizes_are_named(build: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


WITHOUT = """
import importlib.util, os, sys
found = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name == "tensorflow" else found(name)
sys.modules["keras"] = None
try:
    from behaviorseq import listings
    listings.lstm
except ImportError as error:
    print(os.environ["KERAS_BACKEND"], error)
"""


def test_without_keras_the_error_says_what_installs_it() -> None:
    bare = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], env=bare, capture_output=True, text=True, check=True
    )
    wanted = 'keras is not installed: pip install "behaviorseq[tensorflow]" installs it'
    assert done.stdout.strip() == f"torch {wanted}"


def run(folder: Path) -> None:
    """Run all listings on examples and weights of a folder, and leave there what comes out."""
    given = np.load(folder / "given.npz", allow_pickle=False)
    found = {"backend": np.array(keras.backend.backend())}
    for name, make in CASES.items():
        model = make()
        places = range(len(model.get_weights()))
        model.set_weights([given[f"{name} weight {place}"] for place in places])
        x, y, weight = parts(given, name)
        model.save(folder / f"{name}.keras")
        found[f"{name} output"] = outputs(model, x)
        found[f"{name} loaded"] = outputs(keras.models.load_model(folder / f"{name}.keras"), x)
        found[f"{name} losses"] = losses(model, x, y, weight)
    np.savez(folder / "found.npz", **found)


if __name__ == "__main__":
    run(Path(sys.argv[1]))
