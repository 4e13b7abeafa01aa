"""Learning from logged visits: targets and gradients against loops, and what must be learned."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from behaviorseq import simulate
from behaviorseq.models.reinforcement import (
    SQN,
    TopKReinforce,
    double_q_targets,
    fit_dqn,
    learn_online,
    returns,
    top_k_multiplier,
)
from behaviorseq.models.visits import Steps, VisitNetwork
from behaviorseq.simulate.topics import TopicEnvironment, TopicVisits, Visits, join

TOPICS, STEPS = 4, 5


def made(n: int = 200, seed: int = 0) -> Visits:
    """Visits with random choices; only topic 1 is clicked, and topic 2 ends the visit."""
    rng = np.random.default_rng(seed)
    topics = rng.integers(0, TOPICS, (n, STEPS))
    ended = np.cumsum(topics == 2, axis=1) - (topics == 2)
    mask = ended == 0
    clicks = ((topics == 1) & (rng.random((n, STEPS)) < 0.5) & mask).astype(float)
    past = rng.dirichlet(np.ones(TOPICS), n)
    chances = np.where(mask, 1 / TOPICS, 1.0)
    return Visits(np.arange(n), past, topics * mask, clicks, chances, mask)


def test_double_q_targets_against_a_loop() -> None:
    rng = np.random.default_rng(0)
    online, target = rng.normal(size=(2, 6, STEPS + 1, TOPICS))
    visits = made(6)
    steps = Steps.of(visits)
    found = double_q_targets(
        steps.clicks, steps.mask, torch.tensor(online), torch.tensor(target), 0.8
    )
    for i in range(6):
        length = visits.mask[i].sum()
        for t in range(length):
            wanted = visits.clicks[i, t]
            if t + 1 < length:
                wanted += 0.8 * target[i, t + 1, online[i, t + 1].argmax()]
            assert float(found[i, t]) == pytest.approx(wanted)


def test_returns_against_a_loop() -> None:
    rewards = torch.rand(3, 7, dtype=torch.float64)
    for discount in (0.0, 0.6, 1.0):
        found = returns(rewards.float(), discount)
        for t in range(7):
            wanted = sum(discount ** (u - t) * rewards[:, u] for u in range(t, 7))
            assert found[:, t].numpy() == pytest.approx(np.asarray(wanted), abs=1e-5)


def test_top_k_multiplier_is_the_derivative_of_being_among_k() -> None:
    pi = torch.linspace(0, 1, 9, dtype=torch.float64, requires_grad=True)
    for k in (1, 2, 5):
        (slope,) = torch.autograd.grad((1 - (1 - pi) ** k).sum(), pi)
        assert top_k_multiplier(pi.detach(), k).numpy() == pytest.approx(slope.numpy())


def test_network_sees_no_later_step_and_starts_from_the_past() -> None:
    torch.manual_seed(0)
    network, steps = VisitNetwork(TOPICS, 8), Steps.of(made(3))
    states = network(steps.past, steps.topics, steps.clicks)
    assert states.shape == (3, STEPS + 1, TOPICS, 8)
    changed = steps.topics.clone()
    changed[:, 3] = (changed[:, 3] + 1) % TOPICS
    others = network(steps.past, changed, steps.clicks)
    assert torch.equal(states[:, :4], others[:, :4])
    assert not torch.allclose(states[:, 4], others[:, 4])
    assert not torch.allclose(states[0, 0], states[1, 0])


def test_reinforce_gradient_against_a_float64_loop() -> None:
    visits, model = made(4, seed=3), TopKReinforce(k=3, cap=1.2, discount=0.7)
    torch.manual_seed(1)
    model.network = VisitNetwork(TOPICS, 6)
    steps = Steps.of(visits)
    model.loss(steps).backward()
    found = model.network.policy.weight.grad
    assert found is not None
    states = model.network(steps.past, steps.topics, steps.clicks).detach().double()
    weight, bias = (p.detach().double() for p in model.network.policy.parameters())
    gained = np.zeros((4, STEPS))
    for t in reversed(range(STEPS)):
        later = gained[:, t + 1] if t + 1 < STEPS else 0.0
        gained[:, t] = visits.clicks[:, t] + 0.7 * later
    wanted, n = np.zeros(6), visits.mask.sum()
    for t in range(STEPS):
        here = visits.mask[:, t]
        baseline = gained[here, t].mean() if here.any() else 0.0
        for i in np.flatnonzero(here):
            pi = (states[i, t] @ weight[0] + bias).softmax(0).numpy()
            action = visits.topics[i, t]
            rho = min(1.2, pi[action] / visits.chances[i, t])
            scale = rho * 3 * (1 - pi[action]) ** 2 * (gained[i, t] - baseline)
            wanted -= scale * (np.eye(TOPICS)[action] - pi) @ states[i, t].numpy() / n
    assert found[0].numpy() == pytest.approx(wanted, abs=1e-5)


def test_sqn_loss_and_gradient_against_a_float64_loop() -> None:
    """The loss by hand, and the gradient of both heads by finite differences of it."""
    visits, model = made(5, seed=8), SQN(discount=0.7, supervised=0.4, width=6, copy_every=2)
    torch.manual_seed(2)
    model.network = VisitNetwork(TOPICS, 6)
    model.begin()
    steps, read = Steps.of(visits), _read(visits)
    model.loss(steps)  # from here on the target is a copy
    older = model.network.value(model.network(*read))[..., 0].detach().double().numpy()
    with torch.no_grad():
        model.network.value.weight += 0.5  # and the network has moved on
    loss = model.loss(steps)
    loss.backward()
    states = model.network(*read).detach().double().numpy()
    heads = {
        name: getattr(model.network, name).weight.detach().double().numpy()[0]
        for name in ("value", "policy")
    }
    bias = {name: getattr(model.network, name).bias.item() for name in heads}
    best = (states @ heads["value"] + bias["value"]).argmax(axis=2)

    def by_hand(value: np.ndarray, policy: np.ndarray) -> float:
        error, n, surprise, clicks = 0.0, 0, 0.0, 0
        for i, t in zip(*np.nonzero(visits.mask), strict=True):
            wanted, shown = visits.clicks[i, t], visits.topics[i, t]
            if t + 1 < STEPS and visits.mask[i, t + 1]:
                wanted += 0.7 * older[i, t + 1, best[i, t + 1]]
            error += (states[i, t, shown] @ value + bias["value"] - wanted) ** 2
            n += 1
            if visits.clicks[i, t]:
                logits = states[i, t] @ policy + bias["policy"]
                surprise += np.log(np.exp(logits).sum()) - logits[shown]
                clicks += 1
        return float(error / n + 0.4 * surprise / clicks)

    assert loss.item() == pytest.approx(by_hand(**heads), rel=1e-5)
    for name in heads:
        found = getattr(model.network, name).weight.grad[0].numpy()
        for place in range(6):
            ends = []
            for step in (1e-5, -1e-5):
                moved = {key: weight.copy() for key, weight in heads.items()}
                moved[name][place] += step
                ends.append(by_hand(**moved))
            assert found[place] == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-5)


@pytest.mark.parametrize("head", ["value", "policy"])
def test_sqn_learns_what_is_clicked(head: Any) -> None:
    model = SQN(head=head, discount=0.0, epochs=15, learning_rate=0.01).fit(made(600))
    states = model.network(*_read(made(50, seed=9)))[:, 0]
    assert (model.scores(states).argmax(dim=1) == 1).float().mean() > 0.95
    assert model.losses[-1] < model.losses[0]


def test_discount_sees_that_a_topic_ends_the_visit() -> None:
    """Topics 0, 2, 3 are never clicked; only a discount tells that 2 costs what would follow."""
    gaps = {}
    for discount in (0.0, 0.9):
        model = SQN(discount=discount, epochs=30, learning_rate=0.01, copy_every=10).fit(made(600))
        values = model.scores(model.network(*_read(made(50, seed=9)))[:, 0]).detach().mean(dim=0)
        gaps[discount] = float((values[0] + values[3]) / 2 - values[2])
    assert abs(gaps[0.0]) < 0.1
    assert gaps[0.9] > 0.3


def test_reinforce_learns_what_pays_over_the_visit() -> None:
    model = TopKReinforce(discount=0.9, epochs=30, learning_rate=0.01).fit(made(600))
    chances = model.scores(model.network(*_read(made(50, seed=9)))[:, 0]).softmax(dim=1)
    mean = chances.mean(dim=0).detach().numpy()
    assert mean.argmax() == 1
    assert mean[1] > 0.7
    assert mean.argmin() == 2 or mean[2] < 0.1


def test_top_k_keeps_a_page_of_k_things() -> None:
    """One step, topics worth .9, .8, 0 and 0: REINFORCE goes all for the first, top-2 for both."""
    rng = np.random.default_rng(0)
    n = 4000
    topics = rng.integers(0, TOPICS, (n, 1))
    clicks = (rng.random((n, 1)) < np.array([0.9, 0.8, 0, 0])[topics]).astype(float)
    past, ones = np.full((n, TOPICS), 0.25), np.ones((n, 1))
    visits = Visits(np.arange(n), past, topics, clicks, ones / TOPICS, ones > 0)
    shares = {}
    for k in (1, 2):
        model = TopKReinforce(k=k, epochs=25, learning_rate=0.02, cap=10).fit(visits)
        states = model.network(*_read(visits))[:1, 0]
        shares[k] = model.scores(states).softmax(dim=1)[0].detach().numpy()
    assert shares[1][0] > 0.9
    assert 0.25 < shares[2][1] < 0.6
    assert shares[2][:2].sum() > 0.9


def _read(visits: Visits) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    steps = Steps.of(visits)
    return steps.past, steps.topics, steps.clicks


@pytest.fixture(scope="module")
def seats() -> TopicVisits:
    shop: Any = simulate.world("shop", n_users=100, n_items=64, days=10, seed=0)
    return TopicVisits(shop, shop.log().events, n_seats=6, boredom=0.3)


def test_it_chooses_for_visits_that_are_under_way(seats: TopicVisits) -> None:
    model = SQN(epochs=2).fit(made(100))
    for _ in range(3):
        chosen = model(seats)
        assert chosen.shape == (6,)
        assert chosen.max() < TOPICS
        alone = (
            model.network(
                *(
                    torch.as_tensor(a, dtype=k)
                    for a, k in (
                        (seats.past[2:3], torch.float32),
                        (seats.topics[2:3, : seats.step[2]], torch.int64),
                        (seats.clicks[2:3, : seats.step[2]], torch.float32),
                    )
                )
            )
            if seats.step[2]
            else None
        )
        if alone is not None:
            score = model.scores(alone[:, -1]).detach().numpy()
            assert model.score_visits(seats)[2] == pytest.approx(score[0], abs=1e-5)
        seats.show(chosen)


def test_shares_of_values_and_of_a_policy(seats: TopicVisits) -> None:
    values = SQN(epochs=1).fit(made(100))
    assert (values.shares(seats) == np.eye(TOPICS)[values(seats)]).all()
    policy = TopKReinforce(epochs=1).fit(made(100))
    likely = np.exp(policy.score_visits(seats).astype(float))
    shares = likely / likely.sum(axis=1, keepdims=True)
    assert policy.shares(seats) == pytest.approx(shares)


def test_learning_online_notes_how_it_chose_and_learns_from_all(seats: TopicVisits) -> None:
    model = TopKReinforce(epochs=1, least_steps=3)
    made = learn_online(seats, model, batches=(2, 1, 3), explore=0.2, seed=3)
    assert [len(part.mask) for part in made] == [12, 6, 18]
    first, later = made[0], made[2]
    assert first.chances[first.mask] == pytest.approx(1 / TOPICS)  # nothing is known yet
    assert later.chances[later.mask].min() >= 0.2 / TOPICS
    assert len(set(later.chances[later.mask].round(6))) > 2
    assert len(model.losses) == 3  # one batch of 18 visits an epoch
    alone = TopKReinforce(epochs=1, least_steps=3).fit(join(made[:2]))
    assert torch.equal(alone.network.policy.weight, model.network.policy.weight)


def test_learning_online_finds_what_is_clicked(seats: TopicVisits) -> None:
    shop: Any = seats.shop
    many = TopicVisits(shop, shop.log().events, n_seats=100, boredom=0.3, patience=10)
    model = SQN(epochs=5, least_steps=60, copy_every=10, learning_rate=0.01)
    made = learn_online(many, model, batches=(2, 4), explore=0.1, seed=0)
    clicks = [part.clicks.sum() / len(part.mask) for part in made]
    assert clicks[1] > 1.2 * clicks[0]


def test_same_seed_same_model() -> None:
    first, again = (SQN(epochs=2, seed=4).fit(made(50)).network for _ in range(2))
    other = SQN(epochs=2, seed=5).fit(made(50)).network
    assert torch.equal(first.value.weight, again.value.weight)
    assert not torch.equal(first.value.weight, other.value.weight)


def test_dqn_trains_and_chooses(seats: TopicVisits) -> None:
    pytest.importorskip("stable_baselines3")
    shop: Any = seats.shop
    one = TopicVisits(shop, shop.log().events, n_seats=1, boredom=0.3)
    policy = fit_dqn(TopicEnvironment(one), steps=150, learning_starts=50, batch_size=16)
    chosen = policy(seats)
    assert chosen.shape == (6,)
    assert chosen.min() >= 0
    assert chosen.max() < seats.n_topics


def test_errors() -> None:
    nothing = replace(made(1), users=np.zeros(0, dtype=np.int64))
    with pytest.raises(ValueError, match="visits must be one or more"):
        SQN().fit(nothing)
    with pytest.raises(ValueError, match="discount must be a number from 0 to 1"):
        SQN(discount=1.5)
    with pytest.raises(ValueError, match="k must be a whole number of 1 or more"):
        top_k_multiplier(torch.ones(1), 0)
