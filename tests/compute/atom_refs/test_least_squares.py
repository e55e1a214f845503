from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.compute.atom_refs import (
    UndeterminedReferencesWarning,
    count_elements,
    fit_atom_refs,
    fit_shift,
    rereference,
)
from nextrung.schemas.atom_refs import AtomRefFit
from nextrung.schemas.base import InputError
from nextrung.schemas.frames import Frames
from nextrung.schemas.models import Rereference


def make_frames(
    formulas: list[dict[str, int]],
    energies: list[float],
    splits: list[str] | None = None,
) -> Frames:
    """Frames of given compositions, whose sites are where they may."""
    structures = []
    for formula in formulas:
        species = [symbol for symbol, n in formula.items() for _ in range(n)]
        coords = np.linspace(0, 1, len(species), endpoint=False)[:, None] * np.ones(3)
        structures.append(Structure(Lattice.cubic(9), species, coords))
    frames = Frames.from_structures(structures)
    frames.energies[:] = energies
    return frames if splits is None else frames.with_splits(np.array(splits))


def test_atoms_are_counted_in_the_column_of_their_element() -> None:
    counts = count_elements(make_frames([{"H": 2, "Li": 1}, {"Pu": 3}], [0, 0]))

    expected = np.zeros((2, 94))
    expected[0, 0], expected[0, 2], expected[1, 93] = 2, 1, 3
    np.testing.assert_array_equal(counts, expected)


@pytest.mark.parametrize("number", [0, 95])
def test_elements_outside_the_table_are_rejected_by_frame(number: int) -> None:
    frames = make_frames([{"H": 1}, {"H": 2}], [0, 0])
    frames.atomic_numbers[2] = number

    with pytest.raises(InputError, match=f"frame 1: .* 1 to 94, got {number}"):
        count_elements(frames)


def test_a_frame_without_atoms_is_rejected_by_name() -> None:
    frames = make_frames([{"H": 1}, {}, {"H": 1}], [0, 0, 0])

    with pytest.raises(InputError, match="frame 1: no atoms"):
        count_elements(frames)


def test_exact_references_are_recovered() -> None:
    """Energies made of references alone give the references back."""
    refs = {"H": -1.0, "He": -2.5, "Li": -4.0}
    formulas = [{"H": 1, "Li": 1}, {"H": 2, "He": 1}, {"He": 3, "Li": 1}, {"H": 3}]
    energies = [sum(refs[s] * n for s, n in f.items()) for f in formulas]

    fit = fit_atom_refs(make_frames(formulas, energies))

    assert fit.energies == pytest.approx(refs)
    assert fit.rmse == pytest.approx(0, abs=1e-12)
    assert (fit.rank, fit.n_frames, fit.undetermined) == (3, 4, [])


def test_every_frame_weighs_the_same_whatever_its_size() -> None:
    """A frame and its tenfold cell pull equally: the fit is their mean per atom."""
    fit = fit_atom_refs(make_frames([{"H": 1}, {"H": 10}], [-1.0, -30.0]))

    assert fit.energies == {"H": pytest.approx(-2.0)}
    assert fit.rmse == pytest.approx(1.0)


def test_a_fit_agrees_with_the_normal_equations() -> None:
    """Equation 2 of the paper, (AᵀA)⁻¹ Aᵀ E, where the inverse exists."""
    rng = np.random.default_rng(0)
    amounts = rng.integers(1, 5, size=(12, 4))
    symbols = ("Na", "Ti", "O", "F")
    formulas = [dict(zip(symbols, row.tolist(), strict=True)) for row in amounts]
    energies = rng.normal(-30, 10, size=12)

    fit = fit_atom_refs(make_frames(formulas, energies.tolist()))

    n_atoms = amounts.sum(axis=1)
    matrix = amounts / n_atoms[:, None]
    expected = np.linalg.inv(matrix.T @ matrix) @ matrix.T @ (energies / n_atoms)
    assert [fit.energies[s] for s in symbols] == pytest.approx(expected, rel=1e-9)


def test_absent_elements_have_no_reference() -> None:
    fit = fit_atom_refs(make_frames([{"H": 1, "Li": 2}, {"H": 1}], [0, 0]))

    assert set(fit.energies) == {"H", "Li"}


