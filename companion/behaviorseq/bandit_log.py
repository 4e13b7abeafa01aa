"""A log of choices: what was shown, with which probability, and what it brought."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from behaviorseq.arguments import whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BanditLog:
    """Rounds in which a policy showed one of several actions and saw what that brought.

    Parameters
    ----------
    actions : array-like of int
        What was shown, codes from 0, shape (n_rounds,).
    rewards : array-like
        What it brought, such as 1 for a click, shape (n_rounds,).
    propensities : array-like
        The probability with which the policy that made the log chose this action in this round,
        above 0 and up to 1, shape (n_rounds,).
    n_actions : int
        How many actions there were.
    contexts : array-like, optional
        What was known when choosing, shape (n_rounds, n_features).

    Raises
    ------
    ValueError
        If lengths differ, an action is not among the ``n_actions``, a propensity is not a
        probability, or a reward or a context is not a number; the message names the first round.

    Examples
    --------
    >>> log = BanditLog([0, 1, 1], [0, 1, 0], [0.5, 0.5, 0.5], n_actions=2)
    >>> len(log), log.rewards.mean().round(3)
    (3, np.float64(0.333))
    """

    actions: NDArray[np.int64]
    rewards: Floats
    propensities: Floats
    n_actions: int
    contexts: Floats | None = None

    def __post_init__(self) -> None:
        """Turn what was given into arrays, and check them."""
        n = whole("n_actions", self.n_actions, 1)
        self._set("actions", np.asarray(self.actions, dtype=np.int64))
        for name in ("rewards", "propensities"):
            self._set(name, np.asarray(getattr(self, name), dtype=np.float64))
        known = np.asarray((self.actions >= 0) & (self.actions < n))
        fair = np.asarray((self.propensities > 0) & (self.propensities <= 1))
        _first_fault("actions", self.actions, known, f"below {n}")
        _first_fault("propensities", self.propensities, fair, "above 0 and at most 1")
        _first_fault(
            "rewards", self.rewards, np.asarray(np.isfinite(self.rewards)), "a finite number"
        )
        if self.contexts is not None:
            contexts = np.atleast_2d(np.asarray(self.contexts, dtype=np.float64))
            self._set("contexts", contexts)
            finite = np.asarray(np.isfinite(contexts).all(axis=1))
            _first_fault("contexts", contexts, finite, "finite numbers")
        lengths = {
            name: len(part)
            for name in ("actions", "rewards", "propensities", "contexts")
            if (part := getattr(self, name)) is not None
        }
        if len(set(lengths.values())) > 1:
            raise ValueError(f"all parts of a log need one entry a round, got {lengths}")

    def __len__(self) -> int:
        """Return the number of rounds."""
        return len(self.actions)

    def take(self, rounds: Any) -> BanditLog:
        """Give some of the rounds, by a mask, a slice or numbers."""
        return BanditLog(
            self.actions[rounds],
            self.rewards[rounds],
            self.propensities[rounds],
            self.n_actions,
            None if self.contexts is None else self.contexts[rounds],
        )

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # frozen


def _first_fault(name: str, values: Any, fair: NDArray[np.bool_], rule: str) -> None:
    if not fair.all():
        row = int(np.argmin(fair))
        raise ValueError(f"{name} must be {rule}, got {values[row]} in round {row}")
