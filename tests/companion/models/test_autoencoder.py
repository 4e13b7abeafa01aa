"""The autoencoder against float64 loops and torch's distributions, and what it learns."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from behaviorseq import MultVAE
from behaviorseq.models import autoencoder
from behaviorseq.models.autoencoder import BagAutoencoder, annealed, divergence, draw_items
from behaviorseq.models.network import NetworkRecommender
from behaviorseq.training import Bags, Training, bag_cross_entropy

SHORT = Training(epochs=3, batch_size=4, learning_rate=0.01)
LEARN = Training(epochs=60, batch_size=32, learning_rate=0.01)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def learned(clusters):
    log, own = clusters
    return MultVAE(inner=32, latent=8, training=LEARN).fit(log), log, own


def net(n_items=9, dropout=0.0):
    network = BagAutoencoder(n_items, inner=5, latent=3, dropout=dropout).double()
    for bias in (network.read_bias, network.posterior.bias, network.expand.bias, network.out.bias):
        torch.nn.init.normal_(bias)
    return network


def bag_of(log):
    bags = Bags(log)
    return bags.of(bags.rows)


def by_hand(network, items, noise):
    """Compute one row's loss terms with scalars and loops, from the weights."""
    w = {name: p.tolist() for name, p in network.named_parameters()}
    length = 1 / math.sqrt(len(items))
    hidden = [
        math.tanh(b + sum(length * w["read.weight"][i][k] for i in items))
        for k, b in enumerate(w["read_bias"])
    ]

    def linear(name, x):
        rows = zip(w[f"{name}.weight"], w[f"{name}.bias"], strict=True)
        return [b + sum(a * v for a, v in zip(row, x, strict=True)) for row, b in rows]

    both = linear("posterior", hidden)
    mean, log_variance = both[:3], both[3:]
    z = [m + n * math.exp(v / 2) for m, v, n in zip(mean, log_variance, noise, strict=True)]
    scores = linear("out", [math.tanh(x) for x in linear("expand", z)])
    log_total = math.log(sum(math.exp(s) for s in scores))
    kl = sum((math.exp(v) + m * m - 1 - v) / 2 for m, v in zip(mean, log_variance, strict=True))
    return sum(log_total - scores[i] for i in items), kl


def test_the_evidence_lower_bound_equals_a_float64_loop(make_log):
    network, bag = net(), bag_of(make_log())
    torch.manual_seed(3)
    scores, mean, log_variance = network(bag)
    torch.manual_seed(3)
    noise = torch.randn_like(mean)
    ours = bag_cross_entropy(scores, bag), divergence(mean, log_variance)
    for place in range(len(bag.rows)):
        items = bag.items[bag.owners == place].tolist()
        expected = by_hand(network, items, noise[place].tolist())
        assert ours[0][place].item() == pytest.approx(expected[0], rel=1e-10)
        assert ours[1][place].item() == pytest.approx(expected[1], rel=1e-10)


def test_the_gradients_of_the_bound_are_those_of_its_differences(make_log):
    network, bag = net(), bag_of(make_log())
    names, weights = zip(*network.named_parameters(), strict=True)

    def bound(*changed):
        torch.manual_seed(3)  # the same noise
        given = dict(zip(names, changed, strict=True))
        scores, mean, log_variance = torch.func.functional_call(network, given, (bag,))
        return bag_cross_entropy(scores, bag) + divergence(mean, log_variance)

    assert torch.autograd.gradcheck(bound, weights)


def test_the_divergence_equals_torchs_in_value_and_gradient():
    mean = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    log_variance = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    normal = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    standard = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    theirs = torch.distributions.kl_divergence(normal, standard).sum(dim=1)
    ours = divergence(mean, log_variance)
    torch.testing.assert_close(ours, theirs)
    direction = torch.randn(6, dtype=torch.float64)
    for mine, other in zip(
        torch.autograd.grad(ours @ direction, (mean, log_variance)),
        torch.autograd.grad(theirs @ direction, (mean, log_variance)),
        strict=True,
    ):
        torch.testing.assert_close(mine, other)
    assert (ours > 0).all()


