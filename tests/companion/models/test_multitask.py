"""Several tasks over one reader: what is read, what is learned, what is refused."""

import dataclasses

import numpy as np
import pytest
import torch

from behaviorseq import ESMM, Examples, Head, MultiTask, Training, of_size
from behaviorseq.training import ExampleBatches

HEADS = (Head("last", "class", 5), Head("big"), Head("both", "labels", 2))
FAST = Training(epochs=12, batch_size=16, learning_rate=0.01)


def make(n=300, seed=0, known=1.0):
    """Make histories whose last event and two numbers of a question are asked for."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 7, n)
    lengths[0] = 0
    starts = np.cumsum(lengths) - lengths
    codes = rng.integers(0, 5, (lengths.sum(), 1))
    asked = rng.normal(size=(n, 2)).astype(np.float32)
    last = codes[np.maximum(starts + lengths - 1, 0), 0].astype(np.float32)
    labels = {
        "last": last,
        "big": np.where(rng.random(n) < known, asked[:, 0] > 0, np.nan).astype(np.float32),
        "both": (asked > 0).astype(np.float32),
    }
    return Examples(
        sizes=(5,),
        codes=codes,
        numbers=np.zeros((len(codes), 0), np.float32),
        starts=starts,
        lengths=lengths,
        row=np.arange(n),
        asked_codes=np.zeros((n, 0), dtype=np.int64),
        asked_numbers=asked,
        labels=labels,
        users=np.arange(n),
    )


def model(**options):
    return MultiTask(**{"heads": HEADS, "width": 12, "inner": 24, "training": FAST, **options})


@pytest.mark.parametrize("sharing", ["shared", "mmoe", "ple"])
def test_all_tasks_are_learned(sharing):
    fitted = model(sharing=sharing, inner=48).fit(make())
    test = make(seed=1)
    chances = fitted.predict(test)
    assert (chances["last"].argmax(axis=1) == test.labels["last"])[1:].mean() > 0.95
    assert ((chances["big"] > 0.5) == test.labels["big"]).mean() > 0.9
    assert ((chances["both"] > 0.5) == test.labels["both"]).mean() > 0.9
    np.testing.assert_allclose(chances["last"].sum(axis=1), 1, atol=1e-5)
    assert fitted.relative_loss(test) < 0.5


def test_few_known_answers_are_enough_to_tell_a_task_from_noise():
    fitted = model().fit(make(known=0.3))
    test = make(seed=1)
    assert ((fitted.predict(test)["big"] > 0.5) == test.labels["big"]).mean() > 0.8


def test_the_loss_is_the_mean_over_known_answers_by_their_weights():
    examples = make(60, known=0.5)
    weights = {"big": np.random.default_rng(0).random(60).astype(np.float32)}
    examples = dataclasses.replace(examples, weights=weights)
    fitted = model(dropout=0.0, training=dataclasses.replace(FAST, epochs=1)).fit(examples)
    p = fitted.predict(examples)
    y = examples.labels["big"]
    loss = -(y * np.log(p["big"]) + (1 - y) * np.log(1 - p["big"]))
    big = np.nansum(weights["big"] * loss) / weights["big"][~np.isnan(y)].sum()
    last = -np.log(p["last"][np.arange(60), examples.labels["last"].astype(int)]).mean()
    found = fitted.losses_on(examples)
    np.testing.assert_allclose(found[:2], [last, big], rtol=1e-4)
    asked, batch = ExampleBatches(examples, batch_size=60).of(np.arange(60))
    torch.testing.assert_close(fitted.losses(batch).detach(), found, rtol=1e-4, atol=1e-5)
    assert sorted(asked.tolist()) == list(range(60))


def test_base_losses_are_entropies():
    examples = make(known=0.5)
    found = model().base_losses(examples)
    share = np.bincount(examples.labels["last"].astype(int)) / len(examples)
    rate = np.nanmean(examples.labels["big"])
    entropy = -rate * np.log(rate) - (1 - rate) * np.log(1 - rate)
    np.testing.assert_allclose(found[:2], [-(share * np.log(share)).sum(), entropy], rtol=1e-5)


def test_the_base_loss_of_labels_known_in_part_is_the_loss_of_their_rates():
    examples = make(60)
    labels = np.random.default_rng(0).integers(0, 2, (60, 2)).astype(np.float32)
    labels[::2, 0] = labels[1::2, 1] = np.nan  # no row has both
    labels[:6] = np.nan
    examples = dataclasses.replace(examples, labels={"two": labels})
    fitted = model(heads=(Head("two", "labels", 2),), weighting="scaled").fit(examples)
    odds = torch.logit(torch.from_numpy(np.nanmean(labels, axis=0))).expand(60, 2)
    loss = fitted._losses([odds], {"two": torch.from_numpy(labels)}, {})
    torch.testing.assert_close(fitted.base_losses(examples), loss)


def test_the_reader_equals_a_gru_read_event_by_event():
    examples = make(20)
    fitted = model(training=dataclasses.replace(FAST, epochs=1)).fit(examples)
    reader = fitted.network.reader.double()
    gru = reader.recurrent
    batches = ExampleBatches(examples, batch_size=20)
    asked, batch = batches.of(np.arange(20))
    batch = dataclasses.replace(batch, asked_numbers=batch.asked_numbers.double())
    states = reader(batch)
    for place, question in enumerate(asked):
        history = examples.row[question]
        h = torch.zeros(12, dtype=torch.float64)
        stop = examples.starts[history] + examples.lengths[history]
        for code in examples.codes[examples.starts[history] : stop, 0]:
            x = reader.tables[0].weight[code]
            inside = gru.weight_ih_l0 @ x + gru.bias_ih_l0
            again = gru.weight_hh_l0 @ h + gru.bias_hh_l0
            reset, keep = (inside[:24] + again[:24]).sigmoid().chunk(2)
            h = (1 - keep) * (inside[24:] + reset * again[24:]).tanh() + keep * h
        torch.testing.assert_close(states[batch.row[place]], h)


def test_the_other_examples_of_a_batch_do_not_matter():
    examples = make(50)
    fitted = model(training=dataclasses.replace(FAST, epochs=1)).fit(examples)
    together = fitted.predict(examples)
    for row in (0, 7, int(examples.lengths.argmax())):
        alone = fitted.predict(examples.of(np.array([row])))
        for name, values in alone.items():
            np.testing.assert_allclose(values[0], together[name][row], atol=1e-5)


def test_a_fit_can_be_repeated_and_the_best_epoch_is_kept():
    examples = make(80)
    few = dataclasses.replace(FAST, epochs=3, patience=2)
    one, two = (model(training=few).fit(examples).predict(examples) for _ in "ab")
    assert all((one[name] == two[name]).all() for name in one)
    values = iter([0.9, 0.3, 0.2])
    kept = model(training=few).fit(examples, validate=lambda _: next(values))
    first = model(training=dataclasses.replace(few, epochs=1)).fit(examples)
    assert (kept.predict(examples)["big"] == first.predict(examples)["big"]).all()


def test_weightings_change_what_is_learned():
    examples = make(80)
    few = dataclasses.replace(FAST, epochs=2)
    found = [
        model(weighting=w, training=few).fit(examples) for w in ("equal", "scaled", "uncertainty")
    ]
    chances = [m.predict(examples)["big"] for m in found]
    assert not np.allclose(chances[0], chances[1])
    assert not np.allclose(chances[0], chances[2])
    moved = found[2].weights.weights().detach()
    assert (moved != 1).all()


def test_models_are_brought_to_one_size():
    examples = make()
    models = [model(sharing=kind) for kind in ("shared", "mmoe", "ple")]
    models += [model(heads=(head,)) for head in HEADS]
    for sized in (of_size(m, examples, 4000) for m in models):
        n = sum(p.numel() for p in sized.new_network(examples).parameters())
        assert abs(n - 4000) <= 200
    with pytest.raises(ValueError, match="n_parameters must be"):
        of_size(models[0], examples, 10)


def test_esmm_learns_a_rate_that_is_seen_after_clicks_alone():
    """Clicks and conversions hang on one number: few who click, more who buy, as it rises."""
    rng = np.random.default_rng(0)
    examples = make(6000)
    x = examples.asked_numbers[:, 0]
    click = rng.random(6000) < 1 / (1 + np.exp(1 - x))
    rate = 1 / (1 + np.exp(1 - 1.5 * x))
    labels = {"click": click, "purchase": click & (rng.random(6000) < rate)}
    labels = {name: values.astype(np.float32) for name, values in labels.items()}
    seen = dataclasses.replace(examples, labels=labels)
    training = Training(epochs=6, batch_size=128, learning_rate=0.01)
    chances = ESMM(width=8, inner=16, dropout=0.0, training=training).fit(seen).predict(seen)
    assert np.corrcoef(chances["purchase"], rate)[0, 1] > 0.9
    assert abs(chances["purchase"].mean() - rate.mean()) < 0.04
    assert abs(chances["click"].mean() - click.mean()) < 0.02


def test_the_losses_of_esmm_are_means_by_the_weights():
    examples = make(60)
    click = np.arange(60) % 2
    labels = {"click": click, "purchase": click * (np.arange(60) % 3 == 0)}
    labels = {name: values.astype(np.float32) for name, values in labels.items()}
    examples = dataclasses.replace(examples, labels=labels)
    weights = {"purchase": np.random.default_rng(0).random(60).astype(np.float32)}
    training = Training(epochs=1, batch_size=128)
    fitted = ESMM(width=8, inner=16, dropout=0.0, training=training).fit(examples)
    chances = fitted.predict(examples)
    both = chances["click"] * chances["purchase"]
    cost = -np.log(np.where(labels["purchase"] > 0, both, 1 - both))
    plain = fitted.losses_on(examples)
    found = fitted.losses_on(dataclasses.replace(examples, weights=weights))
    assert found[0] == plain[0]
    by_weight = np.average(cost, weights=weights["purchase"])
    np.testing.assert_allclose(found[1], by_weight, rtol=1e-4)
    np.testing.assert_allclose(plain[1], cost.mean(), rtol=1e-4)


def test_esmm_refuses_other_heads_and_purchases_without_a_click():
    with pytest.raises(ValueError, match="heads must be"):
        ESMM(heads=(Head("purchase"), Head("click")))
    labels = {"click": np.zeros(300, np.float32), "purchase": np.ones(300, np.float32)}
    with pytest.raises(ValueError, match="no purchase without a click"):
        ESMM().fit(dataclasses.replace(make(), labels=labels))


def test_what_does_not_fit_is_refused():
    examples = make()
    with pytest.raises(ValueError, match="not fitted"):
        model().predict(examples)
    with pytest.raises(ValueError, match="no labels for 'age'"):
        model(heads=(Head("age"),)).fit(examples)
    with pytest.raises(ValueError, match="whole, 0 to 1"):
        model(heads=(Head("last"),)).fit(examples)
    with pytest.raises(ValueError, match="must be"):
        model(heads=(Head("big", "labels", 2),)).fit(examples)
    with pytest.raises(ValueError, match="size must be 1"):
        Head("big", "binary", 2)


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0},
        {"dropout": 1.0},
        {"sharing": "none"},
        {"heads": ()},
        {"heads": (Head("a"), Head("a"))},
        {"inner": 3},
        {"weighting": "best"},
        {"cell": "cnn"},
    ],
)
def test_settings_out_of_range_are_refused(change):
    options = {"sharing": "mmoe"} if "inner" in change else {}
    with pytest.raises(ValueError, match=next(iter(change))):
        model(**options, **change)
