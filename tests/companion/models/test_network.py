"""What every network recommender keeps: the contract, causality, padding, saving, learning."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from behaviorseq import (
    SRGNN,
    BERT4Rec,
    Caser,
    ESASRec,
    GCNRec,
    GRU4Rec,
    LightGCN,
    LSTMRec,
    MultVAE,
    NextItNet,
    Popularity,
    SASRec,
    SequenceNetwork,
    Sequences,
    SequenceVAE,
    Vocabulary,
    evaluate,
    leave_one_out,
)
from behaviorseq.models import network as network_module
from behaviorseq.models.network import SETTINGS, WEIGHTS, Dropout
from behaviorseq.models.recommender import Recommender
from behaviorseq.training import (
    GBCE,
    Batches,
    BinaryCrossEntropy,
    BPRLoss,
    FullSoftmax,
    SampledSoftmax,
    Training,
    padded,
)
from behaviorseq.training.fit import item_vectors

SHORT = Training(epochs=2, batch_size=4, learning_rate=0.01)
CAUSAL = [
    SASRec(width=8, length=6, training=SHORT),
    SASRec(width=8, length=6, layers=1, heads=1, inner=12, loss=GBCE(3), training=SHORT),
    GRU4Rec(width=8, length=6, loss=FullSoftmax(), training=SHORT),
    GRU4Rec(width=8, length=6, cell="rnn", loss=BinaryCrossEntropy(), training=SHORT),
    LSTMRec(width=8, length=6, layers=2, inner=5, training=SHORT),
    ESASRec(width=8, length=6, layers=1, training=SHORT),
    NextItNet(width=8, length=6, layers=2, kernel=2, training=SHORT),
    Caser(width=8, length=6, window=6, horizontal=3, vertical=2, training=SHORT),
    GCNRec(width=8, length=6, neighbors=2, training=SHORT),
    GCNRec(width=8, length=6, layers=1, reader="gru", loss=FullSoftmax(), training=SHORT),
]
WHOLE = [  # the state after a history may depend on all of it, in training too
    BERT4Rec(width=8, length=6, layers=1, training=SHORT),
    SRGNN(width=8, length=6, steps=2, loss=FullSoftmax(), training=SHORT),
]
MODELS = CAUSAL + WHOLE
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda m: f"{type(m).__name__}")
causal_model = pytest.mark.parametrize("model", CAUSAL, ids=lambda m: f"{type(m).__name__}")


def batch_of(histories, rows=slice(None)):
    items, mask = padded(histories.items, histories.offsets[:-1][rows], histories.lengths[rows])
    return torch.from_numpy(items), torch.from_numpy(mask)


@every_model
def test_scores_are_finite_float32_for_every_item(model, make_log):
    log = make_log()
    scores = model.fit(log).score(log)
    assert scores.dtype == np.float32
    assert scores.shape == (len(log), log.n_items)
    assert np.isfinite(scores).all()
    first = scores.copy()
    scores[:] = -1  # evaluate masks in place: a model must not hand out its own memory
    np.testing.assert_array_equal(model.score(log), first)


@every_model
def test_a_row_is_scored_alike_in_any_chunk_order_and_for_any_user(model, make_log, monkeypatch):
    log = make_log(1, n_users=30)
    whole = model.fit(log).score(log)
    alone = np.concatenate([model.score(log.slice(i, i + 1)) for i in range(len(log))])
    np.testing.assert_allclose(alone, whole, rtol=1e-4, atol=1e-5)
    order = np.random.default_rng(0).permutation(len(log))
    np.testing.assert_allclose(model.score(log.take(order)), whole[order], rtol=1e-4, atol=1e-5)
    other_users = replace(log, users=log.users[::-1].copy())
    np.testing.assert_array_equal(model.score(other_users), whole)
    monkeypatch.setattr(network_module, "ROWS", 3)
    np.testing.assert_allclose(model.score(log), whole, rtol=1e-4, atol=1e-5)


@every_model
def test_only_the_last_events_of_a_history_count(model, make_log):
    log = make_log(2, longest=20)
    scores = model.fit(log).score(log)
    assert log.lengths.max() > model.length
    np.testing.assert_allclose(model.score(log.last(model.length)), scores, rtol=1e-4, atol=1e-5)
    assert not np.allclose(model.score(log.last(1)), scores)


@every_model
def test_an_empty_history_gets_popularity(model, make_log):
    log = make_log(3)
    popularity = Popularity().fit(log).score(log)
    empty = log.lengths == 0
    assert empty.any()
    np.testing.assert_array_equal(model.fit(log).score(log)[empty], popularity[empty])
    assert model.score(log.slice(0, 0)).shape == (0, log.n_items)
    assert not model.encode(log)[empty].any()


@every_model
def test_scores_are_products_of_states_and_item_vectors(model, make_log):
    log = make_log(4)
    scores, states = model.fit(log).score(log), model.encode(log)
    assert states.shape == (len(log), model.width)
    vectors = item_vectors(model.network).detach().numpy()
    there = log.lengths > 0
    np.testing.assert_allclose(scores[there], (states @ vectors.T)[there], rtol=1e-4, atol=1e-5)


@causal_model
def test_a_change_of_a_later_item_changes_no_earlier_state(model):
    torch.manual_seed(0)
    net = model.encoder(20).eval()
    items, mask = torch.randint(20, (3, 6)), torch.ones(3, 6, dtype=torch.bool)
    before = net(items, mask)
    for place in range(6):
        changed = items.clone()
        changed[:, place] = (items[:, place] + 1) % 20
        after = net(changed, mask)
        torch.testing.assert_close(after[:, :place], before[:, :place], rtol=0, atol=1e-6)
        assert (after[:, place:] != before[:, place:]).any(dim=2).all()


@causal_model
def test_no_earlier_state_has_a_gradient_to_a_later_item(model):
    net = model.encoder(20).eval()
    hidden = net(torch.arange(6)[None], torch.ones(1, 6, dtype=torch.bool))
    direction = torch.randn(model.width)  # a plain sum is constant after a LayerNorm
    for place in range(6):
        net.zero_grad()
        (hidden[0, place] @ direction).backward(retain_graph=True)
        reached = net.items.weight.grad.abs().sum(dim=1) > 0
        assert reached.tolist() == [True] * (place + 1) + [False] * (19 - place)


@every_model
def test_padding_changes_nothing(model, make_log):
    log = make_log(5, longest=6)
    torch.manual_seed(0)
    net = model.encoder(log.n_items).eval()
    items, mask = batch_of(log, log.lengths > 0)
    together = net(items, mask)
    noise = torch.where(mask, items, torch.randint(log.n_items, items.shape))
    torch.testing.assert_close(net(noise, mask)[mask], together[mask], rtol=0, atol=1e-6)
    for row, length in enumerate(mask.sum(dim=1).tolist()):
        alone = net(items[row : row + 1, :length], mask[row : row + 1, :length])[0]
        torch.testing.assert_close(alone, together[row, :length], rtol=1e-5, atol=1e-6)


def test_padding_has_no_gradient(make_log):
    log = make_log(5, longest=6)
    for model in MODELS:
        net = model.encoder(log.n_items).eval()
        items, mask = batch_of(log, log.lengths > 0)
        unused = log.n_items - 1  # no event has it
        net(items.masked_fill(~mask, unused), mask)[mask].square().sum().backward()
        assert not net.items.weight.grad[unused].any()
        assert net.items.weight.grad.any()


@every_model
def test_fitting_follows_the_seed(model, make_log):
    log = make_log(6)
    first, again = (model.fit(log).score(log) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    other = replace(model, training=replace(SHORT, seed=1)).fit(log).score(log)
    assert not np.allclose(first, other)


def test_users_may_be_renamed_and_their_order_plays_no_part_but_chance():
    log, split = cycles()
    shuffled = split.train.take(np.random.default_rng(0).permutation(len(log)))
    model = SASRec(width=16, length=8, loss=FullSoftmax(), training=LEARN).fit(shuffled)
    assert evaluate(model, split.test, ["HR@1"], exclude_seen=False).mean("HR@1") > 0.99
    renamed = replace(log, user_ids=Vocabulary(log.user_ids.ids + 1000))
    once, twice = (GRU4Rec(width=8, training=SHORT).fit(x).score(log) for x in (log, renamed))
    np.testing.assert_array_equal(once, twice)


@pytest.mark.parametrize("model", WHOLE, ids=lambda m: f"{type(m).__name__}")
def test_what_is_asked_for_in_training_is_nowhere_in_its_row(model, make_log):
    log = make_log(10)
    tagged = replace(  # each event an item of its own, so that items tell events apart
        log,
        items=np.arange(log.n_events, dtype=np.int32),
        item_ids=Vocabulary(np.arange(log.n_events)),
    )
    batches = Batches(tagged, batch_size=4, length=model.length, task=model.task())
    net = model.encoder(log.n_events).eval()
    for batch in batches.epoch(0):
        rows = batch.asked.nonzero()[:, 0]
        for row, target in zip(rows, batch.targets, strict=True):
            assert target not in batch.items[row][batch.mask[row]]
            if isinstance(model, SRGNN):  # nor does anything stand there that came after it
                assert batch.items[row][batch.mask[row]].max() == target - 1
        hidden = net(batch.items, batch.mask)[batch.asked]
        hidden.square().sum().backward()
        shown = batch.items[batch.mask & (batch.items >= 0)].unique()
        reached = net.items.weight.grad.abs().sum(dim=1).nonzero()[:, 0]
        assert set(reached.tolist()) <= set(shown.tolist())
        net.zero_grad()


LEARN = Training(epochs=40, batch_size=16, learning_rate=0.01)


def cycles(n_users=150, n_items=12):
    """Histories that go round: after item i comes i + 1, after the last the first."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(4, 9, n_users)
    starts = np.repeat(rng.integers(0, n_items, n_users), lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    place = np.arange(lengths.sum()) - np.repeat(offsets[:-1], lengths)
    log = Sequences(
        items=((starts + place) % n_items).astype(np.int32),
        offsets=offsets,
        users=np.arange(n_users, dtype=np.int32),
        user_ids=Vocabulary(np.arange(n_users)),
        item_ids=Vocabulary(np.array([f"item {i:02}" for i in range(n_items)])),
    )
    return log, leave_one_out(log)


@pytest.mark.parametrize(
    "model",
    [
        SASRec(width=16, length=8, loss=SampledSoftmax(negatives=8), training=LEARN),
        SASRec(width=16, length=8, loss=GBCE(negatives=6), training=LEARN),
        GRU4Rec(width=16, length=8, loss=FullSoftmax(), training=LEARN),
        NextItNet(width=16, length=8, loss=FullSoftmax(), training=LEARN),
        GRU4Rec(width=16, length=8, cell="rnn", loss=BinaryCrossEntropy(), training=LEARN),
        LSTMRec(width=16, length=8, loss=SampledSoftmax(negatives=8, power=1), training=LEARN),
        ESASRec(width=16, length=8, loss=SampledSoftmax(negatives=8), training=LEARN),
        Caser(width=16, length=8, loss=FullSoftmax(), training=LEARN),
        # No longer than the shortest histories: all events see each other, and an event at a
        # place that training never had would disturb them.
        BERT4Rec(width=16, length=4, loss=FullSoftmax(), training=LEARN),
        BERT4Rec(width=16, length=4, loss=SampledSoftmax(negatives=8), training=LEARN),
        SRGNN(width=16, length=8, loss=FullSoftmax(), training=LEARN),
        GRU4Rec(width=16, length=8, loss=BPRLoss(), training=LEARN),
        GCNRec(width=16, length=8, decay=0.5, loss=FullSoftmax(), training=LEARN),
        GCNRec(width=16, length=8, reader="gru", loss=SampledSoftmax(8), training=LEARN),
    ],
    ids=lambda m: f"{type(m).__name__}-{type(m.loss).__name__}",
)
def test_learns_what_follows_what(model):
    _, split = cycles()
    result = evaluate(model.fit(split.train), split.test, ["HR@1"], exclude_seen=False)
    assert result.mean("HR@1") > 0.99


def test_validation_sees_the_model_and_the_best_epoch_is_kept(make_log):
    log, seen = make_log(7), []

    def validate(model):
        seen.append(model.score(log))
        return [1.0, 3.0, 2.0, 2.5][len(seen) - 1]

    training = replace(SHORT, epochs=4)
    model = SASRec(width=8, training=training).fit(log, validate=validate)
    np.testing.assert_array_equal(model.score(log), seen[1])
    assert model.history["validation"].tolist() == [1.0, 3.0, 2.0, 2.5]
    assert not hasattr(model, "_extras")


def test_a_stopped_fit_goes_on_from_its_checkpoint(make_log, tmp_path):
    log = make_log(8)
    whole = SASRec(width=8, training=replace(SHORT, epochs=5)).fit(log).score(log)

    def killed(model):
        raise KeyboardInterrupt

    model = SASRec(width=8, training=replace(SHORT, epochs=5))
    calls = []

    def stop_at_third(epochs, description):
        for epoch in epochs:
            calls.append(epoch)
            if epoch == 3:
                raise KeyboardInterrupt
            yield epoch

    with pytest.raises(KeyboardInterrupt):
        model.fit(log, checkpoint=tmp_path, progress=stop_at_third)
    resumed = model.fit(log, checkpoint=tmp_path).score(log)
    assert calls == [0, 1, 2, 3]
    np.testing.assert_array_equal(resumed, whole)
    assert model.history["epoch"].tolist() == [1, 2, 3, 4, 5]


@every_model
def test_a_fit_may_start_from_given_item_vectors(model, make_log):
    log = make_log(3)
    start = np.random.default_rng(0).normal(size=(log.n_items, 8))
    training = replace(SHORT, epochs=1, learning_rate=1e-9)  # it stays where it starts
    model = replace(model, training=training).fit(log, start=start)
    found = model.network.get_parameter("items.weight").detach().numpy()
    cosines = (found * start).sum(axis=1) / (
        np.linalg.norm(found, axis=1) * np.linalg.norm(start, axis=1)
    )
    np.testing.assert_allclose(cosines, 1, atol=1e-5)
    assert abs(model.fit(log).network.get_parameter("items.weight").numpy(force=True) - found).max()


def test_a_start_belongs_to_the_run_of_a_checkpoint(make_log, tmp_path):
    log = make_log(3)
    start = np.random.default_rng(0).normal(size=(log.n_items, 8))
    model = SASRec(width=8, training=SHORT)
    scores = model.fit(log, start=start, checkpoint=tmp_path).score(log)
    np.testing.assert_array_equal(
        model.fit(log, start=start, checkpoint=tmp_path).score(log), scores
    )
    for other in (None, -start):
        with pytest.raises(ValueError, match="holds a run with start"):
            model.fit(log, start=other, checkpoint=tmp_path)
    with pytest.raises(ValueError, match="the shape of start"):
        model.fit(log, start=start[1:])
    assert model.item_ids is None


@every_model
def test_a_saved_model_scores_the_same(model, make_log, tmp_path):
    log = make_log(9)
    expected = model.fit(log).score(log)
    model.save(tmp_path / "model")
    for kind in (type(model), SequenceNetwork):
        loaded = kind.load(tmp_path / "model")
        assert repr(loaded) == repr(model)
        np.testing.assert_array_equal(loaded.item_ids.ids, log.item_ids.ids)
        np.testing.assert_array_equal(loaded.score(log), expected)  # empty histories too
    assert {p.name for p in (tmp_path / "model").iterdir()} == {WEIGHTS, SETTINGS}
    json.loads((tmp_path / "model" / SETTINGS).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "ids", [["b", "ü"], np.array(["b", "ü"], dtype=object), [1.5, 2.5], [3, 7]]
)
def test_item_ids_come_back_as_they_were(ids, tmp_path):
    log = Sequences(
        items=np.array([0, 1, 1, 0], dtype=np.int32),
        offsets=np.array([0, 2, 4]),
        users=np.arange(2, dtype=np.int32),
        user_ids=Vocabulary(np.arange(2)),
        item_ids=Vocabulary(np.array(ids)),
    )
    model = GRU4Rec(width=4, training=SHORT).fit(log)
    model.save(tmp_path)
    assert GRU4Rec.load(tmp_path).item_ids.ids.tolist() == list(ids)
    assert GRU4Rec.load(tmp_path).item_ids.ids.dtype == log.item_ids.ids.dtype


def test_refuses_to_save_and_load_what_it_cannot(make_log, tmp_path):
    with pytest.raises(ValueError, match="not fitted"):
        SASRec().save(tmp_path)
    with pytest.raises(ValueError, match="not fitted"):
        SASRec().encode(make_log())
    MODELS[0].fit(make_log()).save(tmp_path)
    with pytest.raises(ValueError, match="holds a SASRec: use SASRec"):
        GRU4Rec.load(tmp_path)
    log = make_log()
    dates = Vocabulary(np.arange(log.n_items).astype("datetime64[D]"))
    with pytest.raises(ValueError, match="must be numbers or text"):
        MODELS[0].fit(replace(log, item_ids=dates)).save(tmp_path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SASRec(width=0), "width must be"),
        (lambda: SASRec(length=0), "length must be"),
        (lambda: SASRec(dropout=1.0), "dropout must be"),
        (lambda: SASRec(layers=0), "layers must be"),
        (lambda: SASRec(width=10, heads=4), "heads must be a divisor of the width, 10"),
        (lambda: GRU4Rec(cell="cnn"), "cell must be one of"),
        (lambda: GRU4Rec(layers=-1), "layers must be"),
        (lambda: NextItNet(layers=0), "layers must be"),
        (lambda: NextItNet(kernel=0), "kernel must be"),
        (lambda: GRU4Rec(inner=0), "inner must be"),
        (lambda: SASRec(inner=0), "inner must be"),
        (lambda: SASRec(block="big"), "block must be one of"),
        (lambda: Caser(window=0), "window must be a whole number"),
        (lambda: Caser(window=9, length=8), "window must be at most the length, 8"),
        (lambda: BERT4Rec(share=1.5), "share must be a number from 0 to 1"),
        (lambda: SRGNN(steps=0), "steps must be"),
        (lambda: GCNRec(layers=-1), "layers must be a whole number of 0 or more"),
        (lambda: GCNRec(steps=0), "steps must be"),
        (lambda: GCNRec(neighbors=0), "neighbors must be"),
        (lambda: GCNRec(reader="max"), "reader must be one of"),
        (lambda: GCNRec(decay=0), "decay must be above 0"),
    ],
)
def test_refuses_hyper_parameters_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.75])
def test_dropout_drops_its_share_and_keeps_the_mean(p):
    torch.manual_seed(0)
    drop, x = Dropout(p), torch.ones(999, 1001, requires_grad=True)
    out = drop(x)
    assert (out == 0).float().mean().item() == pytest.approx(p, abs=0.002)
    np.testing.assert_allclose(out.detach().unique(), [0, 1 / (1 - p)][p == 0 :], rtol=1e-4)
    out.sum().backward()
    assert torch.equal(x.grad, out)
    columns = (out == 0).float().mean(dim=0)  # four chances share a draw, and are independent
    assert (columns - p).abs().max() < 0.1
    neighbours = torch.corrcoef((out[:, :4] == 0).float().T + 1e-9 * torch.rand(4, 999))
    if p:
        assert (neighbours - torch.eye(4)).abs().max() < 0.15
    drop.eval()
    assert drop(x) is x


