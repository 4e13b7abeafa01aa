"""Histories as a graph of items: who comes after whom, who comes with whom, and who is central."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scipy.sparse as sp

from behaviorseq.arguments import is_count, require
from behaviorseq.features.histories import binary

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from behaviorseq.sequences import Sequences


def transition_graph(histories: Sequences, weights: ArrayLike = (1.0,)) -> sp.csr_array:
    r"""Draw an edge from each item to those that came after it.

    Over all pairs of events of one history, item :math:`j` at position :math:`p` and item
    :math:`i` at a later position :math:`q`,

    .. math:: A_{ji} = \sum_{q - p \le n} w_{q - p}.

    An item that follows itself has an edge to itself. Events of different histories never meet.
    Where events share their time, the order of the histories is arbitrary there, and so are the
    edges; a :func:`cooccurrence_graph` does not depend on order.

    Parameters
    ----------
    histories : Sequences
        Histories.
    weights : array-like
        The weights :math:`w_1, \dots, w_n` of a pair by its distance, above 0: the window is as
        long as they are many. ``[1]`` joins neighbors alone, ``1 / np.arange(1, 11)`` and
        ``0.8 ** np.arange(10)`` let a pair fade over ten steps.

    Returns
    -------
    scipy.sparse.csr_array
        Shape (n_items, n_items), float32; row ``j`` holds what follows item ``j``.

    Raises
    ------
    ValueError
        If the weights are no list of numbers above 0.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import Sequences
    >>> log = pd.DataFrame({"user": [1, 1, 1, 2], "item": ["a", "b", "c", "a"],
    ...                     "time": [0, 1, 2, 0]})
    >>> transition_graph(Sequences.from_events(log), weights=[1, 0.5]).toarray()
    array([[0. , 1. , 0.5],
           [0. , 0. , 1. ],
           [0. , 0. , 0. ]], dtype=float32)
    """
    by_step = np.asarray(weights, dtype=np.float32)
    listed = by_step.ndim == 1 and by_step.size > 0 and bool((by_step > 0).all())
    require("weights", weights, listed and bool(np.isfinite(by_step).all()), "numbers above 0")
    shape = (histories.n_items, histories.n_items)
    rows, items = histories.row_of_event, histories.items
    graph = sp.csr_array(shape, dtype=np.float32)
    longest = int(histories.lengths.max(initial=1)) - 1
    for step, weight in enumerate(by_step[: max(longest, 0)], start=1):
        same = rows[step:] == rows[:-step]
        pairs = items[:-step][same], items[step:][same]
        edges = np.full(len(pairs[0]), weight, dtype=np.float32)
        graph = graph + sp.coo_array((edges, pairs), shape=shape).tocsr()
    return graph.tocsr()


def cooccurrence_graph(histories: Sequences, weights: ArrayLike | None = None) -> sp.csr_array:
    """Join items that are in one history, whichever came first.

    Parameters
    ----------
    histories : Sequences
        Histories.
    weights : array-like, optional
        Weights of a pair by its distance, as in :func:`transition_graph`: each pair of events
        within the window counts. Without them an edge counts the histories that hold both
        items, at any distance, each history once.

    Returns
    -------
    scipy.sparse.csr_array
        Symmetric, without edges from an item to itself, shape (n_items, n_items), float32.

    Raises
    ------
    ValueError
        If weights are given that are no list of numbers above 0.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import Sequences
    >>> log = pd.DataFrame({"user": [1, 1, 1, 2, 2], "item": ["a", "b", "c", "b", "a"],
    ...                     "time": [0, 1, 2, 0, 1]})
    >>> cooccurrence_graph(Sequences.from_events(log)).toarray()
    array([[0., 2., 1.],
           [2., 0., 1.],
           [1., 1., 0.]], dtype=float32)
    """
    if weights is None:
        taken = binary(histories.to_csr())
        graph = taken.T @ taken
    else:
        directed = transition_graph(histories, weights)
        graph = directed + directed.T
    edges = graph.tocoo()
    others = edges.row != edges.col
    kept = (edges.data[others], (edges.row[others], edges.col[others]))
    return sp.coo_array(kept, shape=edges.shape).tocsr()


def item_graph(sequences: Sequences, *, steps: int = 3, neighbors: int | None = 20) -> sp.csr_array:
    """Connect items that stand near each other in histories, by their strongest edges.

    Parameters
    ----------
    sequences : Sequences
        Histories.
    steps : int
        Two items are connected if one came at most so many events after the other; a pair that is
        s events apart counts 1 / s, in either direction.
    neighbors : int, optional
        Keep an edge only if it is, for one of its ends at least, among so many with the largest
        count in relation to the counts of both ends (cosine normalisation); the rest is mostly
        popularity. None keeps all.

    Returns
    -------
    scipy.sparse.csr_array
        Counts, symmetric, without edges from an item to itself, shape (n_items, n_items), float32.

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import Sequences
    >>> log = pd.DataFrame({"user": 1, "item": list("abcab"), "time": range(5),
    ...                     "behavior": "view"})
    >>> item_graph(Sequences.from_events(log), steps=2).toarray()
    array([[0. , 2.5, 1.5],
           [2.5, 0. , 1.5],
           [1.5, 1.5, 0. ]], dtype=float32)
    """
    require("steps", steps, is_count(steps), "a whole number of 1 or more")
    ok = neighbors is None or is_count(neighbors)
    require("neighbors", neighbors, ok, "a whole number of 1 or more, or None")
    graph = cooccurrence_graph(sequences, 1 / np.arange(1, steps + 1))
    return graph if neighbors is None else strongest(graph, neighbors)


def strongest(graph: sp.csr_array, neighbors: int) -> sp.csr_array:
    """Keep the strongest edges of each item.

    Parameters
    ----------
    graph : csr_array
        Weights of the edges, symmetric, 0 or more, shape (n_items, n_items).
    neighbors : int
        An edge is kept if it is, for one of its ends at least, among so many with the largest
        weight in relation to the degrees of both ends (cosine normalisation).

    Returns
    -------
    scipy.sparse.csr_array
        Those edges with their weights, symmetric, shape (n_items, n_items).

    Raises
    ------
    ValueError
        If ``neighbors`` is not a whole number of 1 or more.

    Examples
    --------
    >>> star = sp.csr_array(np.array([[0, 9, 2, 1], [9, 0, 0, 0], [2, 0, 0, 5], [1, 0, 5, 0]]))
    >>> strongest(star, neighbors=1).toarray()
    array([[0., 9., 0., 0.],
           [9., 0., 0., 0.],
           [0., 0., 0., 5.],
           [0., 0., 5., 0.]])
    """
    require("neighbors", neighbors, is_count(neighbors), "a whole number of 1 or more")
    kept = nearest(normalized(graph, self_loops=False), neighbors)
    kept = kept + kept.T
    kept.data[:] = 1
    return (graph * kept).tocsr()


def normalized(adjacency: sp.csr_array, *, self_loops: bool = True) -> sp.csr_array:
    r"""Divide each edge of a graph by the roots of the degrees of both its ends.

    .. math:: \hat A = \tilde D^{-1/2} \tilde A \tilde D^{-1/2}, \qquad
              \tilde A = A + I, \quad \tilde D_{ii} = \textstyle\sum_j \tilde A_{ij}

    (Kipf and Welling, Semi-supervised classification with graph convolutional networks, ICLR
    2017, arXiv 1609.02907, equation 2.) No eigenvalue is above 1 in size, so vectors do not grow
    by going through the graph again and again.

    Parameters
    ----------
    adjacency : scipy.sparse.csr_array
        Symmetric, not negative, shape (n, n).
    self_loops : bool
        Whether to add the identity, as above; without it a node that has no edge has a row of
        zeros.

    Returns
    -------
    scipy.sparse.csr_array
        Shape (n, n), float32.

    Examples
    --------
    >>> pair = sp.csr_array(np.array([[0.0, 1.0], [1.0, 0.0]]))
    >>> normalized(pair).toarray()
    array([[0.5, 0.5],
           [0.5, 0.5]], dtype=float32)
    """
    n = adjacency.shape[0]
    matrix = adjacency + sp.eye_array(n, format="csr") if self_loops else adjacency
    matrix = matrix.tocoo()
    degree = np.bincount(matrix.row, matrix.data, minlength=n)
    data = matrix.data / np.sqrt(degree[matrix.row] * degree[matrix.col])
    parts = (data.astype(np.float32), (matrix.row, matrix.col))
    return sp.coo_array(parts, shape=matrix.shape).tocsr()


def graph_vectors(graph: sp.csr_array, width: int, *, seed: int = 0) -> NDArray[np.float32]:
    r"""Give each node a vector, near ones to nodes that have their edges in common.

    With the truncated singular value decomposition :math:`\hat A \approx U S V^\top` of the graph
    without its degrees (:func:`normalized`), the vectors are the rows of :math:`U S^{1/2}`, each
    scaled to length 1, as word vectors are made of counts of words (Levy, Goldberg and Dagan,
    Improving distributional similarity with lessons learned from word embeddings, TACL 2015). A
    network whose item vectors start with them knows from the first step which items go together:
    see ``start`` of the networks' ``fit``.

    Parameters
    ----------
    graph : scipy.sparse.csr_array
        Symmetric, not negative, shape (n, n); such as that of :func:`cooccurrence_graph`.
    width : int
        Length of a vector, below n.
    seed : int
        Of the randomised decomposition.

    Returns
    -------
    NDArray[float32]
        Shape (n, width); zeros for a node without an edge.

    Raises
    ------
    ValueError
        If ``width`` is not 1 to n - 1.

    Examples
    --------
    >>> edges = np.array([[0, 2, 0, 0], [2, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0.0]])
    >>> vectors = graph_vectors(sp.csr_array(edges), 2)
    >>> abs(vectors @ vectors.T).round(2)  # two pairs
    array([[1., 1., 0., 0.],
           [1., 1., 0., 0.],
           [0., 0., 1., 1.],
           [0., 0., 1., 1.]], dtype=float32)
    """
    from sklearn.utils.extmath import randomized_svd

    n = graph.shape[0]
    require("width", width, is_count(width) and width < n, f"1 or more and below the {n} nodes")
    left, sizes, _ = randomized_svd(normalized(graph), width, n_iter=3, random_state=seed)
    vectors = left * np.sqrt(sizes)  # (n, width)
    vectors[graph.sum(axis=1) == 0] = 0
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def pagerank(
    graph: sp.csr_array, *, damping: float = 0.85, tolerance: float = 1e-10, steps: int = 1000
) -> NDArray[np.float64]:
    r"""Find how often a walk over the edges comes to each item.

    At each step the walk follows an edge with probability :math:`d`, an edge of weight
    :math:`A_{ji}` in proportion to it, else it jumps to any of the :math:`n` items; from an item
    without edges it always jumps. In the long run

    .. math:: r_i = \frac{1 - d}{n}
                    + d \sum_j r_j \left(\frac{A_{ji}}{\sum_k A_{jk}}
                    \;\text{or}\; \frac{1}{n} \;\text{where}\; \sum_k A_{jk} = 0\right)

    (Page, Brin, Motwani and Winograd, The PageRank citation ranking: bringing order to the web,
    Stanford InfoLab, 1999), found by repeating the step from equal parts.

    Parameters
    ----------
    graph : csr_array
        Edges from rows to columns, weights of 0 or more, shape (n_items, n_items).
    damping : float
        The probability :math:`d`, in [0, 1).
    tolerance : float
        Stop when a step changes the probabilities by less, all changes summed.
    steps : int
        Most steps.

    Returns
    -------
    NDArray[float64]
        Probabilities, which sum to 1, shape (n_items,).

    Raises
    ------
    ValueError
        If the graph is empty or not square, a weight is below 0, an argument is out of its range,
        or the tolerance is not reached.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> to_the_first = sp.csr_array(np.array([[0, 0, 0], [1, 0, 0], [1, 0, 0]]))
    >>> pagerank(to_the_first).round(2)
    array([0.57, 0.21, 0.21])
    """
    n = graph.shape[0]
    require("the shape of graph", graph.shape, n > 0 and graph.shape == (n, n), "square, not empty")
    require("damping", damping, 0 <= damping < 1, "0 or more and below 1")
    require("steps", steps, is_count(steps), "a whole number of 1 or more")
    require("tolerance", tolerance, tolerance > 0, "above 0")
    edges = sp.csr_array(graph, dtype=np.float64)
    least = float(edges.data.min(initial=0))
    require("the least weight of graph", least, least >= 0, "0 or more")
    total = np.asarray(edges.sum(axis=1))
    share = np.divide(1, total, out=np.zeros(n), where=total > 0)
    inward = (sp.diags_array(share) @ edges).T.tocsr()  # column j: where a walk goes from j
    rank: NDArray[np.float64] = np.full(n, 1 / n)
    for _ in range(steps):
        jumps = 1 - damping + damping * rank[total == 0].sum()
        following = damping * (inward @ rank) + jumps / n
        change, rank = np.abs(following - rank).sum(), following / following.sum()
        if change < tolerance:
            return rank
    raise ValueError(
        f"after {steps} steps of PageRank the probabilities still change by {change:.1e}: give "
        "more steps, a larger tolerance or less damping"
    )


def item_features(graph: sp.csr_array) -> pd.DataFrame:
    """Describe each item by its place in a graph.

    Parameters
    ----------
    graph : csr_array
        Edges from rows to columns, weights of 0 or more, shape (n_items, n_items).

    Returns
    -------
    pandas.DataFrame
        One row an item code: ``degree_out`` and ``degree_in`` (edges), ``strength_out`` and
        ``strength_in`` (their weights summed), ``pagerank`` times the number of items, so that 1
        is the average.

    Raises
    ------
    ValueError
        For the reasons of :func:`pagerank`.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> graph = sp.csr_array(np.array([[0, 2, 1], [0, 0, 1], [0, 0, 0]]))
    >>> item_features(graph).loc[0, "degree_out":"strength_in"].tolist()
    [2.0, 0.0, 3.0, 0.0]
    """
    rank = pagerank(graph)
    edges = sp.csr_array(graph, dtype=np.float64, copy=True)
    edges.eliminate_zeros()
    return pd.DataFrame(
        {
            "degree_out": np.diff(edges.indptr),
            "degree_in": np.bincount(edges.indices, minlength=edges.shape[1]),
            "strength_out": np.asarray(edges.sum(axis=1)),
            "strength_in": np.asarray(edges.sum(axis=0)),
            "pagerank": rank * len(rank),
        }
    ).rename_axis("item")


def nearest(similarity: sp.csr_array, k: int | None) -> sp.csr_array:
    """Keep the k largest values of each row, ties by lowest column; None keeps all."""
    lengths = np.diff(similarity.indptr)
    if k is None or lengths.max(initial=0) <= k:
        return similarity
    row = np.repeat(np.arange(len(lengths)), lengths)
    order = np.lexsort((similarity.indices, -similarity.data, row))
    rank = np.arange(len(row)) - np.repeat(similarity.indptr[:-1], lengths)
    kept = order[rank < k]
    values = (similarity.data[kept], (row[kept], similarity.indices[kept]))
    return sp.coo_array(values, shape=similarity.shape).tocsr()
