"""Learners that begin with nothing and learn from the visitors whom they serve, in five shops.

Run ``python benchmarks/online.py``; it takes some eight minutes of one core.

Protocol: five simulated shops, seeds 0 to 4, each with 1,000 users, 320 items of 20 topics and 60
days. ``rows``: visits in the world of ``reinforcement.json`` (boredom 0.3, patience 10, at most 20
steps), 125 at a time. ``greedy``, ``SQN`` and ``REINFORCE`` show topics by chance to the first 125
visitors, and learn anew when 125, 250, 500 and 1,000 have been served, 150 steps of training or 10
epochs in batches of 64; a tenth of their choices is made by chance, with known probabilities.
``greedy`` is ``SQN`` with discount 0. ``DQN`` (stable-baselines3) learns all the time, one visitor
at a time; its chance choices fall from all to a twentieth over the first half of its steps.
``clicks`` are those of a visit in each batch, mean over the worlds, ``by_seed`` those of each
world, ``regret`` the clicks fewer than the oracle that looks ahead had in as many visits, summed.
Nothing was tuned for this. ``bandits``: single choices without boredom, 500 rounds of 200 visitors;
arms are the most popular items of the topics, the context is the topic that a user clicked most in
the log; regret is counted against the best arm of each such group. ``exponent`` is that of regret
over time, fitted in each world, with Student's interval over the worlds. ``pages``: single pages of
three topics, without boredom, learned from 4,000 impressions of one topic each under the same mixed
policy as in ``reinforcement.json``; the three topics with the highest scores are shown, ``any`` is
the true chance that something on the page is clicked, ``clicks`` the expected clicks.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from gymnasium.wrappers import RecordEpisodeStatistics

from behaviorseq import (
    SQN,
    EpsilonGreedy,
    LinUCB,
    ThompsonSampling,
    TopKReinforce,
    fit_dqn,
    growth_exponent,
    learn_online,
    paired_test,
    run_online,
    simulate,
)
from behaviorseq.simulate.topics import (
    Mixture,
    TopicEnvironment,
    TopicVisits,
    Visits,
    play,
    play_again,
)
from measure import LIBRARIES, write_result
from reinforcement import DISCOUNT, DQN, SEEDS, SHOP, WORLD, rules

NAME, SEATS, BATCHES, ROUNDS = "online", 125, (1, 1, 2, 4, 8), 500
BOUNDS = SEATS * np.cumsum((0, *BATCHES))
TRAINING = {"epochs": 10, "least_steps": 150, "batch_size": 64}
DQN_STEPS = 16_000
FIXED = ("most popular", "favourite, not yet shown", "oracle, ahead")


def visit_learners(shop: Any, events: Any, seed: int) -> dict[str, np.ndarray]:
    """Give the clicks of each visit, in order, shape (2000,)."""
    shared: dict[str, Any] = TRAINING | {"seed": seed}
    models = {
        "greedy": SQN(**shared, discount=0.0, supervised=0.0),
        "SQN": SQN(**shared, discount=DISCOUNT, copy_every=15),
        "REINFORCE": TopKReinforce(**shared, discount=DISCOUNT),
    }
    visits = TopicVisits(shop, events, SEATS, **WORLD, seed=seed)
    made = {n: learn_online(visits, m, batches=BATCHES, seed=seed) for n, m in models.items()}
    found = {name: np.concatenate([_clicks(part) for part in each]) for name, each in made.items()}
    for name in FIXED:
        everybody = np.random.default_rng(seed).integers(0, shop.n_users, (sum(BATCHES), SEATS))
        played = [play(visits, rules(seed)[name], users) for users in everybody]
        found[name] = np.concatenate([_clicks(part) for part in played])
    alone = TopicVisits(shop, events, 1, **WORLD, seed=seed)
    watched: Any = RecordEpisodeStatistics(TopicEnvironment(alone), buffer_length=10**6)
    fit_dqn(watched, steps=DQN_STEPS, seed=seed, **DQN | {"train_freq": 4})
    found["DQN"] = np.array(watched.return_queue)[: BOUNDS[-1]]
    return found


def _clicks(visits: Visits) -> np.ndarray:
    return visits.clicks.sum(axis=1)


def bandit_runs(shop: Any, events: Any, seed: int) -> dict[str, np.ndarray]:
    """Give the regret of each bandit after each round, and of what does not learn."""
    visits = TopicVisits(shop, events, shop.n_users, seed=seed)
    visits.reset(np.arange(shop.n_users))
    chance, n = visits.click_chances(), visits.n_topics
    group = (visits.past + 1e-6 * visits.popularity).argmax(axis=1)
    mean = np.array([chance[group == g].mean(axis=0) for g in group])  # (n_users, n_topics)
    size: dict[str, Any] = {"n_arms": n, "n_features": n, "seed": seed}
    bandits = {
        "never explores": EpsilonGreedy(**size, epsilon=0.0),
        "epsilon-greedy": EpsilonGreedy(**size, epsilon=1.0, decay=0.67, horizon=5000),
        "LinUCB": LinUCB(**size, alpha=0.5),
        "Thompson sampling": ThompsonSampling(**size, scale=0.3),
    }
    online, contexts = shop.environment(200, steps=1, keep_log=False), np.eye(n)[group]
    run: dict[str, Any] = {"rounds": ROUNDS, "seed": seed}
    return {
        name: run_online(bandit, online, contexts, visits.top_items, mean, **run).regret
        for name, bandit in bandits.items()
    }


def pages(shop: Any, events: Any, seed: int) -> dict[str, dict[str, np.ndarray]]:
    """Give what is clicked on each user's page, in truth."""
    visits = TopicVisits(shop, events, shop.n_users, steps=1, seed=seed)
    users = np.arange(shop.n_users)
    log = play_again(visits, Mixture(seed=seed), users, times=4, seed=7)
    shared: dict[str, Any] = {"epochs": 15, "seed": seed}
    models = {
        "greedy": SQN(**shared, discount=0.0, supervised=0.0),
        "REINFORCE": TopKReinforce(**shared),
        "REINFORCE, top 3": TopKReinforce(**shared, k=3),
    }
    visits.reset(users)
    scores = {name: model.fit(log).score_visits(visits) for name, model in models.items()}
    scores |= {
        "most popular": visits.popularity + 0 * visits.past,
        "oracle": visits.click_chances(),
    }
    now = visits.environment.stage.audience.now
    found = {}
    for name, each in scores.items():
        shown = visits.top_items[np.argsort(-each, axis=1)[:, :3]]
        chance = shop.truth.click_probability(users[:, None], shown, np.arange(3), now)
        found[name] = {"any": 1 - (1 - chance).prod(axis=1), "clicks": chance.sum(axis=1)}
    return found


