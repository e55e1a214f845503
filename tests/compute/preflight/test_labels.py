"""Checks of labels: mixtures of settings, and runs that do not fit the others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.compute.preflight import check_mixtures, check_outliers
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.identity import IdentityValue, Mixture
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


@pytest.fixture
def frames() -> Frames:
    """Two frames of each of thirty runs of cobalt oxides."""
    counts = np.random.default_rng(0).integers(1, 4, (30, 2))
    structures = []
    for n_metals, n_anions in counts:
        species = ["Co"] * n_metals + ["O"] * n_anions
        sites = np.linspace(0, 0.5, len(species))[:, None] + [0] * 3
        structures += 2 * [Structure(Lattice.cubic(4), species, sites)]
    names = [f"run-{index // 2}#{index % 2}" for index in range(60)]
    made = Frames.from_structures(structures, names, functional="r2SCAN")
    rng = np.random.default_rng(1)
    return replace(
        made,
        energies=-5.0 * made.n_atoms + rng.normal(0, 0.01, 60),
        forces=rng.normal(size=made.forces.shape).astype(np.float32),
        stresses=rng.normal(size=made.stresses.shape).astype(np.float32),
    )


def test_runs_on_one_scale_pass(frames: Frames) -> None:
    predicted = replace(frames, energies=frames.energies + 2.0 * frames.n_atoms)

    check = check_outliers(frames, predicted, PreflightSettings())

    assert (check.outcome, check.finding) == (CheckOutcome.PASSED, "none of 30 runs")


def test_a_run_on_another_scale_is_named(frames: Frames) -> None:
    energies = frames.energies.copy()
    energies[8:10] += 0.7 * frames.n_atoms[8:10]

    check = check_outliers(
        replace(frames, energies=energies), frames, PreflightSettings()
    )

    assert check.outcome is CheckOutcome.WARNING
    assert check.finding.startswith("1 of 30 runs: run-4: expected an energy within")


def test_many_runs_of_another_unit_fail(frames: Frames) -> None:
    check = check_outliers(
        replace(frames, stresses=-10 * frames.stresses), frames, PreflightSettings()
    )

    assert check.outcome is CheckOutcome.FAILED
    assert check.finding.startswith("30 of 30 runs: run-0: expected stress")
