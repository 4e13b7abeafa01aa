"""Train the SASRec of another library and say after each epoch how good it is.

The child process of ``time_to_quality.py``, run by the Python of an environment that holds the
other library, NumPy and PyTorch, and nothing of this project:

``PYTHON time_to_quality_peer.py {recbole,rectools} LOG.npz CURVE.jsonl``

The log is an .npz file of ``items`` (codes from 0, all histories after one another), ``offsets``
and ``n_items``. Each user's last item is the test target, the last but one the validation target;
the rest is trained on. The first line of the curve says what was run, each other one is an epoch:
seconds and processor seconds of training until then, NDCG@10 on the validation and on the test
targets, all items ranked but those of the history.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

K, ROWS = 10, 256
SETTINGS: dict[str, dict[str, Any]] = {
    # What is not named is the library's default.
    "recbole": {
        "hidden_size": 64,
        "n_layers": 2,
        "n_heads": 2,
        "loss_type": "CE",
        "train_batch_size": 256,
        "MAX_ITEM_LIST_LENGTH": 50,
    },
    "rectools": {
        "n_factors": 64,
        "n_blocks": 2,
        "n_heads": 2,
        "loss": "softmax",
        "batch_size": 128,
        "session_max_len": 50,
    },
}

Recommend = Callable[[list[np.ndarray]], np.ndarray]
Peer = Iterator[tuple[float, float, Recommend]]


def ndcg(found: np.ndarray, targets: np.ndarray) -> float:
    """Give the mean NDCG of lists with one target each: (n, K) and (n,)."""
    hit = found == targets[:, None]
    return float((hit / np.log2(np.arange(found.shape[1]) + 2)).sum(axis=1).mean())


def histories_of(log: Any, left_out: int) -> list[np.ndarray]:
    """Give each user's items but the last ones."""
    return [
        log["items"][start : stop - left_out]
        for start, stop in zip(log["offsets"][:-1], log["offsets"][1:], strict=True)
    ]


