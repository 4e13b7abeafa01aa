"""The state of a run: what training ended an epoch with, kept in a file it can go on from."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from behaviorseq.shards import Shards

if TYPE_CHECKING:
    from pathlib import Path

    from behaviorseq.sequences import Sequences

CHECKPOINT = "checkpoint.safetensors"


@dataclass
class Run:
    """The state of a run, all that a checkpoint holds."""

    network: torch.nn.Module
    optimizer: torch.optim.Optimizer
    identity: dict[str, Any]

    def __post_init__(self) -> None:
        """Begin without an epoch."""
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, torch.Tensor] = {}

    def best_epoch(self) -> int:
        """Return the first epoch with the best validation."""
        return max(self.history, key=lambda row: row["validation"])["epoch"]  # type: ignore[no-any-return]

    def stale(self) -> int:
        """Count the epochs since the best validation, 0 where there is none."""
        return len(self.history) - self.best_epoch() if self.best else 0

    def add(self, row: dict[str, Any]) -> None:
        """Add an epoch, and keep its weights if it is the best."""
        value = row.get("validation", 0.0)
        if value != value:  # no later epoch would be better than it
            raise ValueError(
                f"the validation of epoch {row['epoch']} must be a number, got {value}"
            )
        self.history.append(row)
        if "validation" in row and self.best_epoch() == row["epoch"]:
            self.best = {name: t.clone() for name, t in self.network.state_dict().items()}

    def save(self, folder: Path) -> None:
        """Write the state to a file beside the earlier one, then put it in its place."""
        states = self.optimizer.state_dict()["state"]
        moments = {f"{i}.{name}": t for i, state in states.items() for name, t in state.items()}
        parts = {"weights": self.network.state_dict(), "optimizer": moments, "best": self.best}
        tensors = {f"{part}:{name}": t for part, ts in parts.items() for name, t in ts.items()}
        scalars = {"identity": self.identity, "history": self.history}
        write_tensors(folder / CHECKPOINT, tensors, scalars)

    def restore(self, folder: Path, *, validated: bool) -> None:
        """Take the state up again, if the folder has one, of a run that is validated or not."""
        if not (folder / CHECKPOINT).exists():
            return
        tensors, scalars = read_tensors(folder / CHECKPOINT)
        for name, value in self.identity.items():
            if scalars["identity"].get(name) != value:
                raise ValueError(
                    f"{folder} holds a run with {name} {scalars['identity'].get(name)}, "
                    f"not {value}; name another folder, or delete it to start anew"
                )
        if validated != ("validation" in scalars["history"][0]):
            raise ValueError(
                f"{folder} holds a run with{'out' if validated else ''} validation; go on as it "
                "began, name another folder, or delete it to start anew"
            )
        parts: dict[str, dict[str, Any]] = {"weights": {}, "optimizer": {}, "best": {}}
        for key, tensor in tensors.items():
            part, _, name = key.partition(":")
            parts[part][name] = tensor
        try:
            self.network.load_state_dict(parts["weights"])
        except RuntimeError as error:
            raise ValueError(f"{folder} holds a run of another network: {error}") from error
        self._restore_optimizer(parts["optimizer"])
        self.history, self.best = scalars["history"], parts["best"]

    def _restore_optimizer(self, moments: dict[str, torch.Tensor]) -> None:
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, tensor in moments.items():
            index, _, name = key.partition(".")
            state.setdefault(int(index), {})[name] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})


def fingerprint(train: Sequences | Shards) -> list[int | str]:
    """Tell histories from others: numbers of rows, items and events, and a checksum."""
    if isinstance(train, Shards):
        return [train.n_users, train.n_items, train.n_events, train.digest]
    events = zlib.crc32(train.offsets.tobytes(), zlib.crc32(train.items.tobytes()))
    return [len(train), train.n_items, train.n_events, events]


def write_tensors(path: Path, tensors: dict[str, torch.Tensor], scalars: dict[str, Any]) -> None:
    """Write tensors and JSON to one safetensors file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    contiguous = {name: t.detach().contiguous() for name, t in tensors.items()}
    save_file(contiguous, part, metadata={"json": json.dumps(scalars)})
    part.replace(path)


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read what ``write_tensors`` wrote, onto the CPU."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        return tensors, json.loads(file.metadata()["json"])