def test_gradients_through_the_drawn_vector_are_those_of_the_expectation(make_log, monkeypatch):
    """E[z^2] = mean^2 + variance, so its gradients are 2 mean and (to log-variance) variance."""
    network = net()
    bag = Bags(make_log()).of(np.full(40_000, 5))  # many draws for one history
    monkeypatch.setattr(network, "decode", lambda z: z)  # scores are the draws
    z, mean, log_variance = network(bag)
    assert not torch.equal(z, mean)
    gradients = torch.autograd.grad(z.square().mean(dim=0).sum(), (mean, log_variance))
    ours = [g.sum(dim=0) for g in gradients]
    torch.testing.assert_close(ours[0], 2 * mean[0], rtol=0.05, atol=0.05)
    torch.testing.assert_close(ours[1], log_variance[0].exp(), rtol=0.05, atol=0.02)


def test_out_of_training_nothing_is_drawn_or_dropped(make_log):
    network, bag = net(dropout=0.5).eval(), bag_of(make_log())
    scores, mean, _ = network(bag)
    assert torch.equal(scores, network.decode(mean))
    assert torch.equal(network.encode(bag)[0], mean)
    network.train()
    assert not torch.equal(network.encode(bag)[0], mean)


def test_a_bag_enters_with_length_one(make_log):
    network = net()
    seen = []
    network.drop = torch.nn.Identity()
    network.drop.register_forward_hook(lambda module, args, out: seen.append(out))
    for decay in (None, 0.7):
        bags = Bags(make_log(), decay=decay)
        bag = bags.of(bags.rows)
        network.encode(bag)
        squares = torch.zeros(len(bag.rows)).double().index_add(0, bag.owners, seen[-1].square())
        torch.testing.assert_close(squares, torch.ones_like(squares))


def test_the_weight_of_the_divergence_rises_and_stays(make_log, monkeypatch):
    assert annealed(2.0, 0.0, 0.0) == 2.0
    assert annealed(2.0, 1.0, 0.25) == 0.5
    weights, log = [], make_log()

    def watched(beta, share, done):
        weights.append(annealed(beta, share, done))
        return weights[-1]

    monkeypatch.setattr(autoencoder, "annealed", watched)
    MultVAE(inner=4, latent=2, beta=0.6, anneal=0.5, training=SHORT).fit(log)
    steps = SHORT.epochs * len(Bags(log, batch_size=4))
    np.testing.assert_allclose(weights, np.minimum(0.6, 1.2 * np.arange(steps) / steps))


def test_a_large_weight_pulls_all_histories_to_one_cloud(clusters):
    log, _ = clusters
    spread = [
        MultVAE(inner=32, latent=8, beta=beta, anneal=0, training=replace(LEARN, epochs=30))
        .fit(log)
        .encode(log)
        .std()
        for beta in (0.0, 0.2, 20.0)
    ]
    assert spread[0] > spread[1] > 0.3
    assert spread[2] < 0.05  # the posterior is the prior: nothing of the history is left


