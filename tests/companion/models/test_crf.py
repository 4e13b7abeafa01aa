"""The CRF against a sum, or a search, over every path of labels."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from behaviorseq import LinearChainCRF

LENGTHS = (4, 1, 3)
N_LABELS = 3


def example(seed, lengths=LENGTHS, n_labels=N_LABELS):
    """Make a CRF with parameters of chance, emissions and a mask, all in float64."""
    generator = torch.Generator().manual_seed(seed)
    crf = LinearChainCRF(n_labels).double()
    for parameter in crf.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    shape = (len(lengths), max(lengths), n_labels)
    emissions = torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return crf, emissions, mask


def paths(length, n_labels=N_LABELS):
    return list(itertools.product(range(n_labels), repeat=length))


def score(crf, emissions, path):
    """Score a path as the equation says, term by term."""
    total = crf.start[path[0]] + crf.end[path[-1]]
    for t, label in enumerate(path):
        total = total + emissions[t, label]
        if t:
            total = total + crf.transition[path[t - 1], label]
    return total


def every_score(crf, emissions, length):
    return torch.stack([score(crf, emissions, path) for path in paths(length)])


@pytest.mark.parametrize("seed", range(3))
def test_the_sum_over_all_paths(seed):
    crf, emissions, mask = example(seed)
    found = crf.log_partition(emissions, mask)
    expected = [
        every_score(crf, emissions[row], n).logsumexp(dim=0) for row, n in enumerate(LENGTHS)
    ]
    assert_close(found, torch.stack(expected))


@pytest.mark.parametrize("seed", range(3))
def test_log_likelihood_and_its_gradients(seed):
    crf, emissions, mask = example(seed)
    inputs = [emissions, *crf.parameters()]
    labels = torch.randint(N_LABELS, mask.shape, generator=torch.Generator().manual_seed(seed))
    found = crf.log_likelihood(emissions, labels, mask)
    expected = torch.stack(
        [
            score(crf, emissions[row], labels[row, :n].tolist())
            - every_score(crf, emissions[row], n).logsumexp(dim=0)
            for row, n in enumerate(LENGTHS)
        ]
    )
    assert_close(found, expected)
    gradients = torch.autograd.grad(found.sum(), inputs)
    for one, other in zip(gradients, torch.autograd.grad(expected.sum(), inputs), strict=True):
        assert_close(one, other)


def test_gradients_by_finite_differences():
    crf, emissions, mask = example(0)
    labels = torch.zeros(mask.shape, dtype=torch.int64)
    assert torch.autograd.gradcheck(lambda e: crf.log_likelihood(e, labels, mask), emissions)


@pytest.mark.parametrize("seed", range(3))
def test_marginals_are_summed_over_paths(seed):
    crf, emissions, mask = example(seed)
    found = crf.marginals(emissions, mask)
    assert_close(found.sum(dim=2), mask.double())
    for row, n in enumerate(LENGTHS):
        chances = every_score(crf, emissions[row], n).softmax(dim=0)
        expected = torch.zeros(n, N_LABELS, dtype=torch.float64)
        for chance, path in zip(chances.detach(), paths(n), strict=True):
            expected[torch.arange(n), torch.tensor(path)] += chance
        assert_close(found[row, :n], expected)


@given(
    st.integers(0, 10_000),
    st.lists(st.integers(1, 5), min_size=1, max_size=4),
    st.integers(1, 3),
)
@settings(max_examples=30)
def test_the_decoded_path_is_the_best_of_all(seed, lengths, n_labels):
    crf, emissions, mask = example(seed, tuple(lengths), n_labels)
    found = crf.decode(emissions, mask)
    for row, n in enumerate(lengths):
        every = [score(crf, emissions[row], path).item() for path in paths(n, n_labels)]
        best = paths(n, n_labels)[max(range(len(every)), key=every.__getitem__)]
        assert tuple(found[row, :n].tolist()) == best
        assert not found[row, n:].any()


def test_padding_changes_nothing():
    crf, emissions, mask = example(1)
    labels = torch.randint(N_LABELS, mask.shape, generator=torch.Generator().manual_seed(1))
    turned = emissions.detach().clone()
    turned[~mask] = torch.nan
    other_labels = labels.where(mask, -1)
    likelihood = crf.log_likelihood(emissions, labels, mask)
    assert_close(crf.log_likelihood(turned, other_labels, mask), likelihood)
    assert torch.equal(crf.decode(turned, mask), crf.decode(emissions, mask))
    for row, n in enumerate(LENGTHS):  # a row alone, without padding
        alone = emissions[row : row + 1, :n], mask[row : row + 1, :n]
        assert_close(crf.log_partition(*alone)[0], crf.log_partition(emissions, mask)[row])
        assert_close(crf.marginals(*alone)[0], crf.marginals(emissions, mask)[row, :n])
        assert torch.equal(crf.decode(*alone)[0], crf.decode(emissions, mask)[row, :n])


def test_without_transitions_each_event_is_by_itself():
    _, emissions, mask = example(2)
    crf = LinearChainCRF(N_LABELS).double()
    marginals = crf.marginals(emissions, mask)
    assert_close(marginals[mask], emissions.softmax(dim=2)[mask])
    assert torch.equal(crf.decode(emissions, mask)[mask], emissions.argmax(dim=2)[mask])


def test_a_known_chain_is_recovered():
    """Where emissions say nothing, the potentials that fit best are those of the Markov chain."""
    torch.manual_seed(0)
    start = torch.tensor([0.7, 0.2, 0.1])
    chain = torch.tensor([[0.8, 0.15, 0.05], [0.1, 0.7, 0.2], [0.3, 0.1, 0.6]])
    n, length = 3000, 12
    labels = [torch.multinomial(start, n, replacement=True)]
    for _ in range(length - 1):
        labels.append(torch.multinomial(chain[labels[-1]], 1)[:, 0])
    labels = torch.stack(labels, dim=1)
    emissions, mask = torch.zeros(n, length, 3), torch.ones(n, length, dtype=torch.bool)
    crf = LinearChainCRF(3)
    optimizer = torch.optim.LBFGS(crf.parameters(), max_iter=100)

    def closure():
        optimizer.zero_grad()
        loss = -crf.log_likelihood(emissions, labels, mask).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    # Potentials are a chain's probabilities once what is to come is summed out: ends last.
    ahead = crf.end.detach()
    for _ in range(length - 1):
        reached = crf.transition.detach() + ahead  # (from, to)
        found, ahead = reached.softmax(dim=1), reached.logsumexp(dim=1)
    assert_close(found, chain, atol=0.02, rtol=0)
    assert_close((crf.start.detach() + ahead).softmax(dim=0), start, atol=0.03, rtol=0)


@pytest.mark.parametrize(
    ("emissions", "mask", "message"),
    [
        (torch.zeros(2, 3, 4), torch.ones(2, 3), "must be .rows, events, 3."),
        (torch.zeros(2, 3, 3), torch.ones(2, 4), "must be .rows, events, 3."),
        (torch.zeros(1, 2, 3), torch.tensor([[0, 1]]), "begin with an event"),
        (torch.zeros(1, 3, 3), torch.tensor([[1, 0, 1]]), "padded on the right"),
    ],
)
def test_rows_that_do_not_fit_are_refused(emissions, mask, message):
    with pytest.raises(ValueError, match=message):
        LinearChainCRF(3).log_partition(emissions, mask.bool())


def test_a_crf_without_labels_is_refused():
    with pytest.raises(ValueError, match="n_labels must be"):
        LinearChainCRF(0)
