"""Training from shards: that of memory, all events once an epoch, two parts held at a time."""

from __future__ import annotations

import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from behaviorseq import (
    SRGNN,
    BERT4Rec,
    GCNRec,
    GRU4Rec,
    Holdout,
    ItemKNN,
    LightGCN,
    MultVAE,
    Popularity,
    SASRec,
    Sequences,
    Shards,
    evaluate,
    prepare,
    read_shards,
)
from behaviorseq.training import (
    Batches,
    NextItem,
    Prefixes,
    SampledSoftmax,
    StreamedBatches,
    Training,
)

SETTINGS = Training(epochs=3, batch_size=8, learning_rate=0.01, schedule="cosine")
LOSS = SampledSoftmax(negatives=5, power=0.5)  # what it draws depends on the counts of items


class StoppedError(Exception):
    """Stands for a killed process."""


def make_log(n: int = 1_500, n_users: int = 150) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "user_code": (n_users * rng.random(n) ** 2).astype(int),
            "item_code": (20 * rng.random(n) ** 2).astype(int),
            "time": np.arange(n),
        }
    )


LOG = make_log()
SEQUENCES = Sequences.from_events(LOG.rename(columns={"user_code": "user", "item_code": "item"}))


def written(folder: Path, n_shards: int) -> Shards:
    return prepare.write_shards(LOG, folder, n_shards=n_shards)


def model(kind: Any = GRU4Rec, **settings: Any) -> Any:
    return kind(width=8, length=6, training=SETTINGS, loss=LOSS, **settings)


def assert_same(a: Any, b: Any) -> None:
    for name, tensor in a.network.state_dict().items():
        assert torch.equal(tensor, b.network.state_dict()[name]), name
    assert a.history["loss"].tolist() == b.history["loss"].tolist()


@pytest.mark.parametrize("kind", [GRU4Rec, SASRec, BERT4Rec, SRGNN])
def test_one_part_trains_as_in_memory(tmp_path: Path, kind: Any) -> None:
    shards = written(tmp_path, 1)
    streamed, held = model(kind).fit(shards), model(kind).fit(SEQUENCES)
    assert_same(streamed, held)
    np.testing.assert_array_equal(streamed.score(SEQUENCES), held.score(SEQUENCES))


@pytest.mark.parametrize("task", [NextItem(), Prefixes()])
@pytest.mark.parametrize("windows", ["all", "last"])
def test_an_epoch_has_every_pair_once(tmp_path: Path, windows: Any, task: Any) -> None:
    options: Any = {"batch_size": 8, "length": 4, "windows": windows, "task": task}
    shards = written(tmp_path, 6)
    streamed = StreamedBatches(shards, **options)

    def pairs(batches: Any, number: int) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        for batch in batches.epoch(number):
            found += zip(batch.items[batch.asked].tolist(), batch.targets.tolist(), strict=True)
        return found

    first, second = pairs(streamed, 0), pairs(streamed, 1)
    assert sorted(first) == sorted(second) == sorted(pairs(Batches(SEQUENCES, **options), 0))
    assert first != second
    assert first == pairs(streamed, 0)
    assert len(list(streamed.epoch(0))) == len(streamed)


def test_the_order_of_parts_changes_with_the_epoch_and_the_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards, read = written(tmp_path, 6), []
    getitem = Shards.__getitem__
    monkeypatch.setattr(Shards, "__getitem__", lambda s, i: (read.append(i), getitem(s, i))[1])
    orders = {}
    for seed, epoch in ((0, 0), (0, 1), (1, 0), (0, 0)):
        batches = StreamedBatches(shards, seed=seed)
        read.clear()
        for _ in batches.epoch(epoch):
            pass
        assert sorted(read) == list(range(6))
        assert orders.setdefault((seed, epoch), tuple(read)) == tuple(read)
    assert len(set(orders.values())) == 3


def test_inside_a_part_the_order_is_that_of_a_seed_of_its_own(tmp_path: Path) -> None:
    shards = written(tmp_path, 3)
    streamed = [batch.targets for batch in StreamedBatches(shards, seed=5).epoch(2)]
    parts = [Batches(part, seed=5 + i) for i, part in enumerate(shards[i] for i in range(3))]
    alone = [[batch.targets for batch in part.epoch(2)] for part in parts]
    order = np.random.default_rng([5, 2, 3]).permutation(3)
    expected = [targets for i in order for targets in alone[i]]
    assert len(streamed) == len(expected)
    assert all(torch.equal(a, b) for a, b in zip(streamed, expected, strict=True))


