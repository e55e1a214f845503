"""Relative differences of errors, and how they are written."""

from __future__ import annotations

from nextrung.compute.intervals import Comparison, PairedDifference
from nextrung.reports.sections.verdicts.differences import Difference


def differ(
    ratio: float, low: float, high: float, p_adjusted: float = 0.01
) -> Difference:
    found = PairedDifference(
        difference=ratio - 1,
        reference=1.0,
        ratio=ratio,
        low=low,
        high=high,
        p_value=0.01,
        n_materials=40,
        n_repeats=3,
    )
    return Difference.of(Comparison(found, p_adjusted))


def test_differences_are_shown_in_per_cent_of_the_other_error() -> None:
    found = differ(0.5, 0.25, 0.8)
    assert found.format() == "−50 % (−75 to −20)".replace("−", "\N{MINUS SIGN}")
    assert found.is_lower
    assert not found.is_higher
    assert differ(2.0, 1.2, 31.0).format() == "+100 % (+20 to +3,000)"
    assert found.n_repeats == 3


def test_a_lead_whose_interval_holds_zero_is_not_shown() -> None:
    found = differ(0.5, 0.2, 1.1)
    assert not found.is_lower
    assert not found.is_higher


def test_a_lead_that_is_one_of_many_comparisons_is_not_shown() -> None:
    assert not differ(0.5, 0.25, 0.8, p_adjusted=0.2).is_lower
    assert not differ(2.0, 1.2, 3.0, p_adjusted=0.2).is_higher


def test_rounding_is_no_difference() -> None:
    found = differ(1 - 1e-9, 1 - 1e-9, 1 - 1e-9)
    assert not found.is_lower


def test_no_percentage_is_given_of_a_zero_error() -> None:
    assert differ(1e9, 1e9, 1e9).format() == "the other error is zero"
    assert differ(2.0, 1.0, 1e9).format() == "+100 % (+0 to infinity)"
