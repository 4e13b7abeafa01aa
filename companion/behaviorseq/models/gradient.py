"""What models fitted by stochastic gradient steps share: factors, batches, cells, directions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import scipy.sparse as sp
    from numpy.typing import NDArray


LARGEST = 1e15


class Factors(NamedTuple):
    """Vectors and biases of users and items.

    Parameters
    ----------
    users, items : NDArray[float64]
        Shape (n_users, factors) and (n_items, factors).
    user_bias, item_bias : NDArray[float64]
        Shape (n_users,) and (n_items,).
    """

    users: NDArray[np.float64]
    items: NDArray[np.float64]
    user_bias: NDArray[np.float64]
    item_bias: NDArray[np.float64]

    @classmethod
    def at_random(
        cls, n_users: int, n_items: int, factors: int, rng: np.random.Generator
    ) -> Factors:
        """Draw short vectors, so that scores start near 0; biases start at 0."""
        users = rng.normal(scale=0.1, size=(n_users, factors))
        items = rng.normal(scale=0.1, size=(n_items, factors))
        return cls(users, items, np.zeros(n_users), np.zeros(n_items))

    def check(self, model: object) -> None:
        """Raise a ValueError if the steps of a model ran away.

        A sum of products of numbers above ``LARGEST`` would not fit in the float32 of scores.
        """
        if not all((np.abs(part) < LARGEST).all() for part in self):
            raise ValueError(f"{model!r} diverged: lower its learning_rate or its batch_size")


class Adam:
    """The directions of Adam (Kingma and Ba, ICLR 2015, arXiv 1412.6980, algorithm 1).

    Parameters
    ----------
    shape : tuple of int
        Shape of the parameters.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.first, self.second, self.steps = np.zeros(shape), np.zeros(shape), 0

    def __call__(self, gradient: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the direction for the next gradient, each coordinate about 1 in size."""
        self.steps += 1
        self.first += 0.1 * (gradient - self.first)
        self.second += 0.001 * (gradient**2 - self.second)
        first = self.first / (1 - 0.9**self.steps)
        second = self.second / (1 - 0.999**self.steps)
        direction: NDArray[np.float64] = first / (np.sqrt(second) + 1e-8)
        return direction


def cells_of(matrix: sp.csr_array) -> NDArray[np.int64]:
    """Give the stored cells of a matrix as ``row * n_columns + column``, in rising order."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    cells: NDArray[np.int64] = rows * matrix.shape[1] + matrix.indices
    return cells


def among(cells: NDArray[np.int64], wanted: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which cells are stored."""
    if not len(cells):
        return np.zeros(len(wanted), dtype=bool)
    place = np.minimum(np.searchsorted(cells, wanted), len(cells) - 1)
    found: NDArray[np.bool_] = cells[place] == wanted
    return found


def shuffled(n: int, size: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Cut a random order of n things into batches."""
    order = rng.permutation(n)
    for start in range(0, n, size):
        yield order[start : start + size]


def add_rows(
    target: NDArray[np.float64], rows: NDArray[np.int64], steps: NDArray[np.float64]
) -> None:
    """Add steps to rows of an array in place; steps of one row add up (faster than ``add.at``)."""
    order = np.argsort(rows, kind="stable")
    rows = rows[order]
    first = np.flatnonzero(np.append(True, rows[1:] != rows[:-1])[: len(rows)])
    if len(rows):
        target[rows[first]] += np.add.reduceat(steps[order], first)
