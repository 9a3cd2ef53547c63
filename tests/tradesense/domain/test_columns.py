"""Columns of exact decimals equal what Decimal gives, to the last digit."""

from decimal import Decimal, InvalidOperation

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradesense.domain.columns import ExactColumn
from tradesense.domain.money import exact

small = st.decimals(min_value=-(10**7), max_value=10**7, places=2)
shares = st.decimals(min_value=-(10**6), max_value=10**6, places=12)
wide = st.builds(
    lambda digits, places: Decimal(digits).scaleb(-places), st.integers(-(10**48), 10**48), st.integers(20, 24)
)
extreme = st.sampled_from(
    [Decimal(2**63 - 1), Decimal(-(2**63)), Decimal(2**63), Decimal("1E+20"), Decimal("-1E-20"), Decimal("-0.00")]
)
numbers = st.one_of(small, shares, wide, extreme)
columns = st.one_of(st.lists(small), st.lists(shares), st.lists(numbers))


def total(values: list[Decimal]) -> Decimal:
    with exact():
        return sum(values, Decimal(0))


@given(columns)
def test_a_column_holds_the_values_it_was_given(values: list[Decimal]) -> None:
    column = ExactColumn.of(values)
    assert column.decimals() == values
    assert len(column) == len(values)


@given(columns)
def test_a_sum_equals_the_decimal_sum(values: list[Decimal]) -> None:
    assert ExactColumn.of(values).sum() == total(values)


@given(
    columns.flatmap(
        lambda values: st.tuples(
            st.just(values), st.lists(st.integers(0, 4), min_size=len(values), max_size=len(values))
        )
    )
)
def test_sums_by_group_equal_the_decimal_sums(case: tuple[list[Decimal], list[int]]) -> None:
    values, groups = case
    sums = ExactColumn.of(values).sum_by(np.array(groups, np.int64), 5)
    assert sums.decimals() == [
        total([v for v, g in zip(values, groups, strict=True) if g == group]) for group in range(5)
    ]


@given(st.lists(columns, max_size=5))
def test_concatenated_columns_hold_all_values_in_order(parts: list[list[Decimal]]) -> None:
    joined = ExactColumn.concatenate([ExactColumn.of(part) for part in parts])
    assert joined.decimals() == [value for part in parts for value in part]


@given(st.lists(st.tuples(numbers, numbers)))
def test_a_difference_equals_the_decimal_difference(pairs: list[tuple[Decimal, Decimal]]) -> None:
    left, right = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    with exact():
        expected = [one - two for one, two in pairs]
    assert (ExactColumn.of(left) - ExactColumn.of(right)).decimals() == expected


@given(columns)
def test_signs_compare_each_value_with_zero(values: list[Decimal]) -> None:
    assert ExactColumn.of(values).signs().tolist() == [(value > 0) - (value < 0) for value in values]


@given(st.lists(st.tuples(numbers, numbers)))
def test_signs_of_differences_are_exact(pairs: list[tuple[Decimal, Decimal]]) -> None:
    column = ExactColumn.of([pair[0] for pair in pairs]) - ExactColumn.of([pair[1] for pair in pairs])
    assert column.signs().tolist() == [(one > two) - (one < two) for one, two in pairs]


@given(st.lists(small))
def test_floats_of_ordinary_money_are_the_nearest_floats(values: list[Decimal]) -> None:
    assert ExactColumn.of(values).floats().tolist() == [float(value) for value in values]


@given(columns)
def test_floats_of_any_number_are_within_a_few_units_of_the_last_place(values: list[Decimal]) -> None:
    assert ExactColumn.of(values).floats() == pytest.approx([float(value) for value in values], rel=1e-14, abs=0)


@given(columns.filter(bool))
def test_the_extremes_are_exact(values: list[Decimal]) -> None:
    column = ExactColumn.of(values)
    assert (column.smallest(), column.largest()) == (min(values), max(values))


@given(columns)
def test_a_mask_and_an_index_take_the_same_values(values: list[Decimal]) -> None:
    column = ExactColumn.of(values)
    mask = column.signs() > 0
    expected = [value for value in values if value > 0]
    assert column.take(mask).decimals() == column.take(np.flatnonzero(mask)).decimals() == expected


def test_a_sum_beyond_64_bits_is_exact() -> None:
    assert ExactColumn.of([Decimal(2**62)] * 9).sum() == 9 * 2**62
    assert ExactColumn.of([Decimal(2**62)] * 9).sum_by(np.zeros(9, np.int64), 1).decimals() == [Decimal(9 * 2**62)]


def test_a_column_takes_the_smallest_scale_that_holds_its_values() -> None:
    assert ExactColumn.of([Decimal("0.500000000000"), Decimal("2.25")]).scale == 2
    assert ExactColumn.of([Decimal("0.00"), Decimal("0E-12")]).scale == 0
    assert len(ExactColumn.of([Decimal("10000000.000000000000")]).limbs) == 1


def test_a_number_that_is_not_finite_is_refused() -> None:
    with pytest.raises(InvalidOperation, match="finite"):
        ExactColumn.of([Decimal(1), Decimal("NaN")])


def test_an_empty_column_sums_to_zero_and_has_no_extremes() -> None:
    assert ExactColumn.of([]).sum() == 0
    assert ExactColumn.concatenate([]).decimals() == []
    with pytest.raises(ValueError, match="zero-size"):
        ExactColumn.of([]).largest()
