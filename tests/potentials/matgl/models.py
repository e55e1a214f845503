"""Models of matgl with random weights, from its own constructors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from matgl.apps.pes import Potential
from matgl.models import QET, CHGNet, M3GNet, SO3Net, TensorNet
from pymatgen.core import Lattice, Structure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ELEMENTS = ("Cl", "Cu", "Na", "O")
REFERENCES = (-1.5, -3.25, -0.125, -4.0625)
#: Arguments of a small network of each architecture.
ARCHITECTURES: dict[str, tuple[type, dict[str, Any]]] = {
    "CHGNet": (
        CHGNet,
        {
            "dim_atom_embedding": 8,
            "dim_bond_embedding": 8,
            "dim_angle_embedding": 8,
            "threebody_cutoff": 3.0,
        },
    ),
    "M3GNet": (M3GNet, {"dim_node_embedding": 8, "dim_edge_embedding": 8, "units": 8}),
    "QET": (QET, {"units": 8, "nblocks": 1, "num_rbf": 8}),
    "SO3Net": (SO3Net, {"units": 8, "lmax": 1}),
    "TensorNet": (TensorNet, {"units": 8, "nblocks": 1, "num_rbf": 8}),
}


def make_potential(
    name: str = "TensorNet",
    references: Sequence[float] | None = REFERENCES,
    seed: int = 0,
) -> Potential:
    """Make a potential whose energies are scaled and shifted too."""
    network, arguments = ARCHITECTURES[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = network(
            element_types=ELEMENTS, is_intensive=False, cutoff=4.5, **arguments
        )
    return Potential(
        model,
        data_mean=0.5,
        data_std=2.0,
        element_refs=None if references is None else np.array(references),
        calc_charge=name == "QET",
    ).eval()


def save_potential(folder: Path, name: str = "TensorNet", **options: Any) -> Potential:  # noqa: ANN401
    """Save a potential in a folder as matgl does."""
    potential = make_potential(name, **options)
    potential.save(folder)
    return potential


def make_structures() -> list[Structure]:
    """Make a cubic, a triclinic and a primitive crystal, perturbed or not wrapped."""
    copper = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(3.7), ["Cu"], [[0, 0, 0]]
    ).perturb(0.05)
    lattice = Lattice.from_parameters(4.2, 4.4, 5.0, 80, 95, 100)
    salt = Structure(lattice, ["Na", "Cl"], [[0, 0, 0], [0.5, 1.5, -0.55]])
    return [copper, salt, Structure(Lattice.cubic(2.6), ["Cu"], [[0, 0, 0]])]
