"""The real files of Open Bandit: what is stated is counted in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from behaviorseq.bandit_log import BanditLog
from behaviorseq.datasets import describe
from behaviorseq.datasets.open_bandit import _FEATURES
from behaviorseq.events import validate

if TYPE_CHECKING:
    from collections.abc import Callable

    from behaviorseq.datasets import Dataset


@pytest.mark.parametrize("campaign", ["all", "men", "women"])
def test_tables_are_as_stated(campaign: str, real: Callable[..., Dataset]) -> None:
    data = real("open-bandit", campaign)
    events, notes = data.events, data.source.notes
    report = validate(events)
    assert report.n_items == data.source.items[campaign] == len(data.items)
    assert tuple(report.behaviors) == data.source.behaviors
    assert not events.isna().any(axis=None)
    assert data.items["item"].tolist() == list(range(len(data.items)))
    assert data.users["user"].tolist() == sorted(events["user"].unique())
    assert not data.users[_FEATURES].duplicated().any()
    assert (events.groupby("policy").size() == 10_000).all()
    clicks = events.groupby("policy")["click"].sum()
    assert f"{clicks['random']} and {clicks['bts']} ({campaign})" in notes
    assert set(events["position"]) == {0, 1, 2}


def test_default_campaign_and_times(real: Callable[..., Dataset]) -> None:
    data, every = real("open-bandit"), real("open-bandit", "all")
    assert data.events.equals(every.events)
    assert len(data.events) == data.source.n_events
    assert len(data.users) == data.source.n_users
    report = describe(data)
    assert f"{report['first']:%Y-%m-%d} to {report['last']:%Y-%m-%d}" in data.source.times


def test_propensities_are_those_of_the_policies(real: Callable[..., Dataset]) -> None:
    data = real("open-bandit")
    parts = dict(iter(data.events.groupby("policy")))
    assert (parts["random"]["propensity"] == 1 / 80).all()
    learned = parts["bts"]
    # A propensity that is true: over items, 1 / propensity of what was shown averages to 80.
    weights = 1 / learned["propensity"]
    error = weights.std() / np.sqrt(len(weights))
    assert abs(weights.mean() - 80) < 4 * error
    log = BanditLog(learned["item"], learned["click"], learned["propensity"], n_actions=80)
    assert log.rewards.sum() == 42
