"""Learning from logged visits what to show, so that the whole visit pays.

All models here read a visit with one network, :class:`behaviorseq.models.visits.VisitNetwork`;
what differs is what they are trained towards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from scipy.special import softmax
from torch.nn import functional as F  # noqa: N812 - the name that PyTorch's users know

from behaviorseq.arguments import whole
from behaviorseq.models.visits import Steps, VisitModel, VisitNetwork
from behaviorseq.optional import optional

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import gymnasium as gym
    from numpy.typing import NDArray
    from torch import Tensor

    from behaviorseq.simulate.topics import TopicVisits, Visits


def double_q_targets(
    rewards: Tensor, mask: Tensor, online: Tensor, target: Tensor, discount: float
) -> Tensor:
    r"""Give :math:`r_t + \gamma\, Q'(s_{t+1}, \arg\max_a Q(s_{t+1}, a))`, without gradient.

    Parameters
    ----------
    rewards, mask : Tensor
        Shape (n, steps); the mask is True where there was a step, and a visit's last True is its
        end.
    online, target : Tensor
        :math:`Q` and :math:`Q'` in the states before each step and after the last, shape
        (n, steps + 1, n_actions).
    discount : float
        :math:`\gamma`.

    Returns
    -------
    Tensor
        Shape (n, steps).

    References
    ----------
    Van Hasselt, Guez and Silver, Deep reinforcement learning with double Q-learning, AAAI 2016,
    arXiv:1509.06461.

    Examples
    --------
    >>> one = torch.ones(1, 3, 2)
    >>> double_q_targets(torch.tensor([[1.0, 0.0]]), torch.tensor([[True, True]]), one, one, 0.5)
    tensor([[1.5000, 0.0000]])
    """
    with torch.no_grad():
        best = online[:, 1:].argmax(dim=2, keepdim=True)  # (n, steps, 1)
        ahead = target[:, 1:].gather(2, best)[:, :, 0]  # (n, steps)
        follows = F.pad(mask[:, 1:], (0, 1)).float()
        return rewards + discount * follows * ahead


def returns(rewards: Tensor, discount: float) -> Tensor:
    r"""Give :math:`R_t = \sum_{u \ge t} \gamma^{u - t} r_u`, shape (n, steps).

    Examples
    --------
    >>> returns(torch.tensor([[1.0, 0.0, 4.0]]), 0.5)
    tensor([[2., 2., 4.]])
    """
    steps = torch.arange(rewards.shape[1])
    ahead = steps - steps[:, None]
    weights = torch.where(ahead >= 0, discount ** ahead.clamp(min=0).float(), 0.0)
    return rewards @ weights.T


def top_k_multiplier(chances: Tensor, k: int) -> Tensor:
    r"""Give :math:`\lambda_K = K (1 - \pi)^{K-1}`, by which top-K REINFORCE scales the gradient.

    The derivative of :math:`1 - (1 - \pi)^K`, the probability that an action is among K draws: what
    is already likely to be on the page is pushed no further.

    References
    ----------
    Chen, Beutel, Covington, Jain, Belletti and Chi, Top-K off-policy correction for a REINFORCE
    recommender system, WSDM 2019, arXiv:1812.02353, equation 7.

    Examples
    --------
    >>> top_k_multiplier(torch.tensor([0.0, 0.5, 1.0]), k=2)
    tensor([2., 1., 0.])
    """
    return k * (1 - chances) ** (whole("k", k, 1) - 1)


@dataclass(eq=False, kw_only=True)
class SQN(VisitModel):
    r"""Self-supervised Q-learning: a sequence model that predicts clicks and learns values.

    One head says which topic is clicked next (cross-entropy at the clicked steps), the other what
    showing a topic is worth over the rest of the visit (double Q-learning on all steps); both
    losses train the network that they share. With discount 0 the second head is a click model, and
    choosing by it is greedy.

    Parameters
    ----------
    supervised : float
        Weight of the cross-entropy, 0 or more.
    head : {"value", "policy"}
        Which head chooses.
    copy_every : int
        Steps of training after which the target network is renewed.
    others
        See :class:`VisitModel`.

    References
    ----------
    Xin, Karatzoglou, Arapakis and Jose, Self-supervised reinforcement learning for recommender
    systems, SIGIR 2020, arXiv:2006.05779. There logs hold only what was clicked or bought, and two
    networks are the target in turn; here logs hold what was shown too, and an older copy is.
    """

    supervised: float = 1.0
    head: Literal["value", "policy"] = "value"
    copy_every: int = 50

    def begin(self) -> None:
        """Copy the network."""
        self._target = VisitNetwork(self.network.n_topics, self.width)
        self._target.load_state_dict(self.network.state_dict())
        self._seen = 0

    def loss(self, steps: Steps) -> Tensor:
        """Give the squared error of values plus the cross-entropy of clicks."""
        read = (steps.past, steps.topics, steps.clicks)
        states = self.network(*read)
        values = self.network.value(states)[..., 0]  # (n, steps + 1, n_topics)
        wanted = self._wanted(steps, values) if self.discount > 0 else steps.clicks
        chosen = values[:, :-1].gather(2, steps.topics[:, :, None])[:, :, 0]
        error = ((chosen - wanted)[steps.mask] ** 2).mean()
        clicked = steps.mask & (steps.clicks > 0)
        if self.supervised == 0 or not clicked.any():
            return torch.as_tensor(error)
        logits = self.network.policy(states[:, :-1][clicked])[..., 0]
        more = F.cross_entropy(logits, steps.topics[clicked])
        return torch.as_tensor(error + self.supervised * more)

    def _wanted(self, steps: Steps, values: Tensor) -> Tensor:
        """Give the targets, by a target network that is renewed now and then."""
        if self._seen % self.copy_every == 0:
            self._target.load_state_dict(self.network.state_dict())
        self._seen += 1
        with torch.no_grad():
            older = self._target.value(self._target(steps.past, steps.topics, steps.clicks))
        return double_q_targets(steps.clicks, steps.mask, values, older[..., 0], self.discount)

    def scores(self, states: Tensor) -> Tensor:
        """Give what the chosen head says."""
        head = self.network.value if self.head == "value" else self.network.policy
        return torch.as_tensor(head(states)[..., 0])


@dataclass(eq=False, kw_only=True)
class TopKReinforce(VisitModel):
    r"""REINFORCE from a log of another policy, for pages of K.

    The gradient is :math:`\sum_t \rho_t\, \lambda_K\, (R_t - b_t)\, \nabla \log \pi(a_t \mid s_t)`:
    :math:`\rho_t = \min(c, \pi / \beta)` corrects for the policy :math:`\beta` that made the log
    (to first order: earlier steps are not weighted), :math:`\lambda_K` is :func:`top_k_multiplier`,
    :math:`b_t` the mean return at step t of the batch, which lowers the variance.

    Parameters
    ----------
    k : int
        Length of a page.
    cap : float
        :math:`c`, above 0.
    correct : bool
        Whether to correct at all; without, it imitates what paid under the log's policy.
    others
        See :class:`VisitModel`.

    References
    ----------
    Chen et al., arXiv:1812.02353, equations 3, 6 and 8. There :math:`\beta` is estimated, and steps
    without a reward are left out; here the log knows it, and the baseline makes them count.
    """

    k: int = 1
    cap: float = 5.0
    correct: bool = True

    def loss(self, steps: Steps) -> Tensor:
        """Give minus the surrogate whose gradient is the one above."""
        states = self.network(steps.past, steps.topics, steps.clicks)[:, :-1]
        log_pi = self.network.policy(states)[..., 0].log_softmax(dim=2)
        log_pi = log_pi.gather(2, steps.topics[:, :, None])[:, :, 0]  # (n, steps)
        chances = log_pi.detach().exp()
        weights = (chances / steps.chances).clamp(max=self.cap) if self.correct else 1.0
        gained = returns(steps.clicks, self.discount)
        here = steps.mask.float()
        baseline = (gained * here).sum(dim=0) / here.sum(dim=0).clamp(min=1)
        pushed = weights * top_k_multiplier(chances, self.k) * (gained - baseline) * here
        return torch.as_tensor(-(pushed * log_pi).sum() / here.sum())

    def scores(self, states: Tensor) -> Tensor:
        """Give the logits of the policy."""
        return torch.as_tensor(self.network.policy(states)[..., 0])

    def shares(self, visits: TopicVisits) -> NDArray[np.float64]:
        """Give the policy's probability of each topic on each seat, shape (n_seats, n_topics)."""
        return np.asarray(softmax(self.score_visits(visits).astype(np.float64), axis=1))


