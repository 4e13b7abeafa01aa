"""Fixtures of the data sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from behaviorseq.datasets import Dataset, FetchError, load

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def real() -> Callable[..., Dataset]:
    """Load a real data set once, or skip the test where its files cannot be had."""
    loaded: dict[tuple[str, str | None], Dataset] = {}

    def get(name: str, item: str | None = None) -> Dataset:
        if (name, item) not in loaded:
            try:
                loaded[name, item] = load(name, item=item)
            except FetchError as error:
                pytest.skip(f"the files of {name} cannot be had here: {error}")
        return loaded[name, item]

    return get