def test_only_the_training_split_is_fitted() -> None:
    frames = make_frames([{"H": 1}, {"H": 1}, {"Li": 1}], [-1, -9, -9])

    fit = fit_atom_refs(frames.with_splits(np.array(["train", "val", "test"])))

    assert fit.energies == {"H": pytest.approx(-1)}
    assert fit.n_frames == 1


def test_frames_without_training_split_are_rejected() -> None:
    frames = make_frames([{"H": 1}], [-1], splits=["test"])

    with pytest.raises(InputError, match="frames in the training split, got none"):
        fit_atom_refs(frames)


def test_a_missing_energy_is_rejected_by_name() -> None:
    with pytest.raises(InputError, match="frame 1: expected a finite energy"):
        fit_atom_refs(make_frames([{"H": 1}, {"H": 2}], [-1, np.nan]))


def test_a_fixed_ratio_of_elements_gets_the_minimum_norm_and_a_warning() -> None:
    """Li and F occur only as LiF: −5 eV/atom is split −5, −5, and O is untouched."""
    frames = make_frames(
        [{"Li": 1, "F": 1}, {"Li": 2, "F": 2}, {"O": 2}], [-10, -20, -8]
    )

    with pytest.warns(UndeterminedReferencesWarning, match="of Li-F: "):
        fit = fit_atom_refs(frames)

    assert fit.energies == pytest.approx({"Li": -5, "F": -5, "O": -4})
    assert (fit.rank, fit.undetermined) == (2, [["Li", "F"]])


def test_independent_combinations_are_listed_separately() -> None:
    formulas = [{"Li": 1, "F": 1}, {"Na": 1, "Cl": 2}, {"O": 1}]

    with pytest.warns(UndeterminedReferencesWarning):
        fit = fit_atom_refs(make_frames(formulas, [-1, -2, -3]))

    assert sorted(fit.undetermined) == [["Li", "F"], ["Na", "Cl"]]


def test_fewer_frames_than_elements_give_the_pseudoinverse() -> None:
    formulas = [{"Li": 1, "Mn": 2, "O": 4}, {"Na": 1, "Cl": 1}]

    with pytest.warns(UndeterminedReferencesWarning):
        fit = fit_atom_refs(make_frames(formulas, [-50, -7]))

    expected = np.linalg.pinv([[1 / 7, 2 / 7, 4 / 7]]) @ [-50 / 7]
    assert [fit.energies[s] for s in ("Li", "Mn", "O")] == pytest.approx(expected)
    assert fit.rmse == pytest.approx(0, abs=1e-12)


def test_a_shift_is_fitted_on_the_training_split() -> None:
    frames = make_frames([{"H": 1}, {"H": 1}], [-3, -3], splits=["val", "train"])

    shift = fit_shift(frames, np.array([np.nan, -1.0]))

    assert shift.energies == {"H": pytest.approx(-2, abs=0.05)}
    assert shift.n_frames == 1


def test_source_energies_of_other_frames_are_rejected() -> None:
    with pytest.raises(InputError, match="each of 1 frames, got 2"):
        fit_shift(make_frames([{"H": 1}], [-1]), np.zeros(2))


def test_a_frame_the_source_cannot_predict_is_rejected_by_name() -> None:
    with pytest.raises(InputError, match="frame 0: expected a finite energy"):
        fit_shift(make_frames([{"H": 1}], [-1]), np.array([np.nan]))


PREVIOUS = {"H": -3.0, "O": -8.0, "Yb": -2.0}
FIT = AtomRefFit(energies={"H": -0.5, "O": 1.5}, rmse=0, rank=2, n_frames=2)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Rereference.NONE, PREVIOUS),
        (Rereference.REFIT, {"H": -0.5, "O": 1.5}),
        (Rereference.RESIDUAL, {"H": -3.5, "O": -6.5}),
    ],
)
def test_references_are_moved_by_equation_3(
    kind: Rereference, expected: dict[str, float]
) -> None:
    """Yb, which was not fitted, has no reference after a fit."""
    assert rereference(kind, PREVIOUS, FIT) == expected


def test_moving_references_without_a_fit_is_rejected() -> None:
    with pytest.raises(InputError, match="expected a fit to re-reference by refit"):
        rereference(Rereference.REFIT, PREVIOUS, None)


def test_shifting_an_element_the_source_lacks_is_rejected() -> None:
    with pytest.raises(InputError, match="got none of H, O"):
        rereference(Rereference.RESIDUAL, {"Yb": -2.0}, FIT)
