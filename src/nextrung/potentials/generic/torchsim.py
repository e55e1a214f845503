"""Models of torch-sim, called batch by batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from ase import units
from ase.data import atomic_masses

from nextrung.potentials.devices import is_device_failure, is_out_of_memory
from nextrung.potentials.generic.external import ExternalBackend
from nextrung.potentials.generic.factories import describe
from nextrung.potentials.generic.inputs import CrystalInputs
from nextrung.potentials.interface import BatchLimits, Outputs
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch_sim.state import SimState

    from nextrung.potentials.generic.factories import Factory
    from nextrung.potentials.graphs.crystals import Crystals

#: Neighbors within 6 Å of an atom, at 1 atom/Å³.
_NEIGHBORS = 4 / 3 * np.pi * 6.0**3


class TorchSimBackend(ExternalBackend):
    """A model of torch-sim.

    Parameters
    ----------
    factory : Factory
        Factory of the model, which chooses its device and precision.

    Raises
    ------
    InputError
        If torch-sim is missing, or the factory makes something else.
    """

    family: ClassVar[str] = "torchsim"
    #: Neighbors within 6 Å of a batch. Bytes per neighbor are those of large models of
    #: message passing; a batch that does not fit is halved.
    limits = BatchLimits(
        prediction={"cpu": 12_000, "cuda": 1_000_000},
        relaxation={"cpu": 12_000, "cuda": 1_000_000},
        training={},
        bytes_per_cost=40_000,
    )

    def __init__(self, factory: Factory) -> None:
        super().__init__(factory)
        try:
            from torch_sim.models.interface import ModelInterface  # noqa: PLC0415
        except ImportError as error:
            raise InputError(
                f"{factory}: expected torch-sim, got: {error}; "
                "pip install 'nextrung[torchsim]'"
            ) from error
        self.model = factory.make()
        if not isinstance(self.model, ModelInterface):
            raise InputError(
                f"{factory}: expected a ModelInterface of torch-sim, got a "
                f"{type(self.model).__name__}"
            )
        forces = "f" if self.model.compute_forces else ""
        self.properties = f"e{forces}{'s' if self.model.compute_stress else ''}"

    @property
    def device(self) -> torch.device:
        """Device of the model."""
        return torch.device(self.model.device)

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of the model."""
        dtype: torch.dtype = self.model.dtype
        return dtype

    def double(self) -> Self:
        """Make the model again, if it is in float64.

        Returns
        -------
        TorchSimBackend
            An independent model.

        Raises
        ------
        InputError
            If the factory makes a model of another precision.
        """
        if self.dtype != torch.float64:
            raise InputError(
                f"{self.factory}: expected a factory of a model in float64, got "
                f"{str(self.dtype).removeprefix('torch.')}"
            )
        return self.copy()

    def estimate_costs(
        self, lattices: NDArray[np.float64], n_atoms: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Estimate costs.

        Parameters
        ----------
        lattices : ndarray of float, shape (n_crystals, 3, 3)
            Lattice vectors as rows in Å.
        n_atoms : ndarray of int, shape (n_crystals,)
            Atoms of each crystal.

        Returns
        -------
        ndarray of float, shape (n_crystals,)
            Neighbors within 6 Å in a crystal of the same, uniform density.
        """
        densities = n_atoms / np.abs(np.linalg.det(lattices))
        costs: NDArray[np.float64] = n_atoms * densities * _NEIGHBORS
        return costs

    def prepare(
        self,
        crystals: Crystals,
        device: torch.device,  # noqa: ARG002 - the factory has chosen the device
    ) -> CrystalInputs:
        """Take crystals as they are: the model searches neighbors.

        Parameters
        ----------
        crystals : Crystals
            Crystals.
        device : torch.device
            Not used.

        Returns
        -------
        CrystalInputs
            The crystals and their estimated costs.
        """
        costs = self.estimate_costs(crystals.lattices, crystals.n_atoms)
        return CrystalInputs(crystals, np.ceil(costs).astype(np.int64))

    def compute(self, inputs: CrystalInputs, properties: str) -> Outputs:  # type: ignore[override]
        """Compute crystals in one batch, or one by one if the model raises.

        Parameters
        ----------
        inputs : CrystalInputs
            Crystals.
        properties : str
            Letters of the wanted properties.

        Returns
        -------
        Outputs
            Properties; NaN and a reason for each crystal for which the model raises.
        """
        crystals = inputs.crystals
        try:
            return self._compute_batch(crystals, properties)
        except Exception as error:  # a model raises anything
            if is_out_of_memory(error) or is_device_failure(error):
                raise
            if len(crystals) == 1:
                return _fail(crystals, properties, describe(error))
        alone = [self.compute(inputs[[k]], properties) for k in range(len(crystals))]
        return _join(alone)

    def _compute_batch(self, crystals: Crystals, properties: str) -> Outputs:
        """Compute crystals in one batch."""
        found = self.model(self._make_state(crystals))
        tensors = {
            name: found[name].detach().double()
            for letter, name in (("e", "energy"), ("f", "forces"), ("s", "stress"))
            if letter in properties
        }
        n_crystals, n_sites = len(crystals), len(crystals.atomic_numbers)
        shapes = {
            "energy": (n_crystals,),
            "forces": (n_sites, 3),
            "stress": (n_crystals, 3, 3),
        }
        for name, tensor in tensors.items():
            if tensor.shape != shapes[name]:
                raise InputError(
                    f"{name}: expected shape {shapes[name]}, got {tuple(tensor.shape)}"
                )
        stress = tensors.get("stress")
        return Outputs(
            energies=tensors["energy"],
            forces=tensors.get("forces"),
            stresses=None if stress is None else stress / units.GPa,
            magmoms=None,
        )

    def _make_state(self, crystals: Crystals) -> SimState:
        """Build a state; its lattice vectors are columns."""
        from torch_sim.state import SimState  # noqa: PLC0415 - of an extra

        def convert(values: NDArray[Any], dtype: torch.dtype) -> torch.Tensor:
            return torch.as_tensor(values).to(self.device, dtype)

        return SimState(
            positions=convert(crystals.cart_coords, self.dtype),
            masses=convert(atomic_masses[crystals.atomic_numbers], self.dtype),
            cell=convert(crystals.lattices.transpose(0, 2, 1).copy(), self.dtype),
            pbc=True,
            atomic_numbers=convert(crystals.atomic_numbers, torch.int64),
            system_idx=convert(crystals.crystal_of_site, torch.int64),
        )


def _fail(crystals: Crystals, properties: str, reason: str) -> Outputs:
    """Build the outputs of one crystal that cannot be computed."""
    n_sites = len(crystals.atomic_numbers)
    return Outputs(
        energies=torch.full((1,), torch.nan, dtype=torch.float64),
        forces=torch.full((n_sites, 3), torch.nan) if "f" in properties else None,
        stresses=torch.full((1, 3, 3), torch.nan) if "s" in properties else None,
        magmoms=None,
        errors={0: reason},
    )


def _join(outputs: list[Outputs]) -> Outputs:
    """Join the outputs of crystals that were computed one by one."""

    def join(name: str) -> torch.Tensor | None:
        tensors = [getattr(one, name) for one in outputs]
        return None if tensors[0] is None else torch.cat([t.cpu() for t in tensors])

    return Outputs(
        energies=torch.cat([one.energies.cpu() for one in outputs]),
        forces=join("forces"),
        stresses=join("stresses"),
        magmoms=None,
        errors={k: one.errors[0] for k, one in enumerate(outputs) if one.errors},
    )
