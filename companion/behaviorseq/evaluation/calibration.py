"""Whether lists of recommendations hold a user's categories in the user's own proportions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from behaviorseq.arguments import number, require, whole

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from behaviorseq.models.recommender import Recommender
    from behaviorseq.sequences import Sequences

    Floats = NDArray[np.float64]


def category_mix(histories: Sequences, categories: ArrayLike) -> Floats:
    r"""Give the share of each category in each history, :math:`p(c \mid u)`.

    .. math:: p(c \mid u) = \frac{1}{n} \sum_{e} p(c \mid i_e),

    the mean over the n events of the history of user u; events with items of no category are
    left out.

    Parameters
    ----------
    histories : Sequences
        Histories.
    categories : array-like
        The share of each category in each item, rows with sum 1, or 0 for an item of none, shape
        (n_items, n_categories).

    Returns
    -------
    NDArray[float64]
        Rows with sum 1, or 0 where no event has a category, shape (n_histories, n_categories).

    Raises
    ------
    ValueError
        If the table of categories does not fit the items, or a row has another sum.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import Sequences
    >>> log = pd.DataFrame({"user": 1, "item": ["Alien", "Up", "Alien", "Heat"], "time": range(4)})
    >>> histories = Sequences.from_events(log)
    >>> histories.item_ids.ids.tolist()
    ['Alien', 'Heat', 'Up']
    >>> category_mix(histories, [[0.5, 0.5], [0, 1], [1, 0]]).tolist()  # Alien is half of each
    [[0.5, 0.5]]
    """
    table = _table(categories, histories.n_items)
    return _shares(histories.to_csr() @ table)


def mix_divergence(wanted: ArrayLike, given: ArrayLike, *, alpha: float = 0.01) -> Floats:
    r"""Give the distance of the mix of a list from the mix that is wanted.

    .. math:: \mathrm{KL}(p \,\|\, \tilde q) = \sum_c p_c \ln \frac{p_c}{\tilde q_c},
              \qquad \tilde q = (1 - \alpha)\, q + \alpha\, p,

    in nats: 0 for the same mix, and at most :math:`-\ln \alpha`, for a list that holds nothing of
    what is wanted. The share :math:`\alpha` of p keeps it finite where q lacks a category.

    Parameters
    ----------
    wanted, given : array-like
        Mixes p and q, rows with sum 1 (a row of ``given`` may be all 0: an empty list), shape
        (n, n_categories).
    alpha : float
        Above 0 and below 1.

    Returns
    -------
    NDArray[float64]
        Shape (n,).

    Raises
    ------
    ValueError
        If shapes differ, ``alpha`` is out of its range, or a row is no mix.

    References
    ----------
    Steck, Calibrated recommendations, RecSys 2018, https://doi.org/10.1145/3240323.3240372.

    Examples
    --------
    Wanted is a mix of half and half; the lists hold the same, more of one, and one alone.

    >>> mix_divergence([[0.5, 0.5]] * 3, [[0.5, 0.5], [0.7, 0.3], [1, 0]]).round(2)
    array([0.  , 0.09, 1.96])
    """
    require("alpha", alpha, 0 < number("alpha", alpha, 0, 1) < 1, "above 0 and below 1")
    p, q = np.asarray(wanted, dtype=np.float64), np.asarray(given, dtype=np.float64)
    require("the shape of given", q.shape, p.ndim == 2 and p.shape == q.shape, f"{p.shape}")
    for name, mix, sums in (("wanted", p, (1,)), ("given", q, (0, 1))):
        _check_rows(name, mix, sums)
    mixed = (1 - alpha) * q + alpha * p
    ratio = np.divide(p, mixed, out=np.ones_like(p), where=p > 0)
    divergence: Floats = (p * np.log(ratio)).sum(axis=1)
    return divergence


def list_divergence(
    model: Recommender,
    histories: Sequences,
    categories: ArrayLike,
    k: int = 10,
    *,
    wanted: ArrayLike | None = None,
    alpha: float = 0.01,
    exclude_seen: bool = True,
) -> pd.Series[float]:
    """Tell how far the mix of each user's list lies from the user's own mix.

    Parameters
    ----------
    model : Recommender
        A fitted model.
    histories : Sequences
        Whom it recommends to.
    categories : array-like
        As for :func:`category_mix`.
    k : int
        Length of the lists.
    wanted : array-like, optional
        The mix that each list is compared with, shape (n_histories, n_categories); that of the
        history if None.
    alpha : float
        As for :func:`mix_divergence`.
    exclude_seen : bool
        Whether lists leave out items of the history.

    Returns
    -------
    pandas.Series
        :func:`mix_divergence` of each history; the index is the user.

    Raises
    ------
    ValueError
        For the reasons of :func:`mix_divergence`: a history without any category has no mix.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import Popularity, Sequences
    >>> log = pd.DataFrame({"user": [1, 1, 2, 2, 3], "item": list("ababc"), "time": range(5)})
    >>> histories = Sequences.from_events(log)
    >>> model = Popularity().fit(histories)
    >>> kinds = [[1, 0], [1, 0], [0, 1]]  # a and b are of one kind, c of another
    >>> list_divergence(model, histories, kinds, k=1).round(2).tolist()
    [4.61, 4.61, 4.61]
    """
    table = _table(categories, histories.n_items)
    items, _ = model.recommend(histories, whole("k", k, 1), exclude_seen=exclude_seen)
    padded = np.vstack([table, np.zeros(table.shape[1])])  # -1, no item, is the last row
    found = _shares(padded[items].sum(axis=1))
    mix = category_mix(histories, table) if wanted is None else wanted
    users = pd.Index(histories.user_ids.decode(histories.users), name="user")
    return pd.Series(mix_divergence(mix, found, alpha=alpha), index=users, name="divergence")


def calibrated_lists(
    items: ArrayLike,
    scores: ArrayLike,
    categories: ArrayLike,
    wanted: ArrayLike,
    k: int = 10,
    *,
    weight: float = 0.5,
    alpha: float = 0.01,
) -> NDArray[np.int64]:
    r"""Choose lists that are good and hold the categories in the proportions that are wanted.

    From the candidates of each user items are taken one after the other, each time the one that
    makes :math:`(1 - \lambda) \sum_i s_i - \lambda\, \mathrm{KL}(p \,\|\, \tilde q)`
    largest, with the sum over the items taken and q their mix.

    Parameters
    ----------
    items : array-like of int
        Candidates, -1 for none, shape (n, m).
    scores : array-like
        How good each is, higher is better, comparable within a row, such as log-probabilities;
        shape (n, m).
    categories : array-like
        As for :func:`category_mix`.
    wanted : array-like
        The mix p that each user wants, rows with sum 1, shape (n, n_categories).
    k : int
        Length of the lists, at most m.
    weight : float
        The weight :math:`\lambda` of the mix, from 0 (the k best candidates) to 1.
    alpha : float
        As for :func:`mix_divergence`.

    Returns
    -------
    NDArray[int64]
        In the order in which they were taken, -1 where a user has fewer candidates, shape (n, k).

    Raises
    ------
    ValueError
        If shapes do not fit or a number is out of its range.

    References
    ----------
    Steck, Calibrated recommendations, RecSys 2018, https://doi.org/10.1145/3240323.3240372.

    Examples
    --------
    Items 0 to 2 are of one category, 3 of another; wanted is half of each.

    >>> kinds = [[1, 0], [1, 0], [1, 0], [0, 1]]
    >>> best = [[0, 1, 2, 3]], [[-1.0, -1.1, -1.2, -1.6]]
    >>> calibrated_lists(*best, kinds, [[0.5, 0.5]], k=2, weight=0.0)
    array([[0, 1]])
    >>> calibrated_lists(*best, kinds, [[0.5, 0.5]], k=2, weight=0.5)
    array([[0, 3]])
    """
    codes, good = np.asarray(items), np.asarray(scores, dtype=np.float64)
    p, table = np.asarray(wanted, dtype=np.float64), np.asarray(categories, dtype=np.float64)
    fits = codes.ndim == 2 and codes.shape == good.shape and p.shape == (len(codes), table.shape[1])
    require("the shapes of items, scores, wanted", (good.shape, p.shape), fits, "of the same users")
    k = whole("k", k, 1, codes.shape[1])
    number("weight", weight, 0, 1)
    _check_rows("categories", table, (0, 1))
    gone = codes < 0
    lists, held = np.full((len(codes), k), -1, dtype=np.int64), np.zeros_like(p)
    everyone, n_kinds = np.arange(len(codes)), p.shape[1]
    for place in range(k):
        mixes = _shares((held[:, None] + table[codes]).reshape(-1, n_kinds))  # with each candidate
        away = mix_divergence(np.repeat(p, codes.shape[1], axis=0), mixes, alpha=alpha)
        gain = (1 - weight) * good - weight * away.reshape(good.shape)
        gain[gone] = -np.inf
        best = gain.argmax(axis=1)
        taken = np.where(gone[everyone, best], -1, codes[everyone, best])
        lists[:, place], gone[everyone, best] = taken, True
        held += np.where(taken[:, None] >= 0, table[taken], 0)
    return lists


def _shares(counts: NDArray[Any]) -> Floats:
    total = counts.sum(axis=1, keepdims=True)
    shares: Floats = counts / np.where(total > 0, total, 1)
    return shares


def _table(categories: ArrayLike, n_items: int) -> Floats:
    table = np.asarray(categories, dtype=np.float64)
    fits = table.ndim == 2 and len(table) == n_items
    require("the shape of categories", table.shape, fits, f"({n_items}, n_categories)")
    _check_rows("categories", table, (0, 1))
    return table


def _check_rows(name: str, mix: Floats, sums: tuple[int, ...]) -> None:
    """Check that rows are mixes; ``sums`` says what they may add up to."""
    total = mix.sum(axis=1)
    ok = np.isclose(total[:, None], sums, atol=1e-6).any(axis=1) & (mix >= 0).all(axis=1)
    if not ok.all():
        row, rule = int(np.argmin(ok)), " or ".join(map(str, sums))
        raise ValueError(f"{name} must have rows of 0 or more with sum {rule}: row {row} has not")
