"""A world in which showing what is liked most pays at first and loses later: who learns that.

Run ``python benchmarks/reinforcement.py``; it takes some half an hour of one core.

Protocol: five simulated shops, seeds 0 to 4, each with 1,000 users, 320 items of 20 topics and 60
days. A recommender chooses a topic at each step of a visit; a topic shown again is clicked less and
drives visitors away (boredom 0.3, patience 10, at most 20 steps). ``greedy``, ``SQN`` and
``REINFORCE`` learn from the same 4,000 visits under a policy that mixes chance, popularity and the
user's past, whose probabilities are known; the network, its size and its training are the same.
``greedy`` is the same as ``SQN`` with discount 0: it predicts the next click, and has no second
loss. ``DQN`` is that of stable-baselines3, which learns online from a visitor at a time, as many
steps as the log has (``steps``). Boredom, patience and the shape of the network were chosen after
looking at the world of seed 0, without a search; the others had not been looked at. Each policy
then receives every user three times; the figure is the mean number of clicks in a visit. Oracles
know the true chances: ``now`` takes the most probable click, ``ahead`` adds a quarter of a click
for a visitor who stays. ``pairs`` compare with ``greedy``, on the same users of all worlds,
sign-flip test and bootstrap interval over users; ``by_step`` is the share of all visits that had a
click at each step.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from behaviorseq import bootstrap_interval, paired_test, simulate
from behaviorseq.models.reinforcement import SQN, TopKReinforce, fit_dqn
from behaviorseq.simulate.topics import (
    Mixture,
    TopicEnvironment,
    TopicVisits,
    Visits,
    play_again,
)
from measure import LIBRARIES, write_result

NAME, SEEDS, VISITS, REPEATS = "reinforcement", (0, 1, 2, 3, 4), 4, 3
SHOP = {"n_users": 1000, "n_items": 320, "days": 60}
WORLD = {"boredom": 0.3, "patience": 10.0, "steps": 20}
EPOCHS, DISCOUNT, DQN_STEPS = 15, 0.95, 32_000
DQN = {
    "learning_rate": 1e-3,
    "buffer_size": DQN_STEPS,
    "learning_starts": 1000,
    "batch_size": 64,
    "train_freq": 2,
    "target_update_interval": 500,
    "exploration_fraction": 0.5,
    "exploration_final_eps": 0.05,
    "gamma": DISCOUNT,
}

Policy = Callable[[TopicVisits], Any]


def rules(seed: int) -> dict[str, Policy]:
    """Give what needs no learning, and the oracles."""
    rng = np.random.default_rng(seed)

    def ahead(visits: TopicVisits) -> Any:
        return (visits.click_chances() + 0.25 * visits.stay_chances()).argmax(axis=1)

    return {
        "random": lambda v: rng.integers(0, v.n_topics, v.n_seats),
        "most popular": lambda v: np.full(v.n_seats, v.popularity.argmax()),
        "popular, not yet shown": lambda v: (v.popularity - 9 * v.shown).argmax(axis=1),
        "favourite, not yet shown": lambda v: (v.past + 1e-3 * v.popularity - 9 * v.shown).argmax(
            axis=1
        ),
        "log": Mixture(seed=seed),
        "oracle, now": lambda v: v.click_chances().argmax(axis=1),
        "oracle, ahead": ahead,
    }


def learned(log: Visits, seed: int) -> dict[str, Policy]:
    """Fit what learns from the log."""
    shared: dict[str, Any] = {"epochs": EPOCHS, "seed": seed}
    ahead = shared | {"discount": DISCOUNT}
    return {
        "greedy": SQN(**shared, discount=0.0, supervised=0.0).fit(log),
        "SQN, values": SQN(**ahead).fit(log),
        "SQN, values alone": SQN(**ahead, supervised=0.0).fit(log),
        "SQN, predicted clicks": SQN(**ahead, head="policy").fit(log),
        "REINFORCE, corrected": TopKReinforce(**ahead).fit(log),
        "REINFORCE, not corrected": TopKReinforce(**ahead, correct=False).fit(log),
    }


def judged(visits: TopicVisits, policy: Policy) -> dict[str, Any]:
    """Let every user visit some times."""
    users = np.arange(visits.n_seats)
    made = play_again(visits, policy, users, times=REPEATS, seed=1000)
    clicks = made.clicks.sum(axis=1).reshape(REPEATS, -1).mean(axis=0)
    by_step = np.zeros(WORLD["steps"])
    by_step[: made.clicks.shape[1]] = made.clicks.mean(axis=0)
    return {"clicks": clicks, "length": made.mask.sum() / len(made.mask), "by_step": by_step}


def world(seed: int) -> dict[str, dict[str, Any]]:
    """Judge everything in one shop."""
    shop: Any = simulate.world("shop", **SHOP, seed=seed)
    events = shop.log().events
    visits = TopicVisits(shop, events, SHOP["n_users"], **WORLD, seed=seed)
    log = play_again(visits, Mixture(seed=seed), np.arange(visits.n_seats), times=VISITS, seed=7)
    alone = TopicVisits(shop, events, 1, **WORLD, seed=seed)
    policies = rules(seed) | learned(log, seed)
    start = time.process_time()
    policies["DQN"] = fit_dqn(TopicEnvironment(alone), steps=DQN_STEPS, seed=seed, **DQN)
    print("DQN", round(time.process_time() - start), "s; log", log.mask.sum(), "steps", flush=True)
    found = {name: judged(visits, policy) for name, policy in policies.items()}
    for name, each in found.items():
        print(seed, name, round(each["clicks"].mean(), 3), round(each["length"], 2), flush=True)
    return found


def main() -> None:
    """Judge all policies in all shops, and compare them with the greedy one."""
    torch.set_num_threads(1)
    worlds = [world(seed) for seed in SEEDS]
    rows, pairs = [], []
    every = {n: np.concatenate([w[n]["clicks"] for w in worlds]) for n in worlds[0]}
    for name, clicks in every.items():
        value, low, high = bootstrap_interval(clicks, seed=0)
        row: dict[str, Any] = {"policy": name, "clicks": value, "low": low, "high": high}
        row["by_seed"] = [round(float(w[name]["clicks"].mean()), 4) for w in worlds]
        row["length"] = round(float(np.mean([w[name]["length"] for w in worlds])), 3)
        row["by_step"] = np.mean([w[name]["by_step"] for w in worlds], axis=0).round(5).tolist()
        rows.append(row)
        if name != "greedy":
            test = paired_test(clicks, every["greedy"], seed=0)
            pairs.append({"policy": name, "difference": test.difference, "low": test.low})
            pairs[-1] |= {"high": test.high, "p": test.p_value}
    write_result(
        NAME,
        rows,
        about=__doc__.partition("Protocol: ")[2].strip(),
        libraries=[*LIBRARIES, "torch", "gymnasium", "stable-baselines3"],
        shop=SHOP,
        world=WORLD,
        seeds=list(SEEDS),
        users=len(every["greedy"]),
        settings={"epochs": EPOCHS, "discount": DISCOUNT, "DQN": DQN, "steps": DQN_STEPS},
        pairs=pairs,
    )


if __name__ == "__main__":
    main()
