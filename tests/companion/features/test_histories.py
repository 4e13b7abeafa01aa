"""Means of item features over histories, against a loop."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from behaviorseq import Sequences, Vocabulary
from behaviorseq.features import history_means


def random_histories(seed):
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(rng.integers(0, 6, 8))])
    return Sequences(
        items=rng.integers(0, 5, offsets[-1]).astype(np.int32),
        offsets=offsets,
        users=np.arange(8, dtype=np.int32),
        user_ids=Vocabulary(np.arange(8)),
        item_ids=Vocabulary(np.arange(5)),
    )


@given(seed=st.integers(0, 10_000), decay=st.sampled_from([0.0, 0.3, 1.0]), sparse=st.booleans())
@settings(max_examples=40)
def test_means_equal_the_loop(seed, decay, sparse):
    histories = random_histories(seed)
    table = np.random.default_rng(seed).normal(size=(5, 3))
    means = history_means(histories, sp.csr_array(table) if sparse else table, decay)
    for row in range(len(histories)):
        items = histories[row]
        if not len(items):
            assert np.isnan(means[row]).all()
            continue
        weights = [decay ** (len(items) - 1 - p) for p in range(len(items))]
        expected = np.average(table[items], axis=0, weights=weights)
        np.testing.assert_allclose(means[row], expected, rtol=1e-5, atol=1e-6)


def test_the_table_and_the_decay_are_checked():
    histories = random_histories(0)
    with pytest.raises(ValueError, match="the table needs 5 rows, one an item"):
        history_means(histories, np.ones((4, 2)))
    with pytest.raises(ValueError, match=r"decay must be in \[0, 1\], got 2"):
        history_means(histories, np.ones((5, 2)), decay=2)
