"""Reading shards: what is damaged or unfinished is refused; surveys are those of the whole."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from behaviorseq import Sequences, Shards, Vocabulary, prepare, read_shards


def make_log(n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "user_code": rng.integers(0, 30, n),
            "item_code": rng.integers(0, 9, n),
            "time": rng.integers(0, 20, n),
        }
    )


LOG = make_log()
NAMES = {"user_code": "user", "item_code": "item"}


@pytest.fixture
def shards(tmp_path: Path) -> Shards:
    return prepare.write_shards(LOG, tmp_path / "log", n_shards=4)


def test_parts_are_histories_with_shared_vocabularies(shards: Shards) -> None:
    whole = Sequences.from_events(LOG.rename(columns=NAMES))
    assert len(shards) == 4
    for part, described in zip(shards, shards.parts, strict=True):
        assert part.user_ids is shards.user_ids
        assert part.item_ids is shards.item_ids
        assert part.users.tolist() == list(range(described.first, described.stop))
        for row, user in enumerate(part.users):
            assert part[row].tolist() == whole[user].tolist()
    assert shards[-1].users.tolist() == part.users.tolist()
    with pytest.raises(IndexError):
        shards[4]


def test_counts_and_lengths_are_those_of_the_whole(shards: Shards) -> None:
    whole = Sequences.from_events(LOG.rename(columns=NAMES))
    assert (shards.n_events, shards.n_users, shards.n_items) == (400, 30, 9)
    assert shards.item_counts.tolist() == whole.item_counts.tolist()
    lengths = np.concatenate([np.repeat(*pair) for pair in shards.history_lengths])
    assert sorted(lengths) == sorted(whole.lengths)


@pytest.mark.parametrize("ties", ["random", "item"])
def test_ties_follow_the_rule_and_the_seed(shards: Shards, ties: str) -> None:
    folder = shards.folder
    one = prepare.write_shards(LOG.sample(frac=1, random_state=1), folder + "1", n_shards=1)
    found = read_shards(one.folder, ties=ties, seed=7).in_memory()
    whole = Sequences.from_events(LOG.rename(columns=NAMES), ties=ties, seed=7)
    assert found.items.tolist() == whole.items.tolist()
    orders = [read_shards(folder, ties=ties, seed=s).in_memory().items.tolist() for s in (0, 0, 1)]
    assert orders[0] == orders[1]
    assert (orders[0] == orders[2]) == (ties == "item")
    assert orders[0] != shards.in_memory().items.tolist()


def test_ties_can_be_refused(shards: Shards) -> None:
    with pytest.raises(ValueError, match="share their time"):
        read_shards(shards.folder, ties="error")[0]
    with pytest.raises(ValueError, match="ties must be one of"):
        read_shards(shards.folder, ties="time")


def test_the_digest_tells_logs_and_orders_apart(shards: Shards, tmp_path: Path) -> None:
    assert read_shards(shards.folder).digest == shards.digest
    assert replace(shards, ties="random").digest != shards.digest
    other = prepare.write_shards(LOG.iloc[1:], tmp_path / "other", n_shards=4)
    assert other.digest != shards.digest


def test_a_file_that_was_changed_is_refused(shards: Shards) -> None:
    path = Path(shards.folder) / shards.parts[2].file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    shards[1]
    with pytest.raises(ValueError, match=f"{path.name} .* has been changed .*sha256 .*delete"):
        shards[2]
    path.unlink()
    with pytest.raises(ValueError, match=f"{path.name} is not in .*: delete"):
        shards[2]


def test_a_file_in_another_order_is_refused(shards: Shards) -> None:
    first, second = shards.parts[:2]
    swapped = replace(shards, parts=(replace(second, first=first.first, stop=first.stop),))
    with pytest.raises(ValueError, match="is not in order of users"):
        swapped[0]


def test_identifiers_that_were_changed_are_refused(tmp_path: Path) -> None:
    ids = Vocabulary(np.array([f"item {i}" for i in range(9)]))
    shards = prepare.write_shards(LOG, tmp_path, n_shards=2, item_ids=ids)
    (tmp_path / "items.parquet").write_bytes((tmp_path / shards.parts[0].file).read_bytes())
    with pytest.raises(ValueError, match=r"items.parquet .* has been changed"):
        read_shards(tmp_path)


def test_what_are_no_shards_is_refused(shards: Shards, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there are no shards in .*write_shards"):
        read_shards(tmp_path / "nowhere")
    manifest = Path(shards.folder) / "shards.json"
    written = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps(written | {"format": 2}), encoding="utf-8")
    with pytest.raises(ValueError, match="shards of format 2, not 1"):
        read_shards(shards.folder)
    manifest.unlink()
    with pytest.raises(ValueError, match=r"no shards.json, .* writing was interrupted"):
        read_shards(shards.folder)