def test_a_fit_that_fails_leaves_the_model_unfitted(make_log):
    log = make_log()

    def fails(model):
        raise KeyboardInterrupt

    for model in (GRU4Rec(width=8, training=SHORT), GRU4Rec(width=8, training=SHORT).fit(log)):
        with pytest.raises(KeyboardInterrupt):
            model.fit(log, validate=fails)
        with pytest.raises(ValueError, match="not fitted"):
            model.score(log)


@pytest.mark.parametrize("change", [{"dropout": 0.5}, {"steps": 2}])
def test_a_checkpoint_of_other_settings_is_refused(change, make_log, tmp_path):
    model = GCNRec(width=8, training=SHORT)
    model.fit(make_log(), checkpoint=tmp_path)
    with pytest.raises(ValueError, match="holds a run with model GCNRec"):
        replace(model, **change).fit(make_log(), checkpoint=tmp_path)


@pytest.mark.parametrize(
    "model",
    [
        *(m for m in MODELS if not isinstance(m, LSTMRec)),  # a CPU has no LSTM of that kind
        LightGCN(width=8, training=SHORT),
        MultVAE(inner=8, latent=4, training=SHORT),
        SequenceVAE(width=8, latent=4, training=SHORT),
    ],
    ids=lambda m: type(m).__name__,
)
def test_training_in_bfloat16_is_nearly_the_same(model, make_log, monkeypatch):
    log = make_log(10, n_users=30)
    plain = model.fit(log).history["loss"]
    autocast = torch.autocast
    monkeypatch.setattr(torch, "autocast", lambda *a, **k: autocast("cpu", dtype=torch.bfloat16))
    halved = model.fit(log).history["loss"]
    assert not np.array_equal(halved, plain)
    np.testing.assert_allclose(halved, plain, rtol=0.02)


def test_histories_without_a_next_item_are_refused(make_log):
    log = make_log().last(1)
    with pytest.raises(ValueError, match="no history has two events"):
        SASRec().fit(log)
    assert issubclass(SASRec, Recommender)


def test_the_package_loads_torch_only_for_networks():
    code = (
        "import sys, behaviorseq, behaviorseq.models, behaviorseq.training; behaviorseq.ItemKNN;"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
