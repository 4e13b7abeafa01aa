"""A simulated world as a gymnasium environment: the recommender's choices make the log."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import pandas as pd
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from behaviorseq.arguments import whole

from .audience import Audience, Reaction
from .base import SECONDS_A_DAY, to_datetime

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from behaviorseq.sequences import Sequences

    from .audience import Audience, Reaction
from .base import World

Observation = dict[str, Any]


@dataclass(eq=False)
class Stage:
    """Seats with people on them, what they took up lately, and the log of what they did."""

    audience: Audience
    n_users: int
    n_items: int
    n_seats: int
    slate: int
    history: int
    steps: int
    start: float
    past: Sequences | None = None
    keep_log: bool = True
    users: NDArray[np.int64] = field(init=False)
    recent: NDArray[np.int64] = field(init=False)
    clock: NDArray[np.float64] = field(init=False)
    step_of: NDArray[np.int64] = field(init=False)
    visit_of: NDArray[np.int64] = field(init=False)
    n_visits: int = field(init=False, default=0)
    logged: list[pd.DataFrame] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        """Make empty seats."""
        self.users = np.zeros(self.n_seats, dtype=np.int64)
        self.recent = np.zeros((self.n_seats, self.history), dtype=np.int64)
        self.clock = np.full(self.n_seats, self.start)
        self.step_of = np.zeros(self.n_seats, dtype=np.int64)
        self.visit_of = np.zeros(self.n_seats, dtype=np.int64)

    def open(self, seats: NDArray[np.int64], users: NDArray[np.int64]) -> None:
        """Let users take seats, with their past; each visit begins when the world's log ends."""
        self.users[seats] = users
        self.step_of[seats] = 0
        self.clock[seats] = self.start
        self.visit_of[seats] = self.n_visits + np.arange(len(seats))
        self.n_visits += len(seats)
        self.recent[seats] = 0 if self.past is None else self._past_of(users)
        self.audience.seat(seats, users)

    def show(self, slates: NDArray[np.int64], rng: np.random.Generator) -> Reaction:
        """Show slates, note what happened, and move the clocks."""
        if slates.min() < 0 or slates.max() >= self.n_items:
            raise ValueError(f"actions must be item ids from 0 to {self.n_items - 1}")
        reaction = self.audience.react(slates, rng)
        if self.keep_log:
            self._note(slates, reaction)
        self.clock += reaction.seconds
        self.step_of += 1
        for position in range(self.slate):
            liked = reaction.liked[:, position]
            self.recent[liked, :-1] = self.recent[liked, 1:]
            self.recent[liked, -1] = slates[liked, position] + 1
        return reaction

    def log(self) -> pd.DataFrame:
        """Give what happened so far as an event log; ``session`` is the number of the visit."""
        columns = {"user": "int64", "item": "int64", "time": "datetime64[s]", "behavior": "str"}
        if not self.logged:
            return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})
        return pd.concat(self.logged, ignore_index=True)

    def observe(self) -> Observation:
        """Give what the recommender sees of each seat."""
        hours = (self.clock // 3600).astype(np.int64)
        return {
            "user": self.users.copy(),
            "history": self.recent.copy(),
            "hour": hours % 24,
            "weekday": hours // 24 % 7,
        }

    def _note(self, slates: NDArray[np.int64], reaction: Reaction) -> None:
        """Add the events of one step to the log; behaviors with one item are a second apart."""
        for place, (behavior, done) in enumerate(reaction.done.items()):
            seats, positions = np.nonzero(done)
            value = reaction.values.get(behavior, np.full(done.shape, np.nan))
            self.logged.append(
                pd.DataFrame(
                    {
                        "user": self.users[seats],
                        "item": slates[seats, positions],
                        "time": to_datetime(self.clock[seats] + place),
                        "behavior": behavior,
                        "session": self.visit_of[seats],
                        "position": positions,
                        "step": self.step_of[seats],
                        "value": value[seats, positions],
                    }
                )
            )

    def _past_of(self, users: NDArray[np.int64]) -> NDArray[np.int64]:
        """Take the last items of users, as item ids plus 1, 0 where there are fewer."""
        assert self.past is not None
        rows = self.past.user_ids.encode(users, unknown=-1)
        known = rows >= 0
        last = self.past.take(rows[known]).last(self.history)
        places = np.full((known.sum(), self.history), 0, dtype=np.int64)
        columns = self.history - 1 - last.position_from_end
        places[last.row_of_event, columns] = last.item_ids.decode(last.items) + 1
        recent = np.zeros((len(users), self.history), dtype=np.int64)
        recent[known] = places
        return recent


def _spaces(stage: Stage) -> tuple[gym.spaces.Dict, gym.Space[Any]]:
    observation = gym.spaces.Dict(
        {
            "user": gym.spaces.Discrete(stage.n_users),
            "history": gym.spaces.MultiDiscrete(np.full(stage.history, stage.n_items + 1)),
            "hour": gym.spaces.Discrete(24),
            "weekday": gym.spaces.Discrete(7),
        }
    )
    if stage.slate == 1:
        return observation, gym.spaces.Discrete(stage.n_items)
    return observation, gym.spaces.MultiDiscrete(np.full(stage.slate, stage.n_items))


class WorldEnvironment(gym.Env[Observation, Any]):
    """One visitor at a time, after the end of the world's log.

    An action is an item id, or ``slate`` of them, the first on top. An observation holds the
    ``user``, the ``history`` (the last items taken up, as item id plus 1, the newest last, 0 where
    there is none), the ``hour`` and the ``weekday`` (0 is Monday). An episode is a visit: it
    terminates when the visitor leaves and is truncated after ``steps``.

    Parameters
    ----------
    stage : Stage
        One seat.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 - gymnasium declares it so

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.observation_space, self.action_space = _spaces(stage)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Let a visitor come in: any, or the one named by ``options={"user": 7}``."""
        super().reset(seed=seed)
        user = (options or {}).get("user")
        user = int(self.np_random.integers(self.stage.n_users)) if user is None else user
        whole("options['user']", user, 0, self.stage.n_users - 1)
        self.stage.open(np.array([0]), np.array([user]))
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Show the action to the visitor."""
        slates = np.asarray(action, dtype=np.int64).reshape(1, self.stage.slate)
        reaction = self.stage.show(slates, self.np_random)
        info = {name: told[0] for name, told in (reaction.done | reaction.info).items()}
        truncated = bool(self.stage.step_of[0] >= self.stage.steps)
        return self._observe(), float(reaction.reward[0]), bool(reaction.leaves[0]), truncated, info

    def log(self) -> pd.DataFrame:
        """Give the event log of all visits so far."""
        return self.stage.log()

    def _observe(self) -> Observation:
        return {name: seats[0] for name, seats in self.stage.observe().items()}


class WorldVectorEnvironment(VectorEnv[Observation, Any, Any]):
    """Many visitors at once, for fast experiments; a seat is filled again in the next step.

    The same observations and actions as `WorldEnvironment`, with a first axis of seats.

    Parameters
    ----------
    stage : Stage
        As many seats as environments.
    """

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012 - declared so

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.num_envs = stage.n_seats
        self.single_observation_space, self.single_action_space = _spaces(stage)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Fill all seats, with ``options={"users": ids}`` or by chance."""
        if seed is not None:
            self._np_random = np.random.default_rng(seed)
        users = (options or {}).get("users")
        users = self._draw(self.num_envs) if users is None else np.asarray(users)
        if users.shape != (self.num_envs,) or users.min() < 0 or users.max() >= self.stage.n_users:
            raise ValueError(
                f"options['users'] must be {self.num_envs} user ids below {self.stage.n_users}"
            )
        self.stage.open(np.arange(self.num_envs), users)
        return self.stage.observe(), {}

    def step(
        self, actions: Any
    ) -> tuple[Observation, Any, NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Show each seat its action; who leaves is replaced by somebody by chance."""
        slates = np.asarray(actions, dtype=np.int64).reshape(self.num_envs, self.stage.slate)
        reaction = self.stage.show(slates, self.np_random)
        truncated = self.stage.step_of >= self.stage.steps
        info: dict[str, Any] = reaction.done | reaction.info
        over = np.flatnonzero(reaction.leaves | truncated)
        if len(over):
            info["final_obs"] = self.stage.observe()
            self.stage.open(over, self._draw(len(over)))
        return self.stage.observe(), reaction.reward, reaction.leaves, truncated, info

    def log(self) -> pd.DataFrame:
        """Give the event log of all visits so far."""
        return self.stage.log()

    def _draw(self, n: int) -> NDArray[np.int64]:
        return self.np_random.integers(self.stage.n_users, size=n)


def make_environment(
    world: World,
    audience: Audience,
    *,
    n_seats: int,
    vector: bool,
    slate: int,
    history: int,
    steps: int,
    past: Sequences | None,
    keep_log: bool,
) -> WorldEnvironment | WorldVectorEnvironment:
    """Put an audience into an environment."""
    stage = Stage(
        audience=audience,
        n_users=world.n_users,
        n_items=world.n_items,
        n_seats=n_seats,
        slate=whole("slate", slate, 1, world.n_items),
        history=whole("history", history, 1),
        steps=whole("steps", steps, 1),
        start=float(world.days * SECONDS_A_DAY),
        past=past,
        keep_log=keep_log,
    )
    return WorldVectorEnvironment(stage) if vector else WorldEnvironment(stage)
