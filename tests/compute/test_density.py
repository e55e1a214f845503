from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.compute.density import score_densities, strain_lattice
from nextrung.schemas.base import InputError
from nextrung.schemas.density import ExperimentalCrystal, UnreadableCrystal
from nextrung.schemas.relaxation import RelaxationRecord, RelaxationStatus


@pytest.fixture
def salt() -> ExperimentalCrystal:
    return ExperimentalCrystal(
        crystal_id="salt",
        structure=Structure.from_spacegroup(
            "Fm-3m", Lattice.cubic(5.6402), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
        ),
        temperature=298,
        reference="a book",
    )


def relax_to(
    structure: Structure | None,
    status: RelaxationStatus = RelaxationStatus.CONVERGED,
) -> RelaxationRecord:
    return RelaxationRecord(
        status=status,
        energy=None if structure is None else -1,
        structure=structure,
        n_steps=7,
        error=None if structure else "lost",
    )


def test_every_lattice_vector_is_strained() -> None:
    skewed = Structure(
        Lattice([[3, 0, 0], [1, 4, 0], [0.5, 1, 5]]),
        ["Li", "F"],
        [[0, 0, 0], [0.4] * 3],
    )

    strained = strain_lattice(skewed, -0.1)

    np.testing.assert_allclose(strained.lattice.abc, np.array(skewed.lattice.abc) * 0.9)
    np.testing.assert_allclose(strained.lattice.angles, skewed.lattice.angles)
    np.testing.assert_array_equal(strained.frac_coords, skewed.frac_coords)
    assert strained.volume == pytest.approx(0.729 * skewed.volume)
    assert skewed.lattice.a == 3


def test_a_cell_one_percent_too_long_has_a_density_three_percent_too_low(
    salt: ExperimentalCrystal,
) -> None:
    """Four formula units of 58.443 g/mol in 5.6402 Å cubed are 2.163 g/cm³."""
    measured = 4 * 58.443 / 0.60221408 / 5.6402**3

    score = score_densities([salt], [relax_to(strain_lattice(salt.structure, 0.01))])

    row = score.rows[0]
    assert row.experimental_density == pytest.approx(measured, rel=1e-5)
    assert row.ratio == pytest.approx(1.01**3)
    assert score.mean_ratio == row.ratio
    assert score.mae == pytest.approx(measured * (1 - 1.01**-3), rel=1e-4)
    assert (row.formula, row.temperature, row.reference) == ("NaCl", 298, "a book")


def test_only_converged_relaxations_count(salt: ExperimentalCrystal) -> None:
    longer = strain_lattice(salt.structure, 0.05)

    score = score_densities(
        [salt] * 3,
        [
            relax_to(salt.structure),
            relax_to(longer, RelaxationStatus.MAX_STEPS),
            relax_to(None, RelaxationStatus.ERROR),
        ],
    )

    assert score.mae == pytest.approx(0)
    assert (score.n_crystals, score.n_failed) == (3, 2)
    assert [row.ratio for row in score.rows] == [pytest.approx(1), None, None]
    assert score.rows[1].predicted_density == pytest.approx(longer.density)
    assert score.rows[2].error == "lost"


def test_without_a_converged_relaxation_there_is_no_error(
    salt: ExperimentalCrystal,
) -> None:
    score = score_densities([salt], [relax_to(None, RelaxationStatus.ERROR)])

    assert score.mae is score.mean_ratio is None


def test_a_missing_relaxation_is_rejected(salt: ExperimentalCrystal) -> None:
    with pytest.raises(InputError, match=r"expected 1 relaxations, .* got 0"):
        score_densities([salt], [])


def test_an_unreadable_file_is_a_row_and_counts_as_failed(
    salt: ExperimentalCrystal,
) -> None:
    missing = UnreadableCrystal(crystal_id="a", reference="a.cif", reason="empty")

    score = score_densities([missing, salt], [relax_to(salt.structure)])

    assert (score.n_crystals, score.n_failed, score.mae) == (2, 1, 0)
    first, second = score.rows
    assert (first.crystal_id, first.status, first.error) == ("a", "error", "empty")
    assert first.experimental_density is first.ratio is None
    assert (second.crystal_id, second.ratio) == ("salt", 1)