def learn_online(
    visits: TopicVisits,
    model: VisitModel,
    *,
    batches: Sequence[int] = (1, 1, 2, 4, 8),
    explore: float = 0.1,
    seed: int = 0,
) -> list[Visits]:
    """Let a model choose for visitors, and learn from all so far after each batch of them.

    The first batch is shown topics by chance. From then on ``explore`` of the choices are made by
    chance, and the others as the model would (``shares``). The probabilities are noted, so that a
    correction for the policies of before is possible.

    Parameters
    ----------
    visits : TopicVisits
        Where it learns; users come by chance.
    model : VisitModel
        What learns, anew after each batch but the last.
    batches : sequence of int
        How often all seats are filled in each batch.
    explore : float
        Share of the choices that are made by chance, 0 to 1.
    seed : int
        Of users, choices, and what visitors do.

    Returns
    -------
    list of Visits
        What happened in each batch.

    Raises
    ------
    ValueError
        If a batch is no whole number of 1 or more, or ``explore`` is out of range.
    """
    from behaviorseq.simulate.topics import Mixture, join, play  # they need an optional library

    made: list[Visits] = []
    rng = np.random.default_rng(seed)
    policy = Mixture(chance=1.0, seed=seed)
    visits.environment.reset(seed=seed)
    for number, times in enumerate(batches):
        if made:
            likes = model.fit(join(made)).shares
            policy = Mixture(chance=explore, likes=likes, seed=seed + number)
        users = rng.integers(0, visits.shop.n_users, (whole("batches", times, 1), visits.n_seats))
        made.append(join([play(visits, policy, each) for each in users]))
    return made


def fit_dqn(
    environment: gym.Env[Any, Any], *, steps: int, seed: int = 0, **options: Any
) -> Callable[[TopicVisits], NDArray[np.int64]]:
    """Train stable-baselines3's DQN online, and give its greedy policy for many seats.

    Parameters
    ----------
    environment : gymnasium.Env
        Where it learns, one visitor at a time: a
        :class:`~behaviorseq.simulate.topics.TopicEnvironment`, or a wrapper of one.
    steps : int
        Items shown in training.
    seed : int
        Of weights, exploration and batches.
    **options
        Of ``stable_baselines3.DQN``.

    Returns
    -------
    callable
        Gives a topic for each seat of visits.

    Raises
    ------
    ImportError
        If stable-baselines3 is not installed.
    """
    library = optional("stable_baselines3", "rl")
    model = library.DQN("MlpPolicy", environment, seed=seed, device="cpu", **options)
    model.learn(whole("steps", steps, 1))

    def choose(visits: TopicVisits) -> NDArray[np.int64]:
        return np.asarray(model.predict(visits.observe(), deterministic=True)[0])

    return choose
