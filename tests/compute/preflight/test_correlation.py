"""The correlation beyond composition, in simulated labels of known truth."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.core import Element, Lattice, Structure

from nextrung.compute.preflight import (
    check_correlation,
    correlate_structure,
    reach_verdict,
)
from nextrung.compute.preflight.correlation import _permute_blocks
from nextrung.schemas.frames import Frames
from nextrung.schemas.models import Model
from nextrung.schemas.preflight import CheckOutcome, PreflightSettings, Verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

METALS = ("Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu")
#: Energy in eV/atom of the source's references.
REFERENCES = dict(zip((*METALS, "O", "F"), -np.linspace(3, 9, 10), strict=True))
N_TRIALS = 20


def make_source(seed: int, n_materials: int = 40) -> Frames:
    """Simulate predictions: composition, structures of 0.2 eV/atom, short trajectories.

    Each material has a metal, an anion, another ratio of both, and two to four frames
    that end lower in energy.
    """
    rng = np.random.default_rng(seed)
    structures, materials, energies = [], [], []
    for material in range(n_materials):
        metal, anion = rng.choice(METALS), rng.choice(["O", "F"])
        symbols = [metal] * rng.integers(1, 4) + [anion] * rng.integers(1, 4)
        above = rng.normal(0, 0.2)
        for step in range(rng.integers(2, 5)):
            lattice = Lattice.cubic(5)
            structures.append(
                Structure(lattice, symbols, rng.random((len(symbols), 3)))
            )
            materials.append(f"m{material}")
            elemental = sum(REFERENCES[symbol] for symbol in symbols)
            energies.append(elemental + len(symbols) * (above - 0.005 * step))
    frames = Frames.from_structures(structures, [f"f{i}" for i in range(len(energies))])
    return replace(
        frames, energies=np.array(energies), material_ids=np.array(materials)
    )


def count_shift(source: Frames, rng: np.random.Generator) -> NDArray[np.float64]:
    """Simulate the shift of another functional: some eV per atom of each element."""
    by_number = rng.normal(-10, 8, 120)
    shifts = np.bincount(source.frame_of_site, by_number[source.atomic_numbers])
    return shifts.astype(np.float64)


def label_by_composition(source: Frames, rng: np.random.Generator) -> Frames:
    """Labels without structure but for noise of 1 meV/atom."""
    noise = rng.normal(0, 1e-3, len(source)) * source.n_atoms
    return replace(source, energies=count_shift(source, rng) + noise)


def label_by_permuted(source: Frames, rng: np.random.Generator) -> Frames:
    """Labels with the structural energies of other materials."""
    by_number = np.zeros(120)
    for symbol, energy in REFERENCES.items():
        by_number[Element(symbol).Z] = energy
    elemental = np.bincount(source.frame_of_site, by_number[source.atomic_numbers])
    above = (source.energies - elemental) / source.n_atoms
    names, materials = np.unique(source.material_ids, return_inverse=True)
    first = np.unique(materials, return_index=True)[1]
    moved = above[first[rng.permutation(len(names))]][materials]
    energies = elemental + moved * source.n_atoms + count_shift(source, rng)
    return replace(source, energies=energies)


def label_by_shift(source: Frames, rng: np.random.Generator) -> Frames:
    """Labels of a functional: the source, a shift, and 50 meV/atom of its own."""
    names, materials = np.unique(source.material_ids, return_inverse=True)
    own = rng.normal(0, 0.05, len(names))[materials] * source.n_atoms
    return replace(source, energies=source.energies + count_shift(source, rng) + own)


def decide(source: Frames, labels: Frames, seed: int) -> Verdict:
    """The verdict on a model whose other checks pass."""
    settings = PreflightSettings()
    check = check_correlation(correlate_structure(source, labels, seed=seed), settings)
    return reach_verdict([check], [Model.RESIDUAL_ATOM_REFS])[0]


@pytest.mark.parametrize("label", [label_by_composition, label_by_permuted])
def test_labels_without_the_structure_of_the_source_are_a_no_go(label: object) -> None:
    verdicts = []
    for seed in range(N_TRIALS):
        source = make_source(seed)
        assert callable(label)
        labels = label(source, np.random.default_rng(100 + seed))
        verdicts.append(decide(source, labels, seed))

    assert verdicts == [Verdict.NO_GO] * N_TRIALS


def test_a_shift_and_a_small_difference_are_a_go() -> None:
    verdicts = []
    for seed in range(N_TRIALS):
        source = make_source(seed)
        labels = label_by_shift(source, np.random.default_rng(100 + seed))
        verdicts.append(decide(source, labels, seed))

    assert verdicts == [Verdict.GO] * N_TRIALS


def test_the_null_of_permuted_materials_is_about_zero() -> None:
    """Of 40 materials, 95 % of the permutations are below some tenths."""
    source = make_source(0)
    found = correlate_structure(
        source, label_by_shift(source, np.random.default_rng(1))
    )

    assert found.correlation is not None
    assert found.null_quantile is not None
    assert found.correlation > 0.9
    assert 0.1 < found.null_quantile < 0.6
    assert found.p_value == pytest.approx(1 / 1000)


def test_blocks_of_other_lengths_are_read_at_evenly_spaced_frames() -> None:
    """Material by material, which takes ten times longer."""
    rng = np.random.default_rng(0)
    for seed in range(50):
        materials = np.unique(rng.integers(0, 20, size=60), return_inverse=True)[1]
        blocks = [np.flatnonzero(materials == i) for i in range(materials.max() + 1)]
        moved = np.random.default_rng(seed).permutation(len(blocks))
        expected = np.empty(len(materials), dtype=np.int64)
        for block, other in zip(blocks, moved, strict=True):
            ends = np.linspace(0, len(blocks[other]) - 1, len(block))
            expected[block] = blocks[other][np.rint(ends).astype(np.int64)]

        found = _permute_blocks(materials, np.random.default_rng(seed))

        np.testing.assert_array_equal(found, expected)


def test_p_values_of_permuted_labels_are_those_of_chance() -> None:
    """Of sixty, 6 are expected below 0.1; more than 13 have a probability of 0.2 %."""
    values = []
    for seed in range(60):
        source = make_source(seed, n_materials=25)
        labels = label_by_permuted(source, np.random.default_rng(seed))
        values.append(correlate_structure(source, labels, seed=seed).p_value or 0)

    assert np.sum(np.array(values) < 0.1) <= 13
    assert 0.3 < np.mean(values) < 0.7


def test_the_same_shift_of_every_element_changes_no_correlation() -> None:
    source = make_source(3)
    labels = label_by_shift(source, np.random.default_rng(3))
    shifted = replace(labels, energies=labels.energies - 4.5 * labels.n_atoms)

    first, second = (correlate_structure(source, each) for each in (labels, shifted))

    assert first.correlation == pytest.approx(second.correlation, abs=1e-9)


def test_labels_that_are_exactly_a_function_of_composition_are_undefined_and_fail() -> (
    None
):
    source = make_source(0)
    labels = replace(source, energies=count_shift(source, np.random.default_rng(0)))

    found = correlate_structure(source, labels)
    check = check_correlation(found, PreflightSettings())

    assert found.correlation is None
    assert check.outcome is CheckOutcome.FAILED
    assert "labels are a function of composition alone" in check.finding


def test_few_materials_are_a_warning() -> None:
    source = make_source(0, n_materials=3)

    found = correlate_structure(source, source)
    check = check_correlation(found, PreflightSettings())

    assert check.outcome is CheckOutcome.WARNING
    assert "materials, of which 5 are needed" in check.finding


def test_frames_of_an_element_of_one_material_are_left_out() -> None:
    source = make_source(0)
    numbers = source.atomic_numbers.copy()
    only = source.material_ids[source.frame_of_site] == "m7"
    numbers[only & (numbers > 9)] = 92
    lone = replace(source, atomic_numbers=numbers)

    found = correlate_structure(lone, lone)

    assert found.n_materials == 39
    assert found.n_frames == np.sum(source.material_ids != "m7")
    assert found.correlation == pytest.approx(1)


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"min_correlation": 0.999}, "transfer will gain little"),
        ({"max_p_value": 1e-4}, "may be chance"),
    ],
)
def test_a_weak_correlation_and_a_chance_fail(
    change: dict[str, float], finding: str
) -> None:
    source = make_source(0)
    labels = label_by_shift(source, np.random.default_rng(0))
    settings = PreflightSettings.model_validate(change)

    check = check_correlation(correlate_structure(source, labels), settings)

    assert check.outcome is CheckOutcome.FAILED
    assert finding in check.finding