def test_parts_are_trained_alike_from_several_files(tmp_path: Path) -> None:
    history = model().fit(written(tmp_path, 5)).history["loss"]
    assert history.iloc[-1] < history.iloc[0]
    alone = model().fit(SEQUENCES).history["loss"]
    np.testing.assert_allclose(history, alone, rtol=0.02)  # the same events, in another order


@pytest.mark.parametrize("stop_at", [1, 30, 45])
def test_a_stopped_run_ends_like_an_undisturbed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    shards = written(tmp_path / "log", 4)
    holdout = Holdout(SEQUENCES, SEQUENCES.last(1))
    options: dict[str, Any] = {
        "checkpoint": tmp_path / "run",
        "validate": lambda m: evaluate(m, holdout, metrics=("NDCG@10",)).mean("NDCG@10"),
    }
    whole = model().fit(shards, validate=options["validate"])
    step, steps = torch.optim.AdamW.step, []

    def killed(self: Any, *args: Any) -> Any:
        steps.append(1)
        if len(steps) == stop_at:
            raise StoppedError
        return step(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", killed)
        with pytest.raises(StoppedError):
            model().fit(shards, **options)
    resumed = model().fit(read_shards(shards.folder), **options)
    assert_same(resumed, whole)
    assert resumed.history["validation"].tolist() == whole.history["validation"].tolist()


def test_a_checkpoint_of_another_log_is_refused(tmp_path: Path) -> None:
    model().fit(written(tmp_path / "log", 4), checkpoint=tmp_path / "run")
    for train in (written(tmp_path / "other", 3), SEQUENCES):
        with pytest.raises(ValueError, match="with data"):
            model().fit(train, checkpoint=tmp_path / "run")


def test_two_parts_are_held_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards = written(tmp_path, 8)
    arrays: list[list[weakref.ref[Any]]] = []
    held: list[int] = []
    getitem = Shards.__getitem__

    def watched(self: Shards, index: int) -> Sequences:
        alive = sum(any(ref() is not None for ref in part) for part in arrays)
        held.append(alive + 1)  # with the one that is to be read
        part = getitem(self, index)
        arrays.append([weakref.ref(array) for array in (part.items, part.offsets, part.times)])
        return part

    monkeypatch.setattr(Shards, "__getitem__", watched)
    model().fit(shards)
    assert len(held) == 8 * (1 + SETTINGS.epochs)
    assert max(held) == 2


def test_the_next_part_is_read_while_one_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards, threads = written(tmp_path, 3), []
    batches = StreamedBatches(shards)
    read = threading.Event()
    getitem = Shards.__getitem__

    def watched(self: Shards, index: int) -> Sequences:
        threads.append(threading.current_thread())
        part = getitem(self, index)
        if len(threads) == 2:
            read.set()
        return part

    monkeypatch.setattr(Shards, "__getitem__", watched)
    epoch = batches.epoch(0)
    next(epoch)
    assert read.wait(timeout=60)  # the second part, though only one batch of the first is used
    assert threading.current_thread() not in threads
    epoch.close()


def test_a_damaged_part_stops_training(tmp_path: Path) -> None:
    shards = written(tmp_path, 4)
    batches = StreamedBatches(shards)
    path = tmp_path / shards.parts[2].file
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=f"{path.name} in .* has been changed"):
        list(batches.epoch(0))


def test_parts_without_a_pair_are_left_out(tmp_path: Path) -> None:
    single = pd.DataFrame({"user_code": range(9), "item_code": 0, "time": 0})
    with pytest.raises(ValueError, match="no history has two events"):
        StreamedBatches(prepare.write_shards(single, tmp_path / "none", n_shards=3))
    pair = pd.concat([single, single.tail(1).assign(time=1)], ignore_index=True)
    batches = StreamedBatches(prepare.write_shards(pair, tmp_path / "one", n_shards=3))
    (batch,) = batches.epoch(0)
    assert batch.targets.tolist() == [0]
    with pytest.raises(ValueError, match="batch_size and length must be 1 or more"):
        StreamedBatches(batches.shards, batch_size=0)


@pytest.mark.parametrize("kind", [ItemKNN, MultVAE, LightGCN, GCNRec])
def test_models_that_need_the_whole_log_say_so(tmp_path: Path, kind: Any) -> None:
    shards = written(tmp_path, 2)
    with pytest.raises(ValueError, match=r"needs all .* at once: fit it on train.in_memory\(\)"):
        kind().fit(shards)


def test_popularity_counts_part_by_part(tmp_path: Path) -> None:
    streamed, held = Popularity().fit(written(tmp_path, 3)), Popularity().fit(SEQUENCES)
    np.testing.assert_array_equal(streamed.score(SEQUENCES), held.score(SEQUENCES))
