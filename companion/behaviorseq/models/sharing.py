"""What tasks share: one bottom, a mixture of experts, or experts of their own beside shared ones.

Each layer takes what a network read, (B, d), and gives each of K tasks its own view of it,
(B, K, size).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Sharing = Literal["shared", "mmoe", "ple"]


class Experts(nn.Module):
    """Some small networks beside one another, each a linear map and a ReLU.

    Parameters
    ----------
    n_experts : int
        How many.
    inputs, size : int
        Numbers that go into each, and that come out.

    Examples
    --------
    >>> Experts(3, inputs=8, size=5)(torch.zeros(2, 8)).shape
    torch.Size([2, 3, 5])
    """

    def __init__(self, n_experts: int, inputs: int, size: int) -> None:
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter(torch.empty(n_experts, inputs, size).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(n_experts, size).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Show the same input to all experts."""
        out = torch.einsum("bi,eio->beo", x, self.weight)  # (B, E, size)
        found: Tensor = torch.relu(out + self.bias)
        return found


class SharedBottom(nn.Module):
    """One network for all tasks, which differ above it only.

    Caruana, Multitask learning, Machine Learning 28(1), 1997.

    Parameters
    ----------
    inputs, size : int
        Numbers that go in, and that each task gets.
    n_tasks : int
        Number of tasks.
    """

    def __init__(self, inputs: int, size: int, n_tasks: int) -> None:
        super().__init__()
        self.n_tasks = n_tasks
        self.experts = Experts(1, inputs, size)

    def forward(self, x: Tensor) -> Tensor:
        """Give all tasks the same."""
        bottom: Tensor = self.experts(x)  # (B, 1, size)
        return bottom.expand(-1, self.n_tasks, -1)  # (B, K, size)


