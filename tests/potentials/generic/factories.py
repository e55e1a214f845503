"""Factories of calculators and models, as a user would write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones

if TYPE_CHECKING:
    from ase import Atoms


def lennard_jones() -> LennardJones:
    """Make a calculator of all elements."""
    return LennardJones(sigma=2.0, epsilon=0.3, rc=6.0, smooth=True)


class WithoutStress(EMT):  # type: ignore[misc]
    """A calculator that has no stress."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]


class EnergyOnly(EMT):  # type: ignore[misc]
    """A calculator that has energies alone."""

    implemented_properties: ClassVar[list[str]] = ["energy"]


class WithoutEnergy(EMT):  # type: ignore[misc]
    """A calculator that has no energy."""

    implemented_properties: ClassVar[list[str]] = ["forces"]


class Misshapen(Calculator):  # type: ignore[misc]
    """A calculator whose forces have the shape of no structure."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def calculate(self, atoms: Atoms | None = None, *_: list[str]) -> None:
        """Return forces of one atom too many."""
        super().calculate(atoms)
        self.results = {"energy": 0.0, "forces": [[0.0] * 3] * (len(self.atoms) + 1)}


def raise_two_lines() -> None:
    """Raise an exception with a text of two lines."""
    raise RuntimeError("no licence\nask the vendor")


def torchsim_lennard_jones(dtype: torch.dtype = torch.float64) -> Any:  # noqa: ANN401
    """Make a model of torch-sim."""
    from torch_sim.models.lennard_jones import (  # noqa: PLC0415 - of an extra
        LennardJonesModel,
    )

    return LennardJonesModel(
        sigma=2.0,
        epsilon=0.3,
        cutoff=6.0,
        dtype=dtype,
        compute_forces=True,
        compute_stress=True,
        use_neighbor_list=True,
    )


def torchsim_single() -> Any:  # noqa: ANN401
    """Make a model of torch-sim in float32."""
    return torchsim_lennard_jones(torch.float32)


def torchsim_without_sodium() -> Any:  # noqa: ANN401
    """Make a model of torch-sim that raises for sodium."""
    model = torchsim_lennard_jones()
    forward = model.forward

    def refuse(state: Any) -> Any:  # noqa: ANN401
        if (state.atomic_numbers == 11).any():
            raise KeyError("Na")
        return forward(state)

    model.forward = refuse
    return model
