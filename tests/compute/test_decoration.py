from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Element, Lattice, Structure

from nextrung.compute.decoration import (
    draw_compounds,
    draw_crystals,
    draw_polymorphs,
    list_prototypes,
    perturb,
    scale_to_atoms,
)


@pytest.fixture(scope="module")
def prototypes() -> dict[str, Structure]:
    return list_prototypes(6)


def test_prototypes_are_small_and_have_unique_names(
    prototypes: dict[str, Structure],
) -> None:
    assert "AB_cF8_225_a_b-NaCl" in prototypes
    assert max(len(structure) for structure in prototypes.values()) == 6


def test_prototypes_are_those_of_the_library_of_pymatgen() -> None:
    from pymatgen.analysis.prototypes import (  # noqa: PLC0415 - loads for seconds
        AFLOW_PROTOTYPE_LIBRARY,
    )

    library = {
        f"{entry['tags']['aflow']}-{structure.reduced_formula}": structure
        for entry in AFLOW_PROTOTYPE_LIBRARY
        for structure in [entry["snl"].structure]
    }

    assert list_prototypes(1000) == library
    assert len(library) == 288


def test_compounds_have_two_or_more_elements_of_the_system(
    prototypes: dict[str, Structure],
) -> None:
    compounds = draw_compounds(
        prototypes, ["Li", "Mn", "O"], 20, rng=np.random.default_rng(0)
    )

    systems = [structure.chemical_system for structure in compounds.values()]
    assert len(compounds) == 20
    assert set(systems) == {"Li-Mn", "Li-O", "Mn-O", "Li-Mn-O"}
    assert max(map(systems.count, systems)) == min(map(systems.count, systems)) == 5


def test_names_tell_formula_and_prototype(prototypes: dict[str, Structure]) -> None:
    compounds = draw_compounds(
        prototypes, ["Na", "Cl"], 5, rng=np.random.default_rng(0)
    )

    for name, structure in compounds.items():
        formula, prototype = name.split("-", maxsplit=1)
        assert formula == structure.composition.reduced_formula
        anonymous = prototypes[prototype].composition.anonymized_formula
        assert anonymous == structure.composition.anonymized_formula


def test_drawn_crystals_depend_on_the_seed_only(
    prototypes: dict[str, Structure],
) -> None:
    draws = [
        list(draw_compounds(prototypes, ["K", "F"], 6, rng=np.random.default_rng(seed)))
        for seed in (0, 0, 1)
    ]

    assert draws[0] == draws[1] != draws[2]


def test_similar_elements_come_first_on_average(
    prototypes: dict[str, Structure],
) -> None:
    """The first fifth of a long draw is nearer to its prototypes than the rest."""
    distances = []
    for seed in range(10):
        compounds = draw_polymorphs(
            prototypes, "Mg", 1000, rng=np.random.default_rng(seed)
        )
        distances.append(
            [
                abs(Element(name.split("-")[-1].rstrip("0123456789")).mendeleev_no - 73)
                for name in compounds
            ]
        )

    ordered = np.mean(distances, axis=0)

    assert ordered[: len(ordered) // 5].mean() < ordered.mean() - 5


def test_all_crystals_are_returned_where_there_are_fewer_than_requested() -> None:
    prototypes = {"rocksalt-NaCl": list_prototypes(6)["AB_cF8_225_a_b-NaCl"]}

    compounds = draw_compounds(prototypes, ["Li", "F"], 9, rng=np.random.default_rng(0))

    assert list(compounds) == ["LiF-rocksalt-NaCl"]


def test_polymorphs_are_crystals_of_the_element(
    prototypes: dict[str, Structure],
) -> None:
    crystals = draw_polymorphs(prototypes, "Ti", 4, rng=np.random.default_rng(0))

    assert [s.chemical_system for s in crystals.values()] == ["Ti"] * 4


def test_scaling_keeps_everything_but_the_volume() -> None:
    salt = Structure(Lattice.cubic(5), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])

    scaled = scale_to_atoms(salt)

    assert 3.5 < scaled.lattice.a < 4.7
    assert scaled.lattice.abc == pytest.approx([scaled.lattice.a] * 3)
    np.testing.assert_allclose(scaled.frac_coords, salt.frac_coords)


@pytest.mark.parametrize("elements", [["H"], ["He", "Xe"]], ids=["far", "unknown"])
def test_crystals_that_cannot_be_scaled_are_unchanged(elements: list[str]) -> None:
    coords = np.arange(len(elements))[:, None] * [0.5, 0.5, 0.5]
    crystal = Structure(Lattice.cubic(20), elements, coords)

    assert scale_to_atoms(crystal).volume == pytest.approx(8000)


def test_no_strain_and_no_displacement_change_nothing() -> None:
    salt = Structure(Lattice.cubic(4), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])

    same = perturb(salt, strain=0, displacement=0, rng=np.random.default_rng(0))

    np.testing.assert_allclose(same.lattice.matrix, salt.lattice.matrix)
    np.testing.assert_allclose(same.cart_coords, salt.cart_coords, atol=1e-12)


def test_strain_is_symmetric_and_bounded() -> None:
    """The deformation of a cube of 1 Å is its lattice matrix."""
    cube = Structure(Lattice.cubic(1), ["H"], [[0, 0, 0]])

    for seed in range(20):
        rng = np.random.default_rng(seed)
        strain = perturb(cube, strain=0.05, displacement=0, rng=rng).lattice.matrix
        np.testing.assert_allclose(strain, strain.T)
        assert np.abs(strain - np.eye(3)).max() <= 0.05


def test_displacements_have_the_given_standard_deviation() -> None:
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.arange(8) / 8] * 3), -1).reshape(-1, 3)
    crystal = Structure(Lattice.cubic(80), ["H"] * len(grid), grid)

    moved = perturb(crystal, strain=0, displacement=0.1, rng=rng)

    shifts = moved.cart_coords - crystal.cart_coords
    assert shifts.std() == pytest.approx(0.1, rel=0.05)
    assert abs(shifts.mean()) < 0.01


def test_crystals_of_any_system_have_the_elements_given_each_once(
    prototypes: dict[str, Structure],
) -> None:
    elements = ["Li", "F", "Fe", "O", "Cs"]
    crystals = draw_crystals(prototypes, elements, 20, rng=np.random.default_rng(0))
    again = draw_crystals(prototypes, elements, 20, rng=np.random.default_rng(0))

    assert list(crystals) == list(again)
    assert len(crystals) > 10
    for name, crystal in crystals.items():
        prototype = prototypes[name.partition("-")[2]]
        assert set(crystal.symbol_set) <= set(elements)
        assert len(crystal.composition) == len(prototype.composition)
        assert crystal == again[name]


def test_two_elements_decorate_no_prototype_of_three(
    prototypes: dict[str, Structure],
) -> None:
    crystals = draw_crystals(prototypes, ["Na", "Cl"], 20, rng=np.random.default_rng(1))

    assert {len(crystal.composition) for crystal in crystals.values()} <= {1, 2}
