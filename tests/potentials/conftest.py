"""Real structures and chgnet itself, shared by the tests of potentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from nextrung.compute.decoration import list_prototypes
from nextrung.potentials.chgnet.checkpoints import SHIPPED, read_checkpoint
from nextrung.potentials.graphs.crystals import Crystals
from nextrung.potentials.prediction import check_crystals
from nextrung.potentials.registry import load_potential

if TYPE_CHECKING:
    from chgnet.model import CHGNet

    from nextrung.potentials.potential import Potential


def perturb(structure: Structure, rng: np.random.Generator) -> Structure:
    """Strain the cell by some percent and rattle the atoms by 0.04 Å."""
    strain = rng.normal(scale=0.02, size=(3, 3))
    lattice = Lattice(structure.lattice.matrix @ (np.eye(3) + (strain + strain.T) / 2))
    strained = Structure(lattice, structure.species, structure.frac_coords)
    shifts = rng.normal(scale=0.04, size=(len(structure), 3))
    return Structure(
        lattice,
        structure.species,
        strained.cart_coords + shifts,
        coords_are_cartesian=True,
    )


@pytest.fixture(scope="session")
def prototypes() -> list[Structure]:
    """The AFLOW prototypes that can be predicted, the smallest first."""
    ordered = [
        Structure(s.lattice, [site.specie.Z for site in s], s.frac_coords)
        for s in list_prototypes(1000).values()
        if s.is_ordered and max(s.atomic_numbers) <= 94
    ]
    backend = load_potential("chgnet-r2scan", "cpu").backend
    invalid = check_crystals(backend, Crystals.of(ordered))
    usable = [s for index, s in enumerate(ordered) if index not in invalid]
    return sorted(usable, key=len)


@pytest.fixture(scope="session")
def structures(prototypes: list[Structure]) -> list[Structure]:
    """Ten perturbed prototypes of 1 to 14 atoms."""
    rng = np.random.default_rng(0)
    small = [s for s in prototypes if len(s) <= 14]
    chosen = np.linspace(0, len(small) - 1, 10).round().astype(int)
    return [perturb(small[index], rng) for index in chosen]


@pytest.fixture(scope="session")
def source() -> Potential:
    """The potential trained on MPtrj."""
    torch.set_num_threads(1)
    return load_potential("chgnet-0.3.0", device="cpu")


@pytest.fixture(scope="session")
def target() -> Potential:
    """The potential transferred to r²SCAN."""
    torch.set_num_threads(1)
    return load_potential("chgnet-r2scan", device="cpu")


@pytest.fixture(scope="session")
def target_double(target: Potential) -> Potential:
    """The potential transferred to r²SCAN, in float64."""
    return target.double()


@pytest.fixture
def chgnet_model() -> CHGNet:
    """A fresh CHGNet with the weights transferred to r²SCAN, for chgnet's own code."""
    return read_checkpoint(SHIPPED["chgnet-r2scan"]).model