def test_finds_planted_clusters(learned):
    model, log, own = learned
    items, _ = model.recommend(log.last(2), k=5)
    assert (items % 4 == own[:, None]).mean() > 0.98
    codes = model.encode(log)
    centres = np.stack([codes[own == c].mean(axis=0) for c in range(4)])
    nearest = ((codes[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == own).mean() > 0.98


def test_the_loss_falls_and_is_per_item(learned):
    model, _, _ = learned
    loss = model.history["loss"]
    assert loss.iloc[0] == pytest.approx(math.log(40), rel=0.05)  # all items alike
    # With beta 0.2 a code costs something, and ten items of a cluster stay equally likely.
    assert math.log(10) - 0.1 < loss.iloc[-1] < math.log(40) - 0.5


def test_order_and_repetition_do_not_count_unless_asked(make_log):
    log = make_log(longest=12)
    model = MultVAE(inner=6, latent=3, training=SHORT).fit(log)
    np.testing.assert_allclose(model.score(log.shuffled()), model.score(log), rtol=1e-5)
    scores = model.score(log)
    model.decay = 0.5
    assert not np.allclose(model.score(log), scores)
    assert not np.allclose(model.score(log.shuffled()), model.score(log))


def test_scores_do_not_depend_on_the_rows_at_a_time(make_log, monkeypatch):
    log = make_log(1, n_users=30)
    model = MultVAE(inner=6, latent=3, training=SHORT).fit(log)
    whole, codes = model.score(log), model.encode(log)
    monkeypatch.setattr(autoencoder, "ROWS", 3)
    np.testing.assert_allclose(model.score(log), whole, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.encode(log), codes, rtol=1e-5, atol=1e-6)
    assert codes.shape == (30, 3)
    assert not codes[log.lengths == 0].any()


def test_fitting_follows_the_seed_and_resumes(make_log, tmp_path):
    log = make_log(6)
    model = MultVAE(inner=6, latent=3, training=SHORT)
    first = model.fit(log).score(log)
    np.testing.assert_array_equal(model.fit(log).score(log), first)
    other = replace(model, training=replace(SHORT, seed=1)).fit(log).score(log)
    assert not np.allclose(first, other)
    calls = []

    def killed(model):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return float(len(calls))

    with pytest.raises(KeyboardInterrupt):
        model.fit(log, validate=killed, checkpoint=tmp_path)
    rising = itertools.count(2.0)
    resumed = model.fit(log, validate=lambda model: next(rising), checkpoint=tmp_path)
    assert resumed.history["validation"].tolist() == [1, 2, 3]
    np.testing.assert_array_equal(resumed.score(log), first)


def test_a_saved_model_scores_and_samples_the_same(make_log, tmp_path):
    log = make_log(9)
    model = MultVAE(inner=6, latent=3, decay=0.8, training=SHORT).fit(log)
    model.save(tmp_path)
    for kind in (MultVAE, NetworkRecommender):
        loaded = kind.load(tmp_path)
        assert repr(loaded) == repr(model)
        np.testing.assert_array_equal(loaded.score(log), model.score(log))
    np.testing.assert_array_equal(loaded.sample(5, 3).items, model.sample(5, 3).items)


def test_items_are_drawn_in_proportion_and_not_twice():
    rng = np.random.default_rng(0)
    scores = np.log(np.array([0.5, 0.3, 0.2]), dtype=np.float64)
    drawn = draw_items(np.tile(scores, (60_000, 1)), np.full(60_000, 2), rng).reshape(-1, 2)
    assert (drawn[:, 0] != drawn[:, 1]).all()
    np.testing.assert_allclose(np.bincount(drawn[:, 0]) / 60_000, [0.5, 0.3, 0.2], atol=0.01)
    second = np.bincount(drawn[drawn[:, 0] == 0, 1], minlength=3)
    np.testing.assert_allclose(second / second.sum(), [0, 0.6, 0.4], atol=0.015)
    assert draw_items(np.zeros((2, 3)), np.array([0, 3]), rng).shape == (3,)


def test_sampled_histories_have_the_structure_of_the_log(learned):
    model, log, _ = learned
    lengths = np.random.default_rng(0).permutation(log.lengths)
    drawn = model.sample(200, lengths, seed=1)
    assert drawn.lengths.tolist() == lengths.tolist()
    assert drawn.item_ids is model.item_ids
    assert all(len(set(drawn[i].tolist())) == lengths[i] for i in range(200))
    share = np.array([np.bincount(drawn[i] % 4).max() / lengths[i] for i in range(200)])
    assert share.mean() > 0.8  # four random items: about 0.55
    assert len(np.unique([np.bincount(drawn[i] % 4).argmax() for i in range(200)])) == 4
    np.testing.assert_array_equal(model.sample(200, lengths, seed=1).items, drawn.items)
    assert not np.array_equal(model.sample(200, lengths, seed=2).items, drawn.items)


def test_sampling_refuses_what_it_cannot(learned):
    model, _, _ = learned
    with pytest.raises(ValueError, match="not fitted"):
        MultVAE().sample(3, 2)
    with pytest.raises(ValueError, match="n must be a whole number of 1 or more, got 0"):
        model.sample(0, 2)
    for length in (41, -1, 2.5, np.array([1, 2, 41])):
        with pytest.raises(ValueError, match="length must be"):
            model.sample(3, length)
    with pytest.raises(ValueError, match="not fitted"):
        MultVAE().encode(model.sample(2, 2))
