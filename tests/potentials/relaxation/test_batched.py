from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from chgnet.model import StructOptimizer
from pymatgen.core import Lattice, Structure
from tests.potentials.lennard_jones import LennardJonesPotential

from nextrung.potentials.interface import BatchPrediction
from nextrung.potentials.relaxation.batched import relax_batched
from nextrung.potentials.relaxation.engines import relax
from nextrung.schemas.relaxation import (
    CellDegrees,
    RelaxationEngine,
    RelaxationSettings,
    RelaxationStatus,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from chgnet.model import CHGNet

    from nextrung.potentials.graphs.crystals import Crystals
    from nextrung.potentials.potential import Potential

DIMER = Structure(Lattice.cubic(2.9), ["Cu"] * 2, [[0, 0, 0], [0.4, 0.5, 0.45]])
COST = 2.0


def stretched(strain: float) -> Structure:
    """The dimer in another cell."""
    return Structure(Lattice.cubic(2.9 + strain), DIMER.species, DIMER.frac_coords)


def test_finished_structures_are_replaced_by_others() -> None:
    """Batches have two structures until no other is left."""
    potential = LennardJonesPotential()
    numbered = [(index, stretched(0.01 * index)) for index in range(5)]
    settings = RelaxationSettings(fmax=0.05, cell=CellDegrees.FIXED)

    ends = dict(relax_batched(potential, numbered, settings, max_batch_cost=1.5 * COST))

    assert sorted(ends) == [0, 1, 2, 3, 4]
    sizes = potential.batch_sizes
    assert max(sizes) == 2
    assert sizes == sorted(sizes, reverse=True)
    assert sum(sizes) == sum(record.n_steps + 1 for record in ends.values())


def test_a_structure_larger_than_a_batch_is_relaxed_alone() -> None:
    potential = LennardJonesPotential()
    numbered = [(0, DIMER), (1, DIMER)]

    ends = dict(
        relax_batched(potential, numbered, RelaxationSettings(), max_batch_cost=1.0)
    )

    assert {record.status for record in ends.values()} == {RelaxationStatus.CONVERGED}
    assert set(potential.batch_sizes) == {1}


def spoil(
    after: int, change: Callable[[BatchPrediction], None]
) -> LennardJonesPotential:
    """Make a potential whose first crystal fails after some calls."""

    class Spoiled(LennardJonesPotential):
        def predict_batch(
            self, crystals: Crystals, properties: str = "efs"
        ) -> BatchPrediction:
            prediction = super().predict_batch(crystals, properties)
            if len(self.batch_sizes) == after + 1:
                change(prediction)
            return prediction

    return Spoiled()


def set_force_nan(prediction: BatchPrediction) -> None:
    prediction.forces[1, 2] = np.nan


def set_stress_infinite(prediction: BatchPrediction) -> None:
    prediction.stresses[0, 0, 0] = np.inf


def set_energy_nan(prediction: BatchPrediction) -> None:
    prediction.energies[0] = np.nan


def set_force_huge(prediction: BatchPrediction) -> None:
    prediction.forces[0] = 1e200


@pytest.mark.parametrize(
    "spoilt", [set_force_nan, set_stress_infinite, set_energy_nan, set_force_huge]
)
@pytest.mark.parametrize("after", [0, 2])
def test_non_finite_numbers_end_a_relaxation_at_its_last_valid_structure(
    spoilt: Callable[[BatchPrediction], None], after: int
) -> None:
    settings = RelaxationSettings(fmax=1e-6, max_steps=10)
    short = settings.model_copy(update={"max_steps": max(after - 1, 0)})
    other = stretched(0.2)

    ends = dict(relax_batched(spoil(after, spoilt), [(0, DIMER), (1, other)], settings))
    ((_, before),) = relax_batched(LennardJonesPotential(), [(0, DIMER)], short)
    ((_, alone),) = relax_batched(LennardJonesPotential(), [(1, other)], settings)

    assert ends[0].status is RelaxationStatus.NON_FINITE
    assert ends[0].energy is None
    assert ends[0].n_steps == after
    assert ends[0].structure == (before.structure if after else None)
    assert ends[0].initial_energy == (before.initial_energy if after else None)
    assert ends[1] == alone


def stretch(prediction: BatchPrediction) -> None:
    """Stretch the cell with a stress beyond any strength."""
    prediction.stresses[:] = -1e6 * np.diag([1.0, 0.0, 0.0])


def compress(prediction: BatchPrediction) -> None:
    """Compress the cell."""
    prediction.stresses[:] = 1e6 * np.eye(3)


@pytest.mark.parametrize(
    ("change", "reason"),
    [(stretch, "deformed more than 10-fold"), (compress, "atoms/Å³")],
)
def test_a_cell_that_expands_or_collapses_is_an_error(
    change: Callable[[BatchPrediction], None], reason: str
) -> None:
    class Forced(LennardJonesPotential):
        def predict_batch(
            self, crystals: Crystals, properties: str = "efs"
        ) -> BatchPrediction:
            assert properties == "efs"
            n_atoms = len(crystals.atomic_numbers)
            prediction = BatchPrediction(
                energies=np.zeros(len(crystals)),
                forces=np.zeros((n_atoms, 3)),
                stresses=np.zeros((len(crystals), 3, 3)),
                magmoms=None,
                errors={},
            )
            change(prediction)
            return prediction

    ((_, record),) = relax_batched(Forced(), [(0, DIMER)], RelaxationSettings())

    assert record.status is RelaxationStatus.ERROR
    assert record.error is not None
    assert reason in record.error
    assert 2 < record.n_steps < 100
    assert record.structure is not None
    assert record.initial_energy == 0


@pytest.mark.parametrize("engine", list(RelaxationEngine))
def test_structures_without_references_relax_to_the_same_crystal_without_energy(
    target_double: Potential, engine: RelaxationEngine
) -> None:
    salt = Structure(Lattice.cubic(4.0), ["Na", "Cl"], [[0, 0, 0], [0.48, 0.5, 0.5]])
    settings = RelaxationSettings(engine=engine, max_steps=20)
    unreferenced = target_double.with_atom_refs({"Na": 0.0})

    [[expected], [record]] = (
        relax(potential, salt, settings) for potential in (target_double, unreferenced)
    )

    assert expected.energy is not None
    assert record.error == "no atomic reference energy for Cl"
    assert (record.energy, record.initial_energy) == (None, None)
    assert (record.status, record.n_steps) == (expected.status, expected.n_steps)
    assert record.n_steps > 0
    assert record.structure == expected.structure
    assert record.fmax == pytest.approx(expected.fmax)


def small(structures: list[Structure]) -> list[Structure]:
    """Structures that chgnet relaxes quickly."""
    return [structure for structure in structures if len(structure) <= 6][:5]


@pytest.mark.parametrize("max_steps", [1, 12])
def test_with_chgnet_in_float64_every_step_is_that_of_ase(
    target_double: Potential, structures: list[Structure], max_steps: int
) -> None:
    settings = RelaxationSettings(max_steps=max_steps, fmax=0.01)
    by_ase = settings.model_copy(update={"engine": RelaxationEngine.ASE})

    batched = relax(target_double, small(structures), settings)
    expected = relax(target_double, small(structures), by_ase)

    for record, reference in zip(batched, expected, strict=True):
        assert record.status == reference.status
        assert record.n_steps == reference.n_steps
        assert record.energy == pytest.approx(reference.energy, abs=1e-8)
        assert record.fmax == pytest.approx(reference.fmax, abs=1e-8)


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")
def test_with_chgnet_in_float32_energies_are_those_of_chgnet_and_ase(
    target: Potential, chgnet_model: CHGNet, structures: list[Structure]
) -> None:
    """Its own optimiser, one by one, within 1 meV/atom."""
    optimizer = StructOptimizer(model=chgnet_model, use_device="cpu")

    records = relax(target, small(structures), RelaxationSettings(fmax=0.1))

    for record, structure in zip(records, small(structures), strict=True):
        path = optimizer.relax(structure.copy(), fmax=0.1, verbose=False)["trajectory"]
        assert record.energy is not None
        assert abs(record.energy - path.energies[-1]) < 1e-3 * len(structure)
        assert record.status is RelaxationStatus.CONVERGED


def test_with_chgnet_energies_depend_on_the_batch_within_rounding(
    target: Potential, structures: list[Structure]
) -> None:
    """Energies alone and in a batch differ by less than 1 meV/atom."""
    settings = RelaxationSettings(fmax=0.1)

    together = relax(target, small(structures), settings)

    for structure, record in zip(small(structures), together, strict=True):
        (alone,) = relax(target, [structure], settings)
        assert record.energy is not None
        assert alone.energy is not None
        assert abs(record.energy - alone.energy) < 1e-3 * len(structure)
        assert abs(record.n_steps - alone.n_steps) <= 1