def table_of(log: Any, left_out: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give user, item and position of each event but the last ones of each user."""
    histories = histories_of(log, left_out)
    lengths = [len(history) for history in histories]
    positions = np.concatenate([np.arange(n) for n in lengths])
    return np.repeat(np.arange(len(lengths)), lengths), np.concatenate(histories), positions


def recbole(log: Any, seed: int, folder: Path) -> Peer:
    """Train RecBole's SASRec, an epoch at each step."""
    import torch
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.data.interaction import Interaction
    from recbole.utils import get_model, get_trainer, init_seed

    users, items, positions = table_of(log, 0)  # it leaves out the last two itself
    (folder / "log").mkdir()
    with (folder / "log/log.inter").open("w", encoding="ascii") as file:
        file.write("user_id:token\titem_id:token\ttimestamp:float\n")
        file.writelines(f"{u}\t{i}\t{p}\n" for u, i, p in zip(users, items, positions, strict=True))
    options = SETTINGS["recbole"] | {
        "data_path": str(folder),
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "eval_args": {
            "split": {"LS": "valid_and_test"},
            "group_by": "user",
            "order": "TO",
            "mode": "full",
        },
        "train_neg_sample_args": None,
        "checkpoint_dir": str(folder),
        "use_gpu": False,
        "show_progress": False,
        "state": "ERROR",
        "seed": seed,
    }
    config = Config(model="SASRec", dataset="log", config_dict=options)
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    data, _, _ = data_preparation(config, dataset)
    model = get_model("SASRec")(config, data.dataset)
    trainer = get_trainer(config["MODEL_TYPE"], "SASRec")(config, model)
    code = dataset.token2id("item_id", [str(i) for i in range(int(log["n_items"]))])
    back = np.full(dataset.item_num, -1)
    back[code] = np.arange(len(code))
    longest = config["MAX_ITEM_LIST_LENGTH"]

    @torch.no_grad()
    def recommend(histories: list[np.ndarray]) -> np.ndarray:
        model.eval()
        last = [torch.as_tensor(code[history[-longest:]]) for history in histories]
        lengths = torch.tensor([len(items) for items in last])
        rows = torch.nn.utils.rnn.pad_sequence(last, batch_first=True)
        rows = torch.nn.functional.pad(rows, (0, longest - rows.shape[1]))
        asked = Interaction({model.ITEM_SEQ: rows, model.ITEM_SEQ_LEN: lengths})
        scores = model.full_sort_predict(asked)
        scores[:, 0] = -torch.inf
        for row, history in enumerate(histories):
            scores[row, code[history]] = -torch.inf
        return back[scores.topk(K).indices.numpy()]

    for epoch in range(1_000_000):
        start, cpu_start = time.perf_counter(), time.process_time()
        trainer._train_epoch(data, epoch)
        yield time.perf_counter() - start, time.process_time() - cpu_start, recommend


def rectools(log: Any, seed: int, folder: Path) -> Peer:
    """Train RecTools' SASRec, an epoch at each step."""
    import pandas as pd
    import torch
    from pytorch_lightning import seed_everything
    from rectools.dataset import Dataset
    from rectools.models import SASRecModel

    seed_everything(seed)
    os.chdir(folder)

    def dataset_of(left_out: int) -> Any:
        users, items, positions = table_of(log, left_out)
        frame = pd.DataFrame({"user_id": users, "item_id": items, "weight": 1})
        frame["datetime"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(positions, unit="D")
        return Dataset.construct(frame)

    train, whole = dataset_of(2), dataset_of(1)
    model = SASRecModel(**SETTINGS["rectools"], deterministic=False)

    def recommend(histories: list[np.ndarray]) -> np.ndarray:
        n_train = log["offsets"][1:] - log["offsets"][:-1] - 2
        seen = train if all(map(np.array_equal, map(len, histories), n_train)) else whole
        users = np.arange(len(histories))
        table = model.recommend(users, seen, k=K, filter_viewed=True)
        found = np.full((len(users), K), -1)
        found[table["user_id"], table["rank"] - 1] = table["item_id"]
        return found

    while True:
        start, cpu_start = time.perf_counter(), time.process_time()
        model.fit_partial(train, min_epochs=1, max_epochs=1)
        took = time.perf_counter() - start, time.process_time() - cpu_start
        with torch.no_grad():
            yield *took, recommend


PEERS: dict[str, Callable[[Any, int, Path], Peer]] = {"recbole": recbole, "rectools": rectools}
# RecTools asks for users of a dataset: it gets all of them at once.
AT_ONCE = {"recbole": ROWS, "rectools": None}


def lists(recommend: Recommend, histories: list[np.ndarray], rows: int | None) -> np.ndarray:
    """Recommend for some histories at a time, (n, K)."""
    size = rows or len(histories)
    parts = (histories[i : i + size] for i in range(0, len(histories), size))
    return np.concatenate([recommend(part) for part in parts])


def train(name: str, log: Any, curve: Path, seed: int, limit: float, patience: int) -> None:
    """Train until time is up or validation has not risen for long; write a line an epoch."""
    targets = [log["items"][log["offsets"][1:] - left] for left in (2, 1)]
    histories = [histories_of(log, left) for left in (2, 1)]
    seconds = cpu_seconds = 0.0
    values: list[float] = []
    versions = {x: importlib.metadata.version(x) for x in (name, "torch", "numpy")}
    about = {"settings": SETTINGS[name], "versions": versions}
    with tempfile.TemporaryDirectory() as folder, curve.open("w", encoding="ascii") as file:
        file.write(json.dumps(about) + "\n")
        for took, cpu_took, recommend in PEERS[name](log, seed, Path(folder)):
            seconds, cpu_seconds = seconds + took, cpu_seconds + cpu_took
            quality = [
                ndcg(lists(recommend, shown, AT_ONCE[name]), asked)
                for shown, asked in zip(histories, targets, strict=True)
            ]
            values.append(quality[0])
            row = {"epoch": len(values), "seconds": seconds, "cpu_seconds": cpu_seconds}
            row |= {"validation": quality[0], "test": quality[1]}
            file.write(json.dumps({k: round(v, 5) for k, v in row.items()}) + "\n")
            file.flush()
            stale = len(values) - 1 - int(np.argmax(values))
            if stale >= patience or seconds * (1 + 1 / len(values)) > limit:
                break  # worse for long, or the next epoch would be too late


def main() -> None:
    """Train the library that is named."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", choices=sorted(PEERS))
    parser.add_argument("log", type=Path)
    parser.add_argument("curve", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1500)
    parser.add_argument("--patience", type=int, default=3)
    given = parser.parse_args()
    import torch

    torch.set_num_threads(given.threads)
    log = dict(np.load(given.log))
    train(given.name, log, given.curve.resolve(), given.seed, given.seconds, given.patience)


if __name__ == "__main__":
    main()
