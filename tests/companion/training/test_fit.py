"""The loop: schedule, determinism, early stopping, and checkpoints that resume bit for bit."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from behaviorseq import Sequences, Vocabulary
from behaviorseq.models.transformer import Transformer
from behaviorseq.training import (
    MaskedItems,
    SampledSoftmax,
    Training,
    checkpoint,
    choose_device,
    fit,
    fit_network,
)

SETTINGS = Training(epochs=6, batch_size=4, learning_rate=0.01, schedule="cosine", warmup=0.1)


class StoppedError(Exception):
    """Stands for a killed process."""


@pytest.fixture(scope="module")
def train():
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 9, 30)
    return Sequences(
        items=rng.integers(0, 15, lengths.sum()).astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        users=np.arange(30, dtype=np.int32),
        user_ids=Vocabulary(np.arange(30)),
        item_ids=Vocabulary(np.arange(15)),
    )


def network(width=8):
    with fit.seeded(7):
        return Transformer(15, width=width, length=10, inner=8, dropout=0.3)


def train_once(train, training=SETTINGS, net=None, **options):
    net = net or network()
    history = fit_network(net, SampledSoftmax(negatives=5), train, training, length=10, **options)
    return net.state_dict(), history


def assert_same_weights(a, b):
    assert list(a) == list(b)
    for name, tensor in a.items():
        assert torch.equal(tensor, b[name]), name


def numbers(history):
    return history.drop(columns=["seconds", "validation_seconds"], errors="ignore")


def moved(offsets):
    """Let the first row end an event later, or earlier if the second has but one."""
    moved = offsets.copy()
    moved[1] += 1 if offsets[2] - offsets[1] > 1 else -1
    return moved


def scripted(values):
    """Give validation results, one a call."""
    values = iter(values)
    return lambda: next(values)


def test_a_run_is_the_same_twice_and_follows_its_seed(train):
    weights, history = train_once(train)
    torch.manual_seed(99)  # what happened before a run does not matter
    torch.rand(3)
    again, history_again = train_once(train)
    assert_same_weights(weights, again)
    pd.testing.assert_frame_equal(numbers(history), numbers(history_again))
    other, _ = train_once(train, Training(**{**vars(SETTINGS), "seed": 1}))
    assert not torch.equal(other["items.weight"], weights["items.weight"])


def test_a_run_leaves_the_random_state_alone(train):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train_once(train)
    assert torch.equal(torch.rand(3), expected)


def test_the_history_has_a_row_an_epoch_and_the_loss_falls(train):
    _, history = train_once(train, validate=scripted([1, 2, 3, 4, 5, 6]))
    assert history["epoch"].tolist() == [1, 2, 3, 4, 5, 6]
    assert history["validation"].tolist() == [1, 2, 3, 4, 5, 6]
    assert (history[["seconds", "validation_seconds"]] >= 0).all(axis=None)
    assert history["loss"].iloc[-1] < history["loss"].iloc[0]


@pytest.mark.parametrize("stop_after", [0, 1, 3, 5])
def test_a_stopped_run_ends_like_an_undisturbed_one(train, tmp_path, stop_after):
    values = [0.1, 0.5, 0.2, 0.6, 0.3, 0.1]
    whole, history = train_once(train, validate=scripted(values))
    calls = []

    def killed():
        if len(calls) == stop_after:
            raise StoppedError  # the epoch is trained, but not yet saved
        calls.append(1)
        return values[len(calls) - 1]

    with pytest.raises(StoppedError):
        train_once(train, validate=killed, checkpoint=tmp_path)
    torch.manual_seed(1234)
    rest = scripted(values[stop_after:])
    resumed, resumed_history = train_once(train, validate=rest, checkpoint=tmp_path)
    assert_same_weights(resumed, whole)
    pd.testing.assert_frame_equal(numbers(resumed_history), numbers(history))


def test_a_run_killed_inside_an_epoch_or_while_saving_resumes(train, tmp_path, monkeypatch):
    whole, _ = train_once(train)
    steps = []
    step = torch.optim.AdamW.step

    def killed(self, *args):
        steps.append(1)
        if len(steps) == 21:  # in the third epoch of 8 steps
            raise StoppedError
        return step(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", killed)
        with pytest.raises(StoppedError):
            train_once(train, checkpoint=tmp_path)
    save = checkpoint.save_file

    def half_written(tensors, path, metadata):
        save(tensors, path, metadata=metadata)
        path.write_bytes(path.read_bytes()[:100])
        raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_file", half_written)
        with pytest.raises(StoppedError):
            train_once(train, checkpoint=tmp_path)
    resumed, _ = train_once(train, checkpoint=tmp_path)
    assert_same_weights(resumed, whole)
    assert [p.name for p in tmp_path.iterdir()] == [checkpoint.CHECKPOINT]


def test_a_finished_run_is_not_run_again(train, tmp_path):
    options = {"validate": scripted([3, 1, 1, 1, None]), "checkpoint": tmp_path}
    weights, history = train_once(train, **options)
    again, history_again = train_once(train, **options)  # a further call would give None
    assert_same_weights(weights, again)
    pd.testing.assert_frame_equal(history, history_again)
    assert len(history) == 1 + SETTINGS.patience


def test_training_stops_early_and_keeps_the_best_weights(train):
    net, seen = network(), []
    values = [0.1, 0.5, 0.5, 0.2, 0.3, 0.9]

    def validate():
        assert not net.training
        seen.append({name: t.clone() for name, t in net.state_dict().items()})
        return values[len(seen) - 1]

    weights, history = train_once(train, net=net, validate=validate)
    assert len(history) == 5  # the second is the best of five: three without a better one
    assert_same_weights(weights, seen[1])
    assert not net.training


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"training": Training(epochs=6, seed=4)}, "with training"),
        ({"net": network(width=4)}, "of another network"),
        ({"length": 9}, "with length 10"),
        ({"loss": SampledSoftmax(negatives=6)}, "with loss"),
        ({"task": MaskedItems()}, "with task"),
        ({"part": lambda train: train.slice(0, 29)}, "with data"),
        ({"part": lambda train: replace(train, offsets=moved(train.offsets))}, "with data"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(train, tmp_path, change, message):
    train_once(train, checkpoint=tmp_path)
    part = change.get("part", lambda train: train)(train)
    with pytest.raises(ValueError, match=message):
        fit_network(
            change.get("net") or network(),
            change.get("loss") or SampledSoftmax(negatives=5),
            part,
            change.get("training") or SETTINGS,
            length=change.get("length", 10),
            task=change.get("task"),
            checkpoint=tmp_path,
        )


@pytest.mark.parametrize("first", [True, False])
def test_a_checkpoint_goes_on_with_validation_or_without_as_it_began(train, tmp_path, first):
    options = [{"validate": scripted(range(6))}, {}]
    begun, other = options if first else options[::-1]
    train_once(train, checkpoint=tmp_path, **begun)
    with pytest.raises(ValueError, match=f"a run with{'' if first else 'out'} validation; go on"):
        train_once(train, checkpoint=tmp_path, **other)


@pytest.mark.parametrize("kind", [np.float32, torch.tensor])
def test_a_validation_may_be_any_kind_of_number(train, tmp_path, kind):
    _, history = train_once(train, validate=lambda: kind(0.5), checkpoint=tmp_path)
    assert history["validation"].tolist() == [0.5] * (1 + SETTINGS.patience)


def test_a_validation_that_is_not_a_number_stops_the_run(train, tmp_path):
    with pytest.raises(ValueError, match="validation of epoch 2 must be a number, got nan"):
        train_once(train, validate=scripted([0.1, np.nan]), checkpoint=tmp_path)
    assert len(checkpoint.read_tensors(tmp_path / checkpoint.CHECKPOINT)[1]["history"]) == 1


def test_item_vectors_are_those_of_the_network_where_it_makes_them(train):
    net = network()
    assert fit.item_vectors(net) is net.items.weight
    calls = []

    def doubled():
        calls.append(1)
        return 2 * net.items.weight

    net.item_vectors = doubled
    _, history = train_once(train, training=Training(epochs=1, batch_size=4), net=net)
    assert len(calls) == 8  # steps
    _, plain = train_once(train, training=Training(epochs=1, batch_size=4))
    assert history["loss"][0] != plain["loss"][0]


def test_the_loop_tells_steps_how_far_they_are_and_weighs_their_means():
    class Numbers:
        """Two batches of 1 and 3 numbers."""

        def __len__(self):
            return 2

        def epoch(self, number):
            yield from (torch.tensor([1.0]), torch.tensor([2.0, 3.0, 4.0]))

    net, seen = torch.nn.Linear(1, 1), []

    def step(batch, done):
        seen.append(done)
        return 0 * net.weight.sum() + batch.mean(), len(batch)

    history = fit.run_epochs(net, step, Numbers(), Training(epochs=2), identity={})
    assert seen == [0, 0.25, 0.5, 0.75]
    assert history["loss"].tolist() == [2.5, 2.5]


def test_a_checkpoint_is_safetensors_with_json(train, tmp_path):
    weights, _ = train_once(train, checkpoint=tmp_path)
    tensors, scalars = checkpoint.read_tensors(tmp_path / checkpoint.CHECKPOINT)
    for name, tensor in weights.items():
        assert torch.equal(tensors[f"weights:{name}"], tensor)
    assert {key.partition(":")[0] for key in tensors} == {"weights", "optimizer"}
    json.dumps(scalars, allow_nan=False)
    assert len(scalars["history"]) == 6


def test_the_learning_rate_rises_stays_and_falls():
    cosine = Training(learning_rate=2.0, schedule="cosine", warmup=0.2)
    rates = [cosine.rate(x) for x in (0.0, 0.1, 0.2, 0.6, 1.0)]
    np.testing.assert_allclose(rates, [0, 1, 2, 1, 0], atol=1e-12)
    constant = Training(learning_rate=2.0, warmup=0.5)
    assert [constant.rate(x) for x in (0.25, 0.5, 1.0)] == [1, 2, 2]


def test_each_step_has_the_rate_of_its_place(train, monkeypatch):
    rates = []
    step = torch.optim.AdamW.step

    def watched(self, *args):
        rates.append(self.param_groups[0]["lr"])
        return step(self, *args)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    train_once(train)
    np.testing.assert_allclose(rates, [SETTINGS.rate(i / len(rates)) for i in range(len(rates))])
    assert len(rates) == 48  # 8 in each of 6 epochs


def test_the_gradient_is_clipped(train, monkeypatch):
    norms = []
    step = torch.optim.AdamW.step

    def watched(self, *args):
        gradients = [p.grad for group in self.param_groups for p in group["params"]]
        norms.append(torch.stack([g.norm() for g in gradients]).norm().item())
        return step(self, *args)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    train_once(train, Training(epochs=1, batch_size=4, clip=0.01))
    assert norms
    assert max(norms) <= 0.0101
    assert max(norms) > 0.0099


def test_weights_decay_beside_the_gradient():
    class Once:
        def __len__(self):
            return 1

        def epoch(self, number):
            yield torch.zeros(1)

    net = torch.nn.Linear(3, 2)
    before = {name: t.clone() for name, t in net.state_dict().items()}
    training = Training(epochs=2, learning_rate=0.1, weight_decay=0.5)
    fit.run_epochs(
        net,
        lambda *_: (0 * sum(p.sum() for p in net.parameters()), 1),
        Once(),
        training,
        identity={},
    )
    assert not net.training
    for name, tensor in net.state_dict().items():
        torch.testing.assert_close(tensor, before[name] * (1 - 0.1 * 0.5) ** 2)


def test_a_loss_that_is_not_a_number_stops_the_run(train, tmp_path):
    net = network()
    with torch.no_grad():
        net.items.weight[3] = np.nan
    with pytest.raises(FloatingPointError, match="loss of epoch 1 is nan; lower learning_rate"):
        train_once(train, net=net, checkpoint=tmp_path)
    assert not list(tmp_path.iterdir())


def test_progress_is_shown_by_what_the_caller_gives(train):
    shown = []

    def progress(epochs, description):
        shown.append((list(epochs), description))
        return epochs

    train_once(train, progress=progress)
    assert shown == [([0, 1, 2, 3, 4, 5], "Epochs")]


def test_each_epoch_is_logged_before_it_is_saved(train, tmp_path):
    logged = []

    def log(row):
        done = checkpoint.read_tensors(tmp_path / checkpoint.CHECKPOINT)[1] if logged else None
        assert (len(done["history"]) if done else 0) == len(logged)
        logged.append(dict(row))

    _, history = train_once(train, checkpoint=tmp_path, log=log)
    pd.testing.assert_frame_equal(pd.DataFrame(logged), history)


CHILD = """
import sys, numpy as np, torch
from behaviorseq import Sequences, Vocabulary
from behaviorseq.models.transformer import Transformer
from behaviorseq.training import SampledSoftmax, Training, fit, fit_network

