"""What a Transformer costs to train and to ask, by its width and by the number of items.

Run ``python benchmarks/network_cost.py``; it takes a minute on one core.

Protocol: SASRec, 2 layers, 2 heads, on random histories, since what is in them changes no cost. One
training step is 32 histories of 50 events with their 50 targets, one thread: forward, loss,
backward, clipping, Adam. 'step_s' and 'score_s' are processor seconds, the least of some
repetitions, of a step and of ordering all items for one user, who is asked for with 255 others.
'state_bytes': parameters, gradients and the two moments of Adam. 'saved_bytes': what the forward
pass keeps for the backward pass, without the parameters. 'by width': 1,000 items, full softmax. 'by
items': width 32, sampled softmax with 512 negatives.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch

from behaviorseq import FullSoftmax, SampledSoftmax, SASRec, Sequences, Training
from behaviorseq.training import Loss
from measure import LIBRARIES, write_result

ROWS, EVENTS, USERS, LENGTH = 32, 51, 256, 50
REPEATS = 30
SEED = 0
POINTS = [("by width", width, 1_000) for width in (8, 16, 32, 64, 128, 256, 512)]
POINTS += [("by items", 32, items) for items in (1_000, 10_000, 100_000)]


def random_histories(n_users: int, n_events: int, n_items: int) -> Sequences:
    """Make histories of random items; the first rows hold every item once, as a vocabulary."""
    rng = np.random.default_rng(SEED)
    log = pd.DataFrame({"user": np.repeat(np.arange(n_users), n_events), "behavior": "view"})
    log["item"] = rng.integers(0, n_items, len(log))
    log["time"] = log.groupby("user").cumcount()
    vocabulary = pd.DataFrame({"user": -1, "behavior": "view", "item": np.arange(n_items)})
    everything = pd.concat([vocabulary.assign(time=vocabulary["item"]), log])
    histories = Sequences.from_events(everything)
    return histories.slice(1, len(histories))


def least(function: Callable[[], Any]) -> float:
    """Time a function some times, after once for warming up; give the least."""
    function()
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        function()
        seconds.append(time.process_time() - start)
    return min(seconds)


def cost(kind: str, width: int, n_items: int) -> dict[str, Any]:
    """Measure one model."""
    histories = random_histories(USERS, EVENTS, n_items)
    loss: Loss = FullSoftmax() if kind == "by width" else SampledSoftmax()
    once = Training(epochs=1, batch_size=ROWS, learning_rate=1e-3, device="cpu")
    train = histories.slice(0, ROWS)
    model = SASRec(width=width, length=LENGTH, loss=loss, training=once).fit(train)
    network = model.network.train()
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, fused=True)
    rows = torch.from_numpy(train.items.reshape(ROWS, EVENTS).astype(np.int64))
    items, targets = rows[:, :-1], rows[:, 1:].flatten()
    mask = torch.ones_like(items, dtype=torch.bool)
    weight = network.get_parameter("items.weight")

    def step() -> None:
        value = loss(network(items, mask).flatten(0, 1), weight, targets)
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()

    step_s = least(step)
    sizes = [p.numel() * p.element_size() for p in network.parameters()]
    moments = sum(
        t.numel() * t.element_size() for state in optimizer.state.values() for t in state.values()
    )
    saved = saved_bytes(lambda: loss(network(items, mask).flatten(0, 1), weight, targets), network)
    score_s = least(lambda: model.score(histories)) / USERS
    return {
        "kind": kind,
        "width": width,
        "items": n_items,
        "parameters": sum(p.numel() for p in network.parameters()),
        "step_s": round(step_s, 6),
        "score_s": round(score_s, 8),
        "state_bytes": 2 * sum(sizes) + moments,
        "saved_bytes": saved,
    }


def saved_bytes(forward: Callable[[], torch.Tensor], network: torch.nn.Module) -> int:
    """Count the bytes that a forward pass keeps for the backward pass, each store once."""
    known = {p.untyped_storage().data_ptr() for p in network.parameters()}
    stores: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        store = tensor.untyped_storage()
        if store.data_ptr() not in known:
            stores[store.data_ptr()] = store.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        held = forward()  # while it is held, no store is freed and its address used again
    del held
    return sum(stores.values())


def main() -> None:
    """Measure all points and write the table."""
    torch.set_num_threads(1)
    rows = []
    for point in POINTS:
        rows.append(cost(*point))
        print(rows[-1], flush=True)
    about = " ".join(__doc__.partition("Protocol: ")[2].split())
    write_result("network_cost", rows, about=about, seed=SEED, libraries=[*LIBRARIES, "torch"])


if __name__ == "__main__":
    main()