def visit_rows(runs: list[dict[str, np.ndarray]]) -> list[dict[str, Any]]:
    """Summarise the visits of all worlds."""
    rows = []
    best = np.array([run["oracle, ahead"].mean() for run in runs])
    for name in runs[0]:
        worlds = [[float(run[name][a:b].mean()) for a, b in pairwise(BOUNDS)] for run in runs]
        gaps = best[:, None] - np.array(worlds)
        regret = (gaps * np.diff(BOUNDS)).cumsum(axis=1).mean(axis=0)
        row = {"policy": name, "clicks": np.mean(worlds, axis=0).round(4).tolist()}
        rows.append(
            row | {"regret": regret.round(1).tolist(), "by_seed": np.round(worlds, 4).tolist()}
        )
        print(name, row["clicks"], rows[-1]["regret"], flush=True)
    return rows


def main() -> None:
    """Run all of it in five worlds, and store it."""
    torch.set_num_threads(1)
    shops = [simulate.world("shop", **SHOP, seed=seed) for seed in SEEDS]
    parts = [(shop, shop.log().events, seed) for shop, seed in zip(shops, SEEDS, strict=True)]
    bandits = []
    runs = [bandit_runs(*part) for part in parts]
    for name in runs[0]:
        exponent = growth_exponent([run[name] for run in runs])
        row = {
            "bandit": name,
            "exponent": exponent.value,
            "low": exponent.low,
            "high": exponent.high,
        }
        bandits.append(row | {"regret": [round(float(run[name][-1]), 1) for run in runs]})
        print(bandits[-1], flush=True)
    shown, page_rows = [pages(*part) for part in parts], []
    for name in shown[0]:
        both = {m: np.concatenate([each[name][m] for each in shown]) for m in ("any", "clicks")}
        row = {"policy": name} | {m: round(float(value.mean()), 4) for m, value in both.items()}
        row["by_seed"] = [round(float(each[name]["any"].mean()), 4) for each in shown]
        if name != "REINFORCE":
            plain = np.concatenate([each["REINFORCE"]["any"] for each in shown])
            test = paired_test(both["any"], plain, seed=0)
            row |= {"difference": test.difference, "low": test.low, "high": test.high}
        page_rows.append(row)
        print(row, flush=True)
    rows = visit_rows([visit_learners(*part) for part in parts])
    write_result(
        NAME,
        rows,
        about=__doc__.partition("Protocol: ")[2].strip(),
        libraries=[*LIBRARIES, "torch", "gymnasium", "stable-baselines3"],
        shop=SHOP,
        world=WORLD,
        seeds=list(SEEDS),
        served=BOUNDS[1:].tolist(),
        settings=TRAINING | {"steps": DQN_STEPS, "rounds": ROUNDS},
        bandits=bandits,
        pages=page_rows,
    )


if __name__ == "__main__":
    main()
