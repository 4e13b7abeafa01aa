"""From numbers of items to numbers of histories."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from behaviorseq.arguments import require

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from behaviorseq.sequences import Sequences


def decayed_counts(histories: Sequences, decay: float) -> sp.csr_array:
    """Count each history's events, weighted by ``decay ** position_from_end``.

    The last event weighs 1, the one before it ``decay``, and so on; ``decay=1`` counts plainly
    and ``decay=0`` keeps the last event alone. Shape (n_histories, n_items), float32.
    """
    return histories.to_csr(np.power(decay, histories.position_from_end, dtype=np.float32))


def binary(counts: sp.csr_array) -> sp.csr_array:
    """Copy a sparse matrix with 1 for each stored value."""
    ones = np.ones(counts.nnz, dtype=np.float32)
    return sp.csr_array((ones, counts.indices, counts.indptr), shape=counts.shape)


def history_means(
    histories: Sequences, table: NDArray[np.floating] | sp.csr_array, decay: float = 1.0
) -> NDArray[np.float64]:
    r"""Average a table of item features over the events of each history.

    .. math:: m_h = \frac{\sum_{e \in h} d^{\,\mathrm{position\ from\ end}_e} \, t_{j_e}}
                         {\sum_{e \in h} d^{\,\mathrm{position\ from\ end}_e}}

    Parameters
    ----------
    histories : Sequences
        Histories.
    table : NDArray or csr_array
        The features :math:`t_j` of each item code, shape (n_items, n_features).
    decay : float
        The factor :math:`d` in [0, 1]: 1 weighs all events alike, 0 keeps the last one alone.

    Returns
    -------
    NDArray[float64]
        Shape (n_histories, n_features); not a number for an empty history.

    Raises
    ------
    ValueError
        If the table has not one row an item, or the decay is outside [0, 1].

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from behaviorseq import Sequences
    >>> log = pd.DataFrame({"user": [1, 1, 2], "item": ["a", "b", "b"], "time": [0, 1, 0]})
    >>> prices = np.array([[10.0], [40.0]])
    >>> history_means(Sequences.from_events(log), prices).tolist()
    [[25.0], [40.0]]
    """
    require("decay", decay, 0 <= decay <= 1, "in [0, 1]")
    if table.ndim != 2 or table.shape[0] != histories.n_items:
        raise ValueError(f"the table needs {histories.n_items} rows, one an item: {table.shape}")
    weights = decayed_counts(histories, decay).astype(np.float64)
    sums = weights @ table
    dense = sums.toarray() if sp.issparse(sums) else sums
    total = np.asarray(weights.sum(axis=1))[:, None]
    empty = np.full_like(dense, np.nan, dtype=np.float64)
    means: NDArray[np.float64] = np.divide(dense, total, out=empty, where=total > 0)
    return means
