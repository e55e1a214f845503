from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from tests.potentials.lennard_jones import LennardJonesPotential

from nextrung.potentials.chgnet.prediction import BatchPrediction
from nextrung.potentials.relaxation.engines import relax
from nextrung.potentials.relaxation.torchsim import relax_with_torchsim
from nextrung.schemas.base import InputError
from nextrung.schemas.relaxation import (
    CellDegrees,
    RelaxationEngine,
    RelaxationRecord,
    RelaxationSettings,
    RelaxationStatus,
)

if TYPE_CHECKING:
    from nextrung.potentials.graphs.crystals import Crystals
    from nextrung.potentials.potential import Potential

torch_sim = pytest.importorskip(
    "torch_sim", reason="no torch-sim: install the extra `torchsim`"
)
only_release_0_3 = pytest.mark.skipif(
    not hasattr(torch_sim, "frechet_cell_fire"),
    reason="later releases of torch-sim walk, and limit, deformations differently",
)

#: An element that the potentials below stumble over.
KRYPTON = 36


@pytest.fixture
def known() -> list[Structure]:
    """NaCl, Si, MgO, Fe and SrTiO3, off their minima."""
    origin, middle = [0, 0, 0], [0.5, 0.5, 0.5]
    faces = [[0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    fcc = np.ones((3, 3)) - np.eye(3)
    structures = [
        Structure(fcc * 2.7, ["Na", "Cl"], [origin, middle]),
        Structure(fcc * 2.6, ["Si", "Si"], [origin, [0.25, 0.25, 0.25]]),
        Structure(fcc * 2.0, ["Mg", "O"], [origin, middle]),
        Structure(np.eye(3) * 3.0, ["Fe", "Fe"], [origin, middle]),
        Structure(np.eye(3) * 3.8, ["Sr", "Ti", *"OOO"], [origin, middle, *faces]),
    ]
    rng = np.random.default_rng(0)
    for structure in structures:
        structure.perturb(0.06, seed=int(rng.integers(1000)))
    return structures


def loose(species: str = "Cu", n_atoms: int = 3) -> Structure:
    """A loose crooked crystal of one element."""
    cell = [[3.0, 0.3, 0.1], [0.2, 3.1, 0.4], [0.1, 0.2, 2.9]]
    fracs = np.linspace(0.05, 1.05, n_atoms, endpoint=False)[:, None] ** [1, 2, 3]
    return Structure(Lattice(cell), [species] * n_atoms, fracs)


def by_ase(settings: RelaxationSettings) -> RelaxationSettings:
    return settings.model_copy(update={"engine": RelaxationEngine.ASE})


def choose(**choices: object) -> RelaxationSettings:
    return RelaxationSettings.model_validate({"engine": "torchsim", **choices})


def test_it_relaxes_known_crystals_as_ase_does(
    target: Potential, known: list[Structure]
) -> None:
    """To the same status after the same number of steps, within 1 meV/atom."""
    records = relax(target, known, choose())

    expected = relax(target, known, by_ase(choose()))
    for record, reference, structure in zip(records, expected, known, strict=True):
        assert record.energy is not None
        assert reference.energy is not None
        assert record.status == reference.status == RelaxationStatus.CONVERGED
        assert abs(record.n_steps - reference.n_steps) <= 1
        assert abs(record.energy - reference.energy) / len(structure) < 1e-3
        assert record.structure is not None
        assert record.structure.species == structure.species


@pytest.mark.parametrize(
    ("cell", "max_steps"),
    [
        (CellDegrees.FULL, 0),
        (CellDegrees.FULL, 1),
        pytest.param(CellDegrees.FULL, 6, marks=only_release_0_3),
        (CellDegrees.FIXED, 1),
        (CellDegrees.FIXED, 6),
    ],
)
def test_its_first_steps_are_those_of_ase(cell: CellDegrees, max_steps: int) -> None:
    """Later ones differ a little: torch-sim mixes velocities after it cools them."""
    settings = choose(cell=cell, max_steps=max_steps, fmax=0.001)
    structures = [loose(n_atoms=2), loose(), loose("Ag", 1)]

    records = relax(LennardJonesPotential(), structures, settings)

    for record, reference in zip(
        records,
        relax(LennardJonesPotential(), structures, by_ase(settings)),
        strict=True,
    ):
        assert (record.status, record.n_steps) == (reference.status, reference.n_steps)
        assert record.energy == pytest.approx(reference.energy, abs=1e-9)
        assert record.initial_energy == pytest.approx(reference.initial_energy)
        assert record.fmax == pytest.approx(reference.fmax, abs=1e-8)
        assert record.structure is not None
        assert reference.structure is not None
        np.testing.assert_allclose(
            record.structure.cart_coords, reference.structure.cart_coords, atol=1e-9
        )


def test_a_fixed_volume_stays() -> None:
    structure = loose()
    settings = choose(cell=CellDegrees.FIXED_VOLUME, fmax=0.01)

    (record,) = relax(LennardJonesPotential(), [structure], settings)

    (reference,) = relax(LennardJonesPotential(), [structure], by_ase(settings))
    assert record.status is RelaxationStatus.CONVERGED
    assert record.structure is not None
    assert record.structure.volume == pytest.approx(structure.volume, rel=1e-9)
    assert not np.allclose(record.structure.lattice.matrix, structure.lattice.matrix)
    assert record.energy == pytest.approx(reference.energy, abs=3e-3)


def test_a_left_handed_cell_relaxes_as_its_mirror_in_name() -> None:
    """The same crystal told by opposite vectors, whose volume torch-sim negates."""
    right = loose()
    left = Structure(
        -right.lattice.matrix,
        right.species,
        right.cart_coords,
        coords_are_cartesian=True,
    )

    records = relax(LennardJonesPotential(), [right, left], choose())

    first, second = records
    assert first.n_steps == second.n_steps > 0
    assert first.energy == pytest.approx(second.energy, abs=1e-9)
    assert second.structure is not None
    assert np.linalg.det(second.structure.lattice.matrix) < 0


class Breaking(LennardJonesPotential):
    """Breaks off at the third evaluation of krypton, whatever else there is."""

    n_seen = 0

    def predict(self, crystals: Crystals, properties: str = "efs") -> BatchPrediction:
        """Predict, or raise."""
        if KRYPTON in crystals.atomic_numbers:
            self.n_seen += 1
            if self.n_seen >= 3:
                raise RuntimeError("krypton is on strike")
            numbers = np.where(crystals.atomic_numbers == KRYPTON, 29, 0)
            crystals.atomic_numbers[:] = np.maximum(numbers, 29)
        return super().predict(crystals, properties)


def test_if_torch_sim_breaks_off_only_the_culprit_fails() -> None:
    """The others start again, each alone, and end as if nothing had happened."""
    beside = [loose(n_atoms=2), loose("Ag")]

    first, culprit, second = relax(
        Breaking(), [beside[0], loose("Kr"), beside[1]], choose()
    )

    assert culprit.status is RelaxationStatus.ERROR
    assert culprit.error == "krypton is on strike"
    expected = relax(LennardJonesPotential(), beside, choose())
    for record, reference in zip([first, second], expected, strict=True):
        assert record.status is RelaxationStatus.CONVERGED
        assert record.n_steps == reference.n_steps
        assert record.energy == pytest.approx(reference.energy, abs=1e-9)


def test_a_structure_alone_that_breaks_torch_sim_keeps_where_it_was_well() -> None:
    (record,) = relax(Breaking(), [loose("Kr")], choose())

    assert record.status is RelaxationStatus.ERROR
    assert record.n_steps < 2
    assert record.initial_energy is not None
    assert record.structure is not None
    assert record.structure.species == loose("Kr").species


class Pulling(LennardJonesPotential):
    """A stress that is the same everywhere."""

    stress = 1000.0

    def predict(self, crystals: Crystals, properties: str = "efs") -> BatchPrediction:
        """Predict nothing but the stress."""
        assert properties == "efs"
        return BatchPrediction(
            energies=np.zeros(len(crystals)),
            forces=np.zeros((len(crystals.atomic_numbers), 3)),
            stresses=np.full((len(crystals), 1, 1), self.stress) * np.eye(3),
            magmoms=None,
            errors={},
        )


@pytest.mark.parametrize(
    ("stress", "reason"),
    [
        (1000.0, "atoms/Å³"),
        pytest.param(-1000.0, "deformed more than 10-fold", marks=only_release_0_3),
        (1e40, "finite"),
    ],
)
def test_a_crystal_that_collapses_or_bursts_is_given_up(
    stress: float, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pulling, "stress", stress)

    (record,) = relax(Pulling(), [loose("Cu", 1)], choose())

    assert record.failed
    assert record.error is not None
    assert reason in record.error
    assert record.n_steps < 100
    assert (record.structure is None) == (record.n_steps == 0)


class Fading(LennardJonesPotential):
    """Loses silver after three evaluations."""

    def predict(self, crystals: Crystals, properties: str = "efs") -> BatchPrediction:
        """Predict, at last without silver."""
        prediction = super().predict(crystals, properties)
        silver = crystals.crystal_of_site[crystals.atomic_numbers == 47]
        if len(self.batch_sizes) > 3:
            prediction.energies[silver] = np.nan
            prediction.errors.update(
                dict.fromkeys(silver.tolist(), "isolated atom: Ag")
            )
        return prediction


def test_a_structure_that_fails_under_way_leaves_the_others_alone() -> None:
    potential = Fading()

    first, lost, second = relax(
        potential, [loose(), loose("Ag"), loose(n_atoms=2)], choose(fmax=0.01)
    )

    assert lost.status is RelaxationStatus.ISOLATED_ATOM
    assert 0 < lost.n_steps <= 3
    assert lost.structure is not None
    assert lost.initial_energy is not None
    assert potential.batch_sizes[:5] == [3, 3, 3, 3, 2]
    alone: list[RelaxationRecord] = relax(
        LennardJonesPotential(), [loose(), loose(n_atoms=2)], choose(fmax=0.01)
    )
    assert [r.n_steps for r in alone] == [first.n_steps, second.n_steps]
    assert [r.energy for r in alone] == pytest.approx([first.energy, second.energy])


def test_batches_are_bounded() -> None:
    """Many structures are not laid out all at once."""
    potential = LennardJonesPotential()

    records = relax(potential, [loose()] * 100, choose(max_steps=1))

    assert len(records) == 100
    assert 1 < max(potential.batch_sizes) < 100


def test_symmetry_cannot_be_kept() -> None:
    settings = choose(fix_symmetry=True)

    with pytest.raises(InputError, match="expected fix_symmetry false, met true"):
        next(relax_with_torchsim(LennardJonesPotential(), [(0, loose())], settings))
