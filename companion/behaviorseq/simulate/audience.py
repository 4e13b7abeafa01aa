"""People in front of a recommender, and how they react: what every world gives its environment."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Reaction:
    """What people did with the slates that they were shown.

    Parameters
    ----------
    done : dict of str to NDArray[bool]
        For each behavior which items of which slate it was done with, shape (n_seats, slate), in
        the order in which they follow one another.
    liked : NDArray[bool]
        Which items were taken up (clicked, bought, solved): these enter the history,
        shape (n_seats, slate).
    reward : NDArray[float64]
        What the recommender earns, shape (n_seats,).
    leaves : NDArray[bool]
        Who ends the visit, shape (n_seats,).
    seconds : NDArray[float64]
        How long it took, shape (n_seats,).
    values : dict of str to NDArray[float64]
        For behaviors that have a value, that of each item, shape (n_seats, slate).
    info : dict of str to NDArray
        What a step tells beside this, one entry a seat.
    """

    done: dict[str, NDArray[np.bool_]]
    liked: NDArray[np.bool_]
    reward: NDArray[np.float64]
    leaves: NDArray[np.bool_]
    seconds: NDArray[np.float64]
    values: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    info: dict[str, NDArray[Any]] = field(default_factory=dict)


class Audience(ABC):
    """People who are online at once, each on a seat, and how they react to what they are shown.

    A person's state (tired of a topic, better at a skill) begins when the seat is taken and is
    forgotten when somebody else takes it.
    """

    @abstractmethod
    def seat(self, seats: NDArray[np.int64], users: NDArray[np.int64]) -> None:
        """Let users take seats, in the state that they have at the end of the world's log."""

    @abstractmethod
    def react(self, slates: NDArray[np.int64], rng: np.random.Generator) -> Reaction:
        """Show each seat its slate of item ids, shape (n_seats, slate), and see what happens."""
