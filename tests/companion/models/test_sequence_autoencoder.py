"""The sequence autoencoder against loops over events, and what it writes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from behaviorseq import SequenceNetwork, Sequences, SequenceVAE, Vocabulary, evaluate, leave_one_out
from behaviorseq.models import network as network_module
from behaviorseq.models.autoencoder import divergence
from behaviorseq.models.network import NetworkRecommender
from behaviorseq.models.sequence_autoencoder import SequenceAutoencoder, whole_rows
from behaviorseq.training import Batches, SampledSoftmax, Training

SHORT = Training(epochs=3, batch_size=4, learning_rate=0.01)
SMALL = SequenceVAE(width=6, latent=2, length=6, training=SHORT)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def net(**options):
    settings = {"width": 4, "latent": 3, "dropout": 0.0, "word_dropout": 0.0, **options}
    network = SequenceAutoencoder(9, **settings).double()
    torch.nn.init.normal_(network.start)
    return network


def two_cycles(n_users=200):
    """Histories that go round one of two rings of six items, and which ring."""
    rng = np.random.default_rng(0)
    ring, starts = rng.integers(0, 2, n_users), rng.integers(0, 6, n_users)
    lengths = rng.integers(4, 9, n_users)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    place = np.arange(lengths.sum()) - np.repeat(offsets[:-1], lengths)
    items = (np.repeat(starts, lengths) + place) % 6 + 6 * np.repeat(ring, lengths)
    log = Sequences(
        items=items.astype(np.int32),
        offsets=offsets,
        users=np.arange(n_users, dtype=np.int32),
        user_ids=Vocabulary(np.arange(n_users)),
        item_ids=Vocabulary(np.arange(12)),
    )
    return log, ring


@pytest.fixture(scope="module")
def learned():
    log, ring = two_cycles()
    training = Training(epochs=60, batch_size=32, learning_rate=0.01)
    return SequenceVAE(width=16, latent=4, length=10, training=training).fit(log), log, ring


def test_rows_of_a_batch_are_the_histories(make_log):
    log = make_log(longest=9)
    seen = []
    for batch in Batches(log, batch_size=3, length=10).epoch(0):
        items, mask = whole_rows(batch)
        assert items.shape == (len(batch.items), batch.items.shape[1] + 1)
        seen += [tuple(row[there].tolist()) for row, there in zip(items, mask, strict=True)]
    assert sorted(seen) == sorted(tuple(log[i].tolist()) for i in range(12) if len(log[i]) > 1)


def test_reading_and_writing_equal_a_loop_over_events_in_value_and_gradient():
    network = net()
    items = torch.tensor([[1, 5, 2, 8], [3, 7, 0, 0]])
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    mean, log_variance = network.encode(items, mask)
    z = torch.randn(2, 3, dtype=torch.float64)
    hidden = network.decode(z, items[:, :-1])
    assert hidden.shape == (2, 4, 4)
    ours, theirs, codes = [hidden[mask].flatten()], [], []
    for row, length in enumerate([4, 2]):
        own = network.items(items[row, :length])
        _, state = network.reader(own[None])
        both = network.posterior(state[0, 0])
        ours += [mean[row], log_variance[row]]
        x, state = network.start[None], None
        for place in range(length):
            out, state = network.write(z[row : row + 1], x, state)
            theirs.append(out[0])
            x = own[place : place + 1]
        codes.append(both)
    ours, theirs = torch.cat(ours), torch.cat([*theirs, *codes])
    torch.testing.assert_close(ours, theirs)
    direction = torch.randn_like(ours)
    gradients = [
        torch.autograd.grad((value * direction).sum(), list(network.parameters()))
        for value in (ours, theirs)
    ]
    for mine, reference in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, reference)


def test_what_an_event_is_drawn_from_has_not_seen_it():
    network = net()
    items, z = torch.randint(9, (3, 5)), torch.randn(3, 3, dtype=torch.float64)
    before = network.decode(z, items)
    for place in range(5):
        changed = items.clone()
        changed[:, place] = (items[:, place] + 1) % 9
        after = network.decode(z, changed)
        torch.testing.assert_close(after[:, : place + 1], before[:, : place + 1])
        assert (after[:, place + 1 :] != before[:, place + 1 :]).any(dim=2).all()
    assert (network.decode(z + 1, items) != before).any(dim=2).all()  # z enters everywhere


def test_padding_changes_neither_code_nor_states():
    network = net().eval()
    items, mask = torch.randint(9, (4, 6)), torch.arange(6) < torch.tensor([[6], [4], [1], [2]])
    noise = torch.where(mask, items, torch.randint(9, items.shape))
    for ours, theirs in zip(network.encode(items, mask), network.encode(noise, mask), strict=True):
        torch.testing.assert_close(ours, theirs)
    hidden, again = network(items, mask)[0], network(noise, mask)[0]
    torch.testing.assert_close(hidden[mask], again[mask])


def test_the_loss_is_that_of_its_parts(make_log, monkeypatch):
    """With one step and no noise, the loss of the epoch is the bound at the first weights."""
    monkeypatch.setattr(torch, "randn_like", torch.ones_like)
    log = make_log(2, longest=6)
    model = SequenceVAE(width=6, latent=2, dropout=0, word_dropout=0, beta=0.7, anneal=0)
    model.training = Training(epochs=1, batch_size=1000, learning_rate=1e-12)
    network = model.fit(log).network.double().eval()
    total, n = 0.0, 0
    for i in range(len(log)):
        if len(log[i]) < 2:
            continue
        row = torch.from_numpy(log[i].astype(np.int64))[None]
        mean, log_variance = network.encode(row, torch.ones_like(row, dtype=torch.bool))
        hidden = network.decode(mean + (0.5 * log_variance).exp(), row[:, :-1])[0]
        chances = (hidden @ network.items.weight.T).softmax(dim=1)
        total -= sum(chances[t, item].log().item() for t, item in enumerate(row[0]))
        total += 0.7 * divergence(mean, log_variance).item()
        n += row.shape[1]
    assert model.history["loss"][0] == pytest.approx(total / n, rel=1e-5)


def test_the_bound_equals_a_loop_over_events(make_log, monkeypatch):
    monkeypatch.setattr(torch, "randn", lambda *shape, **_: torch.ones(*shape))
    log = make_log(2, longest=9)
    model = SMALL.fit(log)
    found, network = model.bound(log), model.network.double().eval()
    for i in range(len(log)):
        row = torch.from_numpy(log[i][-6:].astype(np.int64))[None]
        if not row.numel():
            assert found[i] == 0
            continue
        mean, log_variance = network.encode(row, torch.ones_like(row, dtype=torch.bool))
        hidden = network.decode(mean + (0.5 * log_variance).exp(), row[:, :-1])[0]
        chances = (hidden @ network.items.weight.T).softmax(dim=1)
        cost = -sum(chances[t, item].log().item() for t, item in enumerate(row[0]))
        assert found[i] == pytest.approx(cost + divergence(mean, log_variance).item(), rel=1e-4)


def test_the_bound_lies_above_what_many_draws_find(learned):
    """Importance weights (Burda et al., 2016) bring the bound close to the true cost."""
    model, log, _ = learned
    bounds = np.stack([model.bound(log, seed=seed) for seed in range(20)]).mean(axis=0)
    network, generator = model.network.double().eval(), torch.Generator().manual_seed(1)
    for i in range(5):
        row = torch.from_numpy(log[i].astype(np.int64))[None].expand(2000, -1)
        mean, log_variance = network.encode(row, torch.ones_like(row, dtype=torch.bool))
        noise = torch.randn(mean.shape, generator=generator, dtype=torch.float64)
        z = mean + noise * (0.5 * log_variance).exp()
        hidden = network.decode(z, row[:, :-1])
        chances = (hidden @ network.items.weight.T).log_softmax(dim=2)
        weight = chances.gather(2, row[:, :, None])[:, :, 0].sum(dim=1)
        weight = weight - 0.5 * z.square().sum(dim=1)
        weight = weight + (0.5 * noise.square() + 0.5 * log_variance).sum(dim=1)
        true_cost = -(weight.logsumexp(dim=0) - np.log(2000)).item()
        assert true_cost < bounds[i] + 0.05
    model.network.float()


def test_events_are_hidden_from_the_writer_in_training_only():
    network = net(word_dropout=1.0)
    items, z = torch.randint(9, (3, 5)), torch.randn(3, 3, dtype=torch.float64)
    blind = network.decode(z, items)
    torch.testing.assert_close(network.decode(z, (items + 1) % 9), blind)
    network.eval()
    assert not torch.allclose(network.decode(z, (items + 1) % 9), network.decode(z, items))


def test_learns_what_follows_what():
    log, _ = two_cycles()
    split = leave_one_out(log)
    training = Training(epochs=60, batch_size=32, learning_rate=0.01)
    model = SequenceVAE(width=16, latent=4, length=10, training=training).fit(split.train)
    result = evaluate(model, split.test, ["HR@1"], exclude_seen=False)
    assert result.mean("HR@1") > 0.97


def test_the_vector_tells_the_planted_rings(learned):
    model, log, ring = learned
    codes = model.encode(log)
    centres = np.stack([codes[ring == c].mean(axis=0) for c in range(2)])
    nearest = ((codes[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == ring).mean() > 0.98
    assert model.divergence(log).mean() > np.log(2)  # the ring alone is that much
    assert (model.divergence(log) >= 0).all()


def test_written_histories_go_round_the_rings(learned):
    model, log, _ = learned
    lengths = np.random.default_rng(0).permutation(log.lengths)
    written = model.sample(200, lengths, seed=1)
    assert written.lengths.tolist() == lengths.tolist()
    rows = written.row_of_event
    same = rows[1:] == rows[:-1]
    before, after = written.items[:-1][same], written.items[1:][same]
    follows = (before // 6 == after // 6) & ((before % 6 + 1) % 6 == after % 6)
    assert follows.mean() > 0.9  # by chance 1 / 12
    assert 0.25 < (written.items < 6).mean() < 0.75  # both rings
    np.testing.assert_array_equal(model.sample(200, lengths, seed=1).items, written.items)
    assert not np.array_equal(model.sample(200, lengths, seed=2).items, written.items)


def test_without_repetition_no_item_comes_back(learned):
    model, _, _ = learned
    written = model.sample(30, 12, repeat=False)
    assert all(len(set(written[i].tolist())) == 12 for i in range(30))
    again = model.sample(30, 12)
    assert any(len(set(again[i].tolist())) < 12 for i in range(30))
    with pytest.raises(ValueError, match="length must be at most 12, all items, got 13"):
        model.sample(2, 13, repeat=False)
    assert model.sample(2, np.array([0, 13])).lengths.tolist() == [0, 13]
    for length in (-1, 2.5, np.array([1, 2, 3])):
        with pytest.raises(ValueError, match="length must be a whole number of 0 or more"):
            model.sample(2, length)
    with pytest.raises(ValueError, match="n must be"):
        model.sample(0, 2)


def test_a_large_weight_collapses_the_posterior():
    log, _ = two_cycles()
    training = Training(epochs=15, batch_size=32, learning_rate=0.01)
    said = [
        SequenceVAE(width=16, latent=4, length=10, beta=beta, training=training)
        .fit(log)
        .divergence(log)
        .mean()
        for beta in (0.0, 0.2, 20.0)
    ]
    assert said[0] > said[1] > said[2]
    assert said[2] < 0.1


def test_the_contract(make_log, monkeypatch):
    log = make_log(1, n_users=30, longest=12)
    whole = SMALL.fit(log).score(log)
    assert whole.dtype == np.float32
    assert np.isfinite(whole).all()
    alone = np.concatenate([SMALL.score(log.slice(i, i + 1)) for i in range(len(log))])
    np.testing.assert_allclose(alone, whole, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(SMALL.score(replace(log, users=log.users[::-1].copy())), whole)
    np.testing.assert_allclose(SMALL.score(log.last(6)), whole, rtol=1e-4, atol=1e-5)
    empty = log.lengths == 0
    counts = np.bincount(log.items, minlength=log.n_items)
    assert (whole[empty] == counts).all()
    assert SMALL.score(log.slice(0, 0)).shape == (0, log.n_items)
    assert not SMALL.encode(log)[empty].any()
    assert not SMALL.divergence(log)[empty].any()
    monkeypatch.setattr(network_module, "ROWS", 3)
    np.testing.assert_allclose(SMALL.score(log), whole, rtol=1e-4, atol=1e-5)


def test_fitting_follows_the_seed_resumes_and_is_saved(make_log, tmp_path):
    log = make_log(6)
    model = replace(SMALL, loss=SampledSoftmax(3))
    first = model.fit(log).score(log)
    np.testing.assert_array_equal(model.fit(log).score(log), first)
    assert not np.allclose(
        replace(model, training=replace(SHORT, seed=1)).fit(log).score(log), first
    )
    calls = []

    def killed(model):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return 0.0

    with pytest.raises(KeyboardInterrupt):
        model.fit(log, validate=killed, checkpoint=tmp_path / "run")
    values = iter([1.0, 2.0])
    model.fit(log, validate=lambda model: next(values), checkpoint=tmp_path / "run")
    np.testing.assert_array_equal(model.score(log), first)
    model.save(tmp_path / "model")
    loaded = NetworkRecommender.load(tmp_path / "model")
    assert repr(loaded) == repr(model)
    np.testing.assert_array_equal(loaded.score(log), first)
    with pytest.raises(ValueError, match="holds a SequenceVAE"):
        SequenceNetwork.load(tmp_path / "model")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width must be"),
        ({"latent": 0}, "latent must be"),
        ({"length": 1}, "length must be a whole number of 2 or more"),
        ({"dropout": 1.0}, "dropout must be"),
        ({"word_dropout": 1.1}, "word_dropout must be"),
        ({"beta": -0.1}, "beta must be"),
        ({"anneal": 2}, "anneal must be"),
    ],
)
def test_refuses_hyper_parameters_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        SequenceVAE(**options)
    with pytest.raises(ValueError, match="not fitted"):
        SequenceVAE().sample(2, 2)