rng = np.random.default_rng(0)
train = Sequences(
    items=rng.integers(0, 40, 1000).astype(np.int32),
    offsets=np.arange(0, 1001, 10),
    users=np.arange(100, dtype=np.int32),
    user_ids=Vocabulary(np.arange(100)),
    item_ids=Vocabulary(np.arange(40)),
)
torch.set_num_threads(1)
with fit.seeded(7):
    network = Transformer(40, width=8, length=10, dropout=0.3)

def log(row):  # tell that an epoch is trained, and go on when told to
    print(row["epoch"], flush=True)
    sys.stdin.readline()

fit_network(
    network,
    SampledSoftmax(negatives=5),
    train,
    Training(epochs=6, batch_size=4, learning_rate=0.01, schedule="cosine", device="cpu"),
    length=10,
    validate=lambda: -float(network.items.weight.std()),
    checkpoint=sys.argv[1],
    log=log,
)
"""


def test_a_killed_process_ends_like_an_undisturbed_one(tmp_path):
    """Kill it at a moment that chance sets: while it is saving, or inside an epoch."""

    def start(name):
        command = [sys.executable, "-c", CHILD, tmp_path / name]
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def finish(name):
        child = start(name)
        epochs = child.communicate()[0].split()
        assert child.returncode == 0
        return epochs, *checkpoint.read_tensors(tmp_path / name / checkpoint.CHECKPOINT)

    child = start("killed")
    for epoch in (1, 2):
        assert child.stdout.readline() == f"{epoch}\n"
        child.stdin.write("\n")  # it saves this epoch and begins the next
    time.sleep(np.random.default_rng().uniform(0, 0.2))
    child.kill()
    child.communicate()
    assert child.returncode != 0  # it was not over
    rest, tensors, scalars = finish("killed")
    every, whole, whole_scalars = finish("whole")
    assert every == ["1", "2", "3", "4", "5", "6"]
    assert rest == every[-len(rest) :]
    assert 4 <= len(rest) <= 5  # it went on with the first epoch that was not saved
    assert_same_weights(dict(sorted(tensors.items())), dict(sorted(whole.items())))
    kept = [numbers(pd.DataFrame(s["history"])) for s in (scalars, whole_scalars)]
    pd.testing.assert_frame_equal(*kept)


def test_a_gpu_that_emulates_bfloat16_computes_in_float32(monkeypatch):
    generation = SimpleNamespace(major=7)  # of a T4; from 8 on GPUs have it
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: generation)
    monkeypatch.setattr(torch.cuda, "_check_bf16_tensor_supported", lambda _: True)
    assert torch.cuda.is_bf16_supported()
    assert not fit.has_bf16(torch.device("cuda"))
    generation.major = 8
    assert fit.has_bf16(torch.device("cuda"))
    assert not fit.has_bf16(torch.device("cpu"))


def test_the_device_is_chosen_or_named():
    best = "cuda" if torch.cuda.is_available() else "mps"
    if not torch.cuda.is_available() and not torch.backends.mps.is_available():
        best = "cpu"
    assert choose_device().type == best
    assert choose_device("cpu").type == "cpu"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be 1 or more"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"patience": 0}, "patience must be"),
        ({"schedule": "linear"}, "schedule must be one of"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"clip": -1.0}, "clip must be above 0"),
        ({"warmup": 1.5}, "warmup must be 0 or more"),
        ({"learning_rate": float("nan")}, "learning_rate must be"),
    ],
)
def test_refuses_settings_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        Training(**options)
