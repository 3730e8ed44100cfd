"""Packing summaries into bytes: no number is lost, and those of windows take few bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftwatch.errors import MessageError
from driftwatch.stats.summary import GRID, on_grid
from driftwatch.stats.sums import Sums, keep
from driftwatch.stream.packing import AT_ONCE, CHUNK, pack, pack_each, unpack, unpack_each

ON_GRID = st.integers(-(1 << 60), 1 << 60).map(lambda units: units * GRID)


@given(st.lists(st.one_of(st.floats(), ON_GRID, st.integers(-300, 300).map(float)), max_size=3 * CHUNK))
def test_every_number_is_unpacked_unchanged(numbers: list[float]) -> None:
    values = np.array(numbers, dtype=np.float64)
    assert np.array_equal(unpack(pack(keep(values)), len(values)).values, values, equal_nan=True)


@pytest.mark.parametrize("width", range(1, 8))
@pytest.mark.parametrize("sign", [1, -1])
def test_a_number_is_as_wide_as_necessary(width: int, sign: int) -> None:
    largest = sign * ((1 << min(8 * width - 1, 53)) - 1)
    packed = pack(keep(np.full(CHUNK, largest * GRID)))
    assert len(packed) == 1 + CHUNK * width
    assert (unpack(packed, CHUNK).values == largest * GRID).all()


@given(
    st.lists(
        st.lists(st.one_of(ON_GRID, st.floats(), st.integers(-(1 << 31), 1 << 31).map(lambda units: units * GRID))),
        max_size=6,
    )
)
def test_packing_several_equals_packing_each(several: list[list[float]]) -> None:
    sums = [keep(np.array(numbers, dtype=np.float64)) for numbers in several]
    assert pack_each(sums) == [pack(each) for each in sums]


@pytest.mark.parametrize("count", [1, AT_ONCE, 2 * AT_ONCE + 1])
def test_packing_many_of_one_length_equals_packing_each(count: int) -> None:
    rng = np.random.default_rng(count)
    scales = 10.0 ** rng.integers(-3, 6, (count, 1, 5))
    values = on_grid((rng.standard_normal((count, 50, 5)) * scales).reshape(count, -1))
    sums = [keep(each) for each in values]
    assert count == 1 or len({each.large is None for each in sums}) == 2
    assert pack_each(sums) == [pack(each) for each in sums]


@pytest.mark.parametrize("count", [1, AT_ONCE, 2 * AT_ONCE + 1])
def test_of_many_that_are_unpacked_together_each_is_whole_or_refused(count: int) -> None:
    rng = np.random.default_rng(count)
    scales = 10.0 ** rng.integers(-3, 12, (count, 1, 5))
    sums = [keep(each) for each in on_grid((rng.standard_normal((count, 50, 5)) * scales).reshape(count, -1))]
    packed = [pack(each) for each in sums]
    packed += [pack(keep(np.arange(70.0))), packed[0][:-1], b"", pack(keep(np.array([])))]
    *found, other, short, empty, none = unpack_each(packed, [*([250] * count), 70, 250, 40, 0])
    for each, expected in zip(found, sums, strict=True):
        assert isinstance(each, Sums)
        assert np.array_equal(each.values, expected.values)
    assert isinstance(other, Sums)
    assert other.values.tolist() == list(range(70))
    assert isinstance(none, Sums)
    assert len(none) == 0
    assert [str(each) for each in (short, empty)] == [f"does not hold {n} packed numbers" for n in (250, 40)]


def test_sums_take_a_third_of_double_precision() -> None:
    sums = on_grid(np.random.default_rng(0).standard_normal((100, 1_000)).sum(0))
    assert len(pack(keep(sums))) < 0.4 * sums.nbytes


@pytest.mark.parametrize(
    "spoil",
    [lambda packed: packed[:-1], lambda packed: packed + b"\0", lambda packed: b"\x09" + packed[1:], lambda _: b""],
)
def test_other_bytes_are_refused(spoil) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(MessageError, match="does not hold 40 packed numbers"):
        unpack(spoil(pack(keep(np.ones(40)))), 40)
