"""Identifiers to codes and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviorseq import Vocabulary


@given(
    st.one_of(
        st.tuples(st.sets(st.integers(-9, 9), min_size=1), st.lists(st.integers(-12, 12))),
        st.tuples(st.sets(st.text(max_size=2), min_size=1), st.lists(st.text(max_size=2))),
    )
)
def test_encode_then_decode(case: tuple[set, list]) -> None:
    ids, values = case
    dtype = object if isinstance(next(iter(ids)), str) else np.int64
    vocabulary = Vocabulary(np.array(sorted(ids), dtype=dtype))
    known = [v for v in values if v in ids] + sorted(ids)
    codes = vocabulary.encode(known)
    assert codes.dtype == np.int32
    assert codes.tolist() == [sorted(ids).index(v) for v in known]
    assert vocabulary.decode(codes).tolist() == known
    marked = vocabulary.encode(values, unknown=-7)
    assert (marked == -7).tolist() == [v not in ids for v in values]
    assert vocabulary.decode(marked[marked >= 0]).tolist() == [v for v in values if v in ids]


def test_what_has_no_code_or_no_identifier_is_refused() -> None:
    vocabulary = Vocabulary(np.array([2, 5]))
    with pytest.raises(ValueError, match=r"2 values are not in the vocabulary of 2.*\[3, 4\]"):
        vocabulary.encode([2, 3, 4])
    with pytest.raises(
        ValueError, match=r"codes must be 0 or more and below 2, but there are \[2\]"
    ):
        vocabulary.decode([0, 2])
    with pytest.raises(ValueError, match=r"there are \[-1\]"):
        vocabulary.decode([-1, 0])


@pytest.mark.parametrize("ids", [[2, 1], [1, 1], [1.0, np.nan], [[1, 2]]])
def test_ids_out_of_order_are_refused(ids: list) -> None:
    with pytest.raises(ValueError, match=r"sorted, without repetition"):
        Vocabulary(np.array(ids))


def test_ids_of_two_types_are_refused() -> None:
    with pytest.raises(TypeError, match="not supported between"):
        Vocabulary(np.array([1, "a"], dtype=object))


def test_ids_cannot_be_written_to() -> None:
    ids = np.array([1, 2])
    with pytest.raises(ValueError, match="read-only"):
        Vocabulary(ids).ids[0] = 9
    ids[0] = 0  # the caller's own array stays the caller's
