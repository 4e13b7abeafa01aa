"""Small random logs, and their rows as plain lists for the slow reference loops."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from behaviorseq import Sequences, Vocabulary

MakeLog = Callable[..., Sequences]


@pytest.fixture(scope="session")
def make_log() -> MakeLog:
    """Give a function that makes a random log.

    Rows 0 and 3 are empty, items come back, and the last item has no event.
    """

    def make(seed: int = 0, n_users: int = 12, n_items: int = 9, longest: int = 10) -> Sequences:
        rng = np.random.default_rng(seed)
        lengths = rng.integers(1, longest + 1, n_users)
        lengths[[0, 3]] = 0
        n = int(lengths.sum())
        favourites = 1 / np.arange(1, n_items)  # some items are popular
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        gaps = rng.integers(0, 3 * 24 * 60, n).astype("timedelta64[m]")  # many in one minute
        return Sequences(
            items=rng.choice(n_items - 1, n, p=favourites / favourites.sum()).astype(np.int32),
            offsets=offsets,
            users=np.arange(n_users, dtype=np.int32),
            user_ids=Vocabulary(np.arange(100, 100 + n_users)),
            item_ids=Vocabulary(np.arange(10, 10 + n_items)),
            times=_rising(np.datetime64("2020-01-01T00:00") + gaps * 10, offsets),
        )

    return make


@pytest.fixture(scope="session")
def clusters() -> tuple[Sequences, np.ndarray]:
    """Give histories that stay in one of four clusters, item j in cluster j % 4, and the cluster.

    A model can only score well on them by finding the clusters.
    """
    rng = np.random.default_rng(0)
    own = rng.integers(0, 4, 200)
    rows = [rng.choice(10, rng.integers(3, 10), replace=False) * 4 + c for c in own]
    log = Sequences(
        items=np.concatenate(rows).astype(np.int32),
        offsets=np.cumsum([0, *map(len, rows)]),
        users=np.arange(200, dtype=np.int32),
        user_ids=Vocabulary(np.arange(200)),
        item_ids=Vocabulary(np.arange(40)),
    )
    return log, own


def _rising(times: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    parts = [np.sort(times[a:b]) for a, b in itertools.pairwise(offsets)]
    return np.concatenate(parts)