class MMoE(nn.Module):
    """Multi-gate mixture of experts: each task mixes shared experts by a gate of its own.

    Ma et al., Modeling task relationships in multi-task learning with multi-gate
    mixture-of-experts, KDD 2018, 10.1145/3219819.3220007: its mixture for task k is the sum over i
    of g_ki(x) f_i(x), with g_k(x) = softmax(W_k x).

    Parameters
    ----------
    inputs, size : int
        Numbers that go in, and that each expert gives.
    n_tasks, n_experts : int
        Numbers of tasks and of experts.

    Examples
    --------
    >>> layer = MMoE(8, 5, n_tasks=2, n_experts=3)
    >>> layer(torch.zeros(4, 8)).shape, layer.weights(torch.zeros(4, 8)).shape
    (torch.Size([4, 2, 5]), torch.Size([4, 2, 3]))
    """

    def __init__(self, inputs: int, size: int, n_tasks: int, n_experts: int) -> None:
        super().__init__()
        self.experts = Experts(n_experts, inputs, size)
        self.gates = nn.Linear(inputs, n_tasks * n_experts, bias=False)
        self.shape = (n_tasks, n_experts)

    def weights(self, x: Tensor) -> Tensor:
        """Give what each task's gate lets through of each expert; each task's have sum 1."""
        logits: Tensor = self.gates(x).unflatten(1, self.shape)  # (B, K, E)
        return logits.softmax(dim=2)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the experts for each task."""
        known: Tensor = self.experts(x)  # (B, E, size)
        return self.weights(x) @ known  # (B, K, E) @ (B, E, size) = (B, K, size)


class Extraction(nn.Module):
    """One level of PLE: each task mixes its own experts and shared ones, by a gate.

    Parameters
    ----------
    inputs, size : int
        Numbers that go in, and that each expert gives.
    n_tasks : int
        Number of tasks.
    own, shared : int
        Experts of each task, and shared ones.
    last : bool
        Whether no level follows: then nothing shared comes out.
    """

    def __init__(
        self, inputs: int, size: int, n_tasks: int, *, own: int, shared: int, last: bool
    ) -> None:
        super().__init__()
        self.own = nn.ModuleList(Experts(own, inputs, size) for _ in range(n_tasks))
        self.shared = Experts(shared, inputs, size)
        self.gates = nn.ModuleList(
            nn.Linear(inputs, own + shared, bias=False) for _ in range(n_tasks)
        )
        every = n_tasks * own + shared
        self.shared_gate = None if last else nn.Linear(inputs, every, bias=False)

    def forward(self, views: Tensor, common: Tensor) -> tuple[Tensor, Tensor]:
        """Give new views of the tasks, (B, K, inputs) to (B, K, size), and of what is shared."""
        owned = [experts(views[:, k]) for k, experts in enumerate(self.own)]  # K of (B, own, size)
        shared = self.shared(common)  # (B, shared, size)
        mixed = []
        for k, gate in enumerate(self.gates):
            weights = gate(views[:, k]).softmax(dim=1)  # (B, own + shared)
            seen = torch.cat([owned[k], shared], dim=1)  # (B, own + shared, size)
            mixed.append((weights[:, None] @ seen)[:, 0])  # (B, size)
        if self.shared_gate is not None:
            weights = self.shared_gate(common).softmax(dim=1)  # (B, K own + shared)
            common = (weights[:, None] @ torch.cat([*owned, shared], dim=1))[:, 0]  # (B, size)
        return torch.stack(mixed, dim=1), common  # (B, K, size), (B, size)


class PLE(nn.Module):
    """Progressive layered extraction: levels of own and shared experts, one on the other.

    Tang et al., Progressive layered extraction (PLE): A novel multi-task learning (MTL) model for
    personalized recommendations, RecSys 2020, 10.1145/3383313.3412236. With one level it is the
    paper's CGC (customized gate control).

    Parameters
    ----------
    inputs, size : int
        Numbers that go in, and that each expert gives.
    n_tasks : int
        Number of tasks.
    own, shared : int
        Experts of each task, and shared ones, at each level.
    levels : int
        Number of levels.

    Examples
    --------
    >>> PLE(8, 5, n_tasks=2, levels=2)(torch.zeros(4, 8)).shape
    torch.Size([4, 2, 5])
    """

    def __init__(
        self,
        inputs: int,
        size: int,
        n_tasks: int,
        *,
        own: int = 1,
        shared: int = 1,
        levels: int = 1,
    ) -> None:
        super().__init__()
        self.n_tasks = n_tasks
        self.levels = nn.ModuleList(
            Extraction(
                size if level else inputs,
                size,
                n_tasks,
                own=own,
                shared=shared,
                last=level == levels - 1,
            )
            for level in range(levels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Extract level by level."""
        views, common = x[:, None].expand(-1, self.n_tasks, -1), x  # (B, K, d), (B, d)
        for level in self.levels:
            views, common = level(views, common)  # (B, K, size), (B, size)
        return views


def make_sharing(kind: Sharing, inputs: int, size: int, n_tasks: int, n_experts: int) -> nn.Module:
    """Make a layer between what was read and the tasks, of about the same size for each kind.

    Parameters
    ----------
    kind : {"shared", "mmoe", "ple"}
        What the tasks share.
    inputs, size : int
        Numbers that go in, and that all experts together give.
    n_tasks : int
        Number of tasks.
    n_experts : int
        Experts of an MMoE. A PLE has one of each task and as many shared ones as are left, one at
        least; a shared bottom has one, as large as all.

    Returns
    -------
    nn.Module
        One of the layers above; what each task gets is
        ``size`` over :func:`n_banks`.

    Examples
    --------
    >>> kinds = [make_sharing(kind, 32, 96, 4, 6) for kind in ("shared", "mmoe", "ple")]
    >>> [sum(p.numel() for p in kind.parameters()) for kind in kinds]
    [3168, 3936, 3552]
    """
    n = n_banks(kind, n_tasks, n_experts)
    if kind == "shared":
        return SharedBottom(inputs, size, n_tasks)
    if kind == "mmoe":
        return MMoE(inputs, size // n, n_tasks, n)
    return PLE(inputs, size // n, n_tasks, own=1, shared=n - n_tasks)


def n_banks(kind: Sharing, n_tasks: int, n_experts: int) -> int:
    """Give how many experts a layer of :func:`make_sharing` has.

    Examples
    --------
    >>> [n_banks(kind, 4, 6) for kind in ("shared", "mmoe", "ple")]
    [1, 6, 6]
    """
    return {"shared": 1, "mmoe": n_experts, "ple": max(n_experts, n_tasks + 1)}[kind]
