"""Several processes train the same network, and as one with larger batches would."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from behaviorseq import GRU4Rec, Sequences, Vocabulary
from behaviorseq.training import Batches, Processes, SampledSoftmax, Training, full_softmax
from behaviorseq.training.checkpoint import read_tensors
from behaviorseq.training.fit import seeded

OPTIONS = {"epochs": 3, "batch_size": 7, "learning_rate": 0.01, "clip": 0.5, "schedule": "cosine"}
CHILD = """
import json, sys
from pathlib import Path
import numpy as np
import torch
from behaviorseq import GRU4Rec
from behaviorseq.training import FullSoftmax, SampledSoftmax, Training, processes
from test_distributed import OPTIONS, histories

class StoppedError(Exception):
    pass

torch.set_num_threads(1)
folder, team, logged, drawn = Path(sys.argv[1]), processes(), [], []
options = {
    "validate": lambda model: float(model.network.items.weight.std()),
    "log": lambda row: logged.append(row["epoch"]),
}

draw = SampledSoftmax.draw

def watched(self):
    negatives = draw(self)
    drawn.append(negatives.tolist())
    return negatives

SampledSoftmax.draw = watched

def fit(name, seed=0, **more):
    loss = FullSoftmax() if name == "plain" else SampledSoftmax(negatives=5)
    dropout = 0.0 if name == "plain" else 0.3
    model = GRU4Rec(
        width=8, length=6, dropout=dropout, loss=loss, training=Training(**OPTIONS, seed=seed)
    )
    model.fit(histories(), checkpoint=folder / name, **options, **more)
    model.save(folder / f"{name}-{team.rank}")

fit("plain")
fit("apart", start=np.random.default_rng(team.rank).normal(size=(15, 8)))
drawn.clear()
fit("whole")
(folder / f"drawn-{team.rank}.json").write_text(json.dumps(drawn))
step, steps = torch.optim.AdamW.step, []

def stopped(self, *args):
    steps.append(1)
    if len(steps) == 5:  # in the second epoch of three steps
        raise StoppedError
    return step(self, *args)

torch.optim.AdamW.step = stopped
try:
    fit("resumed")
except StoppedError:
    torch.optim.AdamW.step = step
    fit("resumed")
(folder / f"{team.rank}.json").write_text(json.dumps([team.count, logged]))
"""


def histories():
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 9, 27)
    return Sequences(
        items=rng.integers(0, 15, lengths.sum()).astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        users=np.arange(27, dtype=np.int32),
        user_ids=Vocabulary(np.arange(27)),
        item_ids=Vocabulary(np.arange(15)),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where two processes have left what they trained together."""
    pytest.importorskip("accelerate", reason="several processes need Accelerate")
    folder = tmp_path_factory.mktemp("processes")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
    }
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, folder],
            env={**os.environ, **common, "RANK": rank, "LOCAL_RANK": rank},
        )
        for rank in "01"
    ]
    assert [child.wait() for child in children] == [0, 0]
    return folder


def weights(folder, name):
    return GRU4Rec.load(folder / name).network.state_dict()


def assert_same(a, b):
    for name, tensor in a.items():
        assert torch.equal(tensor, b[name]), name


def test_the_first_alone_logs(folder):
    assert json.loads((folder / "0.json").read_text()) == [2, [1, 2, 3] * 4]
    assert json.loads((folder / "1.json").read_text()) == [2, []]


@pytest.mark.parametrize("name", ["plain", "whole", "resumed", "apart"])
def test_all_have_the_same_weights(folder, name):
    assert_same(weights(folder, f"{name}-0"), weights(folder, f"{name}-1"))


def test_each_draws_negatives_of_its_own(folder):
    first, second = (json.loads((folder / f"drawn-{rank}.json").read_text()) for rank in "01")
    assert len(first) == len(second) == 9  # steps
    assert all(a != b for a, b in zip(first, second, strict=True))


def test_a_stopped_run_of_several_ends_like_an_undisturbed_one(folder):
    assert_same(weights(folder, "resumed-0"), weights(folder, "whole-0"))
    kept = [read_tensors(folder / name / "checkpoint.safetensors") for name in ("resumed", "whole")]
    assert_same(kept[0][0], kept[1][0])


def test_a_checkpoint_of_several_is_not_taken_up_by_one(folder):
    model = GRU4Rec(
        width=8,
        length=6,
        dropout=0.3,
        loss=SampledSoftmax(negatives=5),
        training=Training(**OPTIONS),
    )
    with pytest.raises(ValueError, match="holds a run with processes 2, not 1"):
        model.fit(histories(), checkpoint=folder / "whole")


def test_two_train_as_a_loop_that_takes_two_batches_a_step(folder):
    settings = Training(**OPTIONS)
    with seeded(settings.seed):
        network = GRU4Rec(width=8, length=6, dropout=0.0).new_network(15, 27)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.0)
    batches = Batches(histories(), batch_size=7, length=6)
    losses = []
    for epoch in range(3):
        every = list(batches.epoch(epoch))
        assert len(every) % 2  # so the last step takes the first batch again
        pairs = zip([*every, every[0]][::2], [*every, every[0]][1::2], strict=True)
        total, count = 0.0, 0
        for place, pair in enumerate(pairs):
            for group in optimizer.param_groups:
                group["lr"] = settings.rate((epoch + 2 * place / len(every)) / 3)
            optimizer.zero_grad()
            for batch in pair:
                hidden = network(batch.items, batch.mask)[batch.asked]
                loss = full_softmax(hidden, network.items.weight, batch.targets)
                (loss / 2).backward()
                total, count = total + loss.item() * len(batch.targets), count + len(batch.targets)
            torch.nn.utils.clip_grad_norm_(network.parameters(), 0.5)
            optimizer.step()
        losses.append(total / count)
    tensors, scalars = read_tensors(folder / "plain" / "checkpoint.safetensors")
    np.testing.assert_allclose([row["loss"] for row in scalars["history"]], losses, rtol=1e-5)
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensors[f"weights:{name}"], tensor, rtol=1e-3, atol=1e-5)


def team(count, rank):
    made = Processes()
    made.count, made.rank = count, rank
    return made


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("n", [1, 2, 6, 7])
def test_batches_are_shared_out_in_rounds(n, count):
    parts = [list(team(count, rank).own(range(n))) for rank in range(count)]
    rounds = -(-n // count)
    assert [len(part) for part in parts] == [rounds] * count  # none waits for another in vain
    dealt = [part[i] for i in range(rounds) for part in parts]
    assert dealt[:n] == list(range(n))
    filled = dealt[n:]
    assert filled == [i % n for i in range(len(filled))] or n < count


def test_one_process_needs_nothing_and_several_say_what_to_install(monkeypatch):
    monkeypatch.setattr("behaviorseq.training.distributed.find_spec", lambda name: None)
    alone = Processes()
    assert (alone.count, alone.rank, alone.device, alone.first) == (1, 0, None, True)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ImportError, match=r"behaviorseq\[distributed\]"):
        Processes()
