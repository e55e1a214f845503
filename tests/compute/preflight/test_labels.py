"""Checks of labels: mixtures of settings, and runs that do not fit the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nextrung.compute.preflight import check_mixtures, check_outliers
from nextrung.schemas.labels.identity import IdentityValue, Mixture, Outlier
from nextrung.schemas.preflight import CheckOutcome, PreflightSettings

if TYPE_CHECKING:
    from collections.abc import Sequence


def make_mixture(field: str, difference: float | None) -> Mixture:
    values = [
        IdentityValue(field=field, value=value, n_runs=n, example="a")
        for value, n in (("x", 3), ("y", 1))
    ]
    formula = None if difference is None else "MnO"
    return Mixture(
        field=field, values=values, energy_difference=difference, composition=formula
    )


def test_labels_of_one_kind_pass() -> None:
    assert check_mixtures([]).outcome is CheckOutcome.PASSED


def test_a_mixture_is_a_warning_with_its_size() -> None:
    fields: Sequence[tuple[str, float | None]] = (
        ("potential Mn", 0.087),
        ("smearing", None),
        ("version", None),
        ("code", None),
    )

    check = check_mixtures([make_mixture(*field) for field in fields])

    assert check.outcome is CheckOutcome.WARNING
    assert "potential Mn x (3), y (1), 87 meV/atom apart for MnO" in check.finding
    assert check.finding.endswith("; 1 more")


def make_outliers(*kinds: str) -> list[Outlier]:
    return [Outlier(run_id="run-4", kind=kind, reason="too low") for kind in kinds]


@pytest.mark.parametrize(
    ("kinds", "n_runs", "outcome"),
    [
        (["energy"], 5, CheckOutcome.WARNING),
        (["energy", "stress"], 100, CheckOutcome.WARNING),
        (["energy", "stress"], 5, CheckOutcome.FAILED),
        (["forces"], 5, CheckOutcome.FAILED),
    ],
)
def test_wrong_units_stop_a_study_and_energies_are_a_warning(
    kinds: list[str], n_runs: int, outcome: CheckOutcome
) -> None:
    """Energies of molecules such as O2 differ between functionals, and are right."""
    check = check_outliers(make_outliers(*kinds), n_runs, PreflightSettings())

    assert check.outcome is outcome
    assert check.finding == f"1 of {n_runs} runs: run-4: too low"


def test_runs_that_fit_pass() -> None:
    check = check_outliers([], 30, PreflightSettings())

    assert (check.outcome, check.finding) == (CheckOutcome.PASSED, "none of 30 runs")


def test_labels_without_forces_are_not_said_to_have_the_right_unit() -> None:
    check = check_outliers([], 30, PreflightSettings(), has_forces=False)

    assert check.finding.endswith("; no frame has forces or stresses to compare")
