from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pymatgen.core import DummySpecies, Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor
from tests.potentials.lennard_jones import LennardJonesPotential

from nextrung.potentials.relaxation.ase import relax_with_ase
from nextrung.potentials.relaxation.engines import relax
from nextrung.schemas.relaxation import (
    CellDegrees,
    RelaxationEngine,
    RelaxationRecord,
    RelaxationSettings,
    RelaxationStatus,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.potentials.potential import Potential


both_engines = pytest.mark.parametrize(
    "engine", [RelaxationEngine.BATCHED, RelaxationEngine.ASE]
)


def perturbed(n_atoms: int, seed: int = 0, species: str = "Cu") -> Structure:
    """A loose random crystal of one element."""
    rng = np.random.default_rng(seed)
    fracs = np.linspace(0, 1, n_atoms, endpoint=False)[:, None] + rng.normal(
        scale=0.05, size=(n_atoms, 3)
    )
    cell = 2.2 * n_atoms ** (1 / 3) * (np.eye(3) + rng.normal(scale=0.05, size=(3, 3)))
    return Structure(Lattice(cell), [species] * n_atoms, fracs)


@pytest.fixture
def structures() -> list[Structure]:
    return [perturbed(n_atoms, seed) for seed, n_atoms in enumerate((2, 1, 4, 3))]


def is_same(one: RelaxationRecord, other: RelaxationRecord) -> bool:
    """Return whether two records agree bit for bit."""
    assert one.structure is not None
    assert other.structure is not None
    return (
        one.model_copy(update={"structure": None})
        == other.model_copy(update={"structure": None})
        and np.array_equal(one.structure.lattice.matrix, other.structure.lattice.matrix)
        and np.array_equal(one.structure.frac_coords, other.structure.frac_coords)
    )


@pytest.mark.parametrize("fix_symmetry", [False, True])
@pytest.mark.parametrize("cell", CellDegrees)
@pytest.mark.parametrize("max_steps", [0, 30])
def test_batched_relaxations_have_the_steps_of_ase(
    structures: list[Structure],
    cell: CellDegrees,
    *,
    fix_symmetry: bool,
    max_steps: int,
) -> None:
    """In float64 they agree, whatever degrees of freedom relax."""
    settings = RelaxationSettings(
        cell=cell, fix_symmetry=fix_symmetry, max_steps=max_steps, fmax=0.03
    )
    reference = settings.model_copy(update={"engine": RelaxationEngine.ASE})

    batched = relax(LennardJonesPotential(), structures, settings)
    expected = relax(LennardJonesPotential(), structures, reference)

    for record, by_ase in zip(batched, expected, strict=True):
        assert record.status == by_ase.status
        assert record.n_steps == by_ase.n_steps
        assert record.energy == pytest.approx(by_ase.energy, abs=1e-11)
        assert record.initial_energy == pytest.approx(by_ase.initial_energy, abs=1e-11)
        assert record.fmax == pytest.approx(by_ase.fmax, abs=1e-11)
        assert record.structure is not None
        assert by_ase.structure is not None
        np.testing.assert_allclose(
            record.structure.cart_coords, by_ase.structure.cart_coords, atol=1e-11
        )
        np.testing.assert_allclose(
            record.structure.lattice.matrix, by_ase.structure.lattice.matrix, atol=1e-11
        )


def test_a_record_does_not_depend_on_the_other_structures(
    structures: list[Structure],
) -> None:
    """Bit for bit: alone, in another order, or with others that fail."""
    settings = RelaxationSettings(max_steps=30)
    noise = [perturbed(3, 9, "He"), perturbed(2, 8, "Ne"), perturbed(5, 7)]

    alone = [relax(LennardJonesPotential(), [s], settings)[0] for s in structures]
    together = relax(LennardJonesPotential(), structures, settings)
    crowded = relax(
        LennardJonesPotential(), [*noise, *structures[::-1], *noise], settings
    )

    for record, others in zip(
        alone, zip(together, crowded[3:7][::-1], strict=True), strict=True
    ):
        assert all(is_same(record, other) for other in others)


@both_engines
def test_records_have_the_order_of_the_structures(
    structures: list[Structure],
    engine: RelaxationEngine,
) -> None:
    """Also if they finish in another order, which the callback receives."""
    got: dict[int, RelaxationRecord] = {}

    records = relax(
        LennardJonesPotential(),
        [*structures, structures[0]],
        RelaxationSettings(engine=engine, max_steps=40),
        on_record=got.__setitem__,
    )

    n_atoms = [len(r.structure) for r in records if r.structure is not None]
    assert n_atoms == [2, 1, 4, 3, 2]
    assert [got[index] for index in range(5)] == records
    if engine is RelaxationEngine.BATCHED:
        assert list(got) != sorted(got)


@both_engines
def test_no_structures_have_no_records(engine: RelaxationEngine) -> None:
    assert relax(LennardJonesPotential(), [], RelaxationSettings(engine=engine)) == []


@both_engines
def test_a_relaxed_structure_needs_no_step(
    structures: list[Structure],
    engine: RelaxationEngine,
) -> None:
    settings = RelaxationSettings(engine=engine, fmax=0.01)
    (first,) = relax(LennardJonesPotential(), structures[:1], settings)
    assert first.structure is not None

    (again,) = relax(LennardJonesPotential(), [first.structure], settings)

    assert again.status is RelaxationStatus.CONVERGED
    assert again.n_steps == 0
    assert again.energy == again.initial_energy == pytest.approx(first.energy)


@both_engines
@pytest.mark.parametrize(
    ("structure", "status", "reason"),
    [
        (perturbed(2, 0, "He"), "isolated_atom", "isolated atom: He"),
        (perturbed(2, 0, "Ne"), "non_finite", "are not finite"),
        (perturbed(2, 0, "Ar"), "error", "no reference energy of Ar"),
        (Structure(np.eye(3) * 3, [{"Cu": 0.5}], [[0, 0, 0]]), "error", "disordered"),
        (Structure(np.eye(3) * 3, [], []), "error", "no atoms"),
        (Structure(np.eye(3) * np.nan, ["Cu"], [[0, 0, 0]]), "non_finite", "the cell"),
        (Structure(np.eye(3), ["Cu"], [[np.nan, 0, 0]]), "non_finite", "a coordinate"),
        (Structure(np.eye(3) * 0.1, ["Cu"], [[0, 0, 0]]), "error", "less than"),
        (Structure(np.eye(3) * 1.2, ["Cu"], [[0, 0, 0]]), "error", "more than 0.5 ato"),
        (Structure(np.ones((3, 3)), ["Cu"], [[0, 0, 0]]), "error", "singular"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_structure_that_cannot_be_relaxed_is_a_record_with_its_reason(
    structure: Structure,
    status: str,
    reason: str,
    engine: RelaxationEngine,
) -> None:
    """The other structure converges."""
    second = perturbed(2)

    record, other = relax(
        LennardJonesPotential(), [structure, second], RelaxationSettings(engine=engine)
    )

    assert record.status == status
    assert record.failed
    assert record.structure is record.initial_energy is record.fmax is None
    assert record.n_steps == 0
    assert record.error is not None
    assert reason in record.error
    assert other.status is RelaxationStatus.CONVERGED


@both_engines
def test_a_relaxation_out_of_steps_has_an_energy(
    structures: list[Structure],
    engine: RelaxationEngine,
) -> None:
    settings = RelaxationSettings(engine=engine, max_steps=3, fmax=1e-9)

    records = relax(LennardJonesPotential(), structures, settings)

    assert {record.status for record in records} == {RelaxationStatus.MAX_STEPS}
    for record in records:
        assert record.n_steps == 3
        assert record.energy is not None
        assert record.initial_energy is not None
        assert record.energy < record.initial_energy
        assert record.fmax is not None
        assert record.fmax > settings.fmax


@both_engines
def test_a_distorted_structure_keeps_its_fixed_symmetry(
    engine: RelaxationEngine,
) -> None:
    """Rock salt, distorted below the tolerance, in the same order of sites."""
    structure = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.4), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    structure.perturb(0.002)
    settings = RelaxationSettings(engine=engine, fix_symmetry=True, fmax=0.001)

    (record,) = relax(LennardJonesPotential(), [structure], settings)

    assert record.status is RelaxationStatus.CONVERGED
    assert record.structure is not None
    assert record.structure.get_space_group_info(symprec=1e-6)[0] == "Fm-3m"
    assert record.structure.species == structure.species


ODDITIES = (
    "none",
    "not a number",
    "flat",
    "overlap",
    "isolated",
    "crowded",
    "heavy",
    "disordered",
    "dummy",
    "strained",
    "skewed",
    "unwrapped",
    "molecule",
    "empty",
)


@st.composite
def odd_structures(draw: st.DrawFn, max_atoms: int = 8) -> Structure:
    """A random crystal with one oddity, or with none."""
    rng = np.random.default_rng(draw(st.integers(0, 100_000)))
    n_atoms = draw(st.one_of(st.just(1), st.integers(1, max_atoms)))
    edge = (draw(st.floats(4, 40)) * n_atoms) ** (1 / 3)
    cell = edge * (np.eye(3) + rng.uniform(-0.3, 0.3, size=(3, 3)))
    return make_odd(draw(st.sampled_from(ODDITIES)), cell, n_atoms, rng)


def make_odd(
    oddity: str, cell: NDArray[np.float64], n_atoms: int, rng: np.random.Generator
) -> Structure:
    """Build a random crystal with an oddity."""
    coords = rng.uniform(size=(n_atoms, 3))
    species: list[object] = [int(z) for z in rng.integers(1, 90, size=n_atoms)]
    strains = {
        "flat": np.diag([1.0, 1.0, 0.0]),
        "isolated": 20 * np.eye(3),
        "crowded": 0.3 * np.eye(3),
        "strained": np.diag(rng.uniform(0.3, 3, size=3)),
        "skewed": np.eye(3) + 30 * np.eye(3, k=1),
        "not a number": np.where(rng.random((3, 3)) < 0.3, np.nan, np.eye(3)),
    }
    odd_species: dict[str, object] = {
        "heavy": 100,
        "disordered": {"Fe": 0.5, "Ni": 0.3},
        "dummy": DummySpecies("X"),
    }
    species[0] = odd_species.get(oddity, species[0])
    if oddity in {"overlap", "molecule"}:
        coords[-1] = coords[0] + rng.normal(scale=0.05, size=3)
    if oddity == "unwrapped":
        coords += rng.integers(-1000, 1000, size=(n_atoms, 3))
    kept = 0 if oddity == "empty" else n_atoms
    cell = cell @ strains.get(oddity, np.eye(3))
    return Structure(cell, species[:kept], coords[:kept])


def check_records(
    records: list[RelaxationRecord],
    structures: list[Structure],
    settings: RelaxationSettings,
) -> None:
    """Check that each structure has a consistent result or a reason."""
    assert len(records) == len(structures)
    for record, structure in zip(records, structures, strict=True):
        if record.status in {RelaxationStatus.CONVERGED, RelaxationStatus.MAX_STEPS}:
            assert (record.energy is None) == (record.error is not None)
            assert record.error is None or "reference energy" in record.error
            assert record.fmax is not None
            assert record.structure is not None
            converged = record.status is RelaxationStatus.CONVERGED
            assert converged == (record.fmax < settings.fmax)
            assert record.structure.species == structure.species
            assert np.isfinite(record.structure.cart_coords).all()
        else:
            assert record.energy is record.fmax is None
            assert record.error
        assert record.n_steps <= settings.max_steps


@given(structures=st.lists(odd_structures(), max_size=6))
@hypothesis_settings(max_examples=40, deadline=None)
def test_any_structure_has_a_result_or_a_reason(
    target: Potential, structures: list[Structure]
) -> None:
    settings = RelaxationSettings(max_steps=4, fmax=0.5)

    records = relax(target, structures, settings)

    check_records(records, structures, settings)


@given(structure=odd_structures(max_atoms=4))
@hypothesis_settings(max_examples=40, deadline=None)
def test_both_engines_agree(target: Potential, structure: Structure) -> None:
    settings = RelaxationSettings(max_steps=3, fmax=0.5)
    by_ase = settings.model_copy(update={"engine": RelaxationEngine.ASE})

    (record,) = relax(target, [structure], settings)
    (reference,) = relax(target, [structure], by_ase)

    assert record.status == reference.status
    assert record.n_steps == reference.n_steps
    assert (record.error or "")[:20] == (reference.error or "")[:20]
    assert record.energy == pytest.approx(reference.energy, abs=1e-3)


@pytest.mark.slow
def test_ten_thousand_odd_structures_have_a_result_or_a_reason(
    target: Potential,
) -> None:
    """Among them some twenty cells of 200 atoms, each as costly as a hundred others."""
    settings = RelaxationSettings(max_steps=2)
    rng = np.random.default_rng(0)
    for _ in range(20):
        sizes = np.where(rng.random(500) < 0.002, 200, rng.integers(1, 9, size=500))
        structures = [
            make_odd(
                str(rng.choice(ODDITIES)),
                (rng.uniform(4, 40) * size) ** (1 / 3) * np.eye(3)
                + rng.normal(scale=0.3, size=(3, 3)),
                int(size),
                rng,
            )
            for size in sizes
        ]

        check_records(relax(target, structures, settings), structures, settings)


@pytest.mark.parametrize("max_steps", [5, 100])
def test_the_ase_engine_equals_plain_ase(max_steps: int) -> None:
    structure = Structure(
        Lattice.hexagonal(2.1, 3.9), ["Mg"] * 2, [[0.3, 0.6, 0.2], [0.7, 0.3, 0.8]]
    )
    atoms = AseAtomsAdaptor.get_atoms(structure)
    atoms.calc = LennardJonesPotential().calculator()
    optimizer = FIRE(FrechetCellFilter(atoms), logfile=None)
    converged = optimizer.run(fmax=0.1, steps=max_steps)

    settings = RelaxationSettings(fmax=0.1, max_steps=max_steps)
    ((index, record),) = relax_with_ase(
        LennardJonesPotential(), [(7, structure)], settings
    )

    assert index == 7
    assert record.status == ("converged" if converged else "max_steps")
    assert record.n_steps == optimizer.nsteps
    assert record.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-12)
