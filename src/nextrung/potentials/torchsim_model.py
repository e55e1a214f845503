"""The potential as a model of torch-sim, for its optimisers and dynamics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from ase import units

from nextrung.potentials.graphs.crystals import Crystals
from nextrung.schemas.base import InputError

try:
    from torch_sim.models.interface import ModelInterface
except ImportError as error:
    raise InputError(
        f"expected torch-sim, got: {error}; pip install 'nextrung[torchsim]'"
    ) from error

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch_sim.state import SimState

    from nextrung.potentials.interface import Relaxable


class TorchSimModel(ModelInterface):  # type: ignore[misc]
    """Model of torch-sim that predicts with a potential.

    Parameters
    ----------
    potential : Relaxable
        Potential; it splits a state into batches by itself.

    Attributes
    ----------
    errors : dict of int to str
        Reason by the index of each system of the last state that failed, or has no
        energy for want of an atomic reference.
    """

    def __init__(self, potential: Relaxable) -> None:
        super().__init__()
        self.potential = potential
        self.errors: dict[int, str] = {}
        self._device = potential.device
        self._dtype = torch.float64
        self._compute_forces = True
        self._compute_stress = True
        self._memory_scales_with = "n_atoms_x_density"

    def forward(self, state: SimState, **_: Any) -> dict[str, torch.Tensor]:  # noqa: ANN401
        """Predict energies, forces and stresses.

        Parameters
        ----------
        state : SimState
            Periodic systems; not changed.
        **_ : object
            Options of other models; ignored.

        Returns
        -------
        dict of str to torch.Tensor
            ``energy`` in eV, shape (n_systems,); ``forces`` in eV/Å, shape
            (n_atoms, 3); ``stress`` in eV/Å³, compression negative, shape
            (n_systems, 3, 3). NaN where they cannot be predicted.
        """
        crystals = _read_state(state)
        prediction = self.potential.predict_batch(crystals, "efs")
        properties = {
            "energy": prediction.energies.copy(),
            "forces": prediction.forces.copy(),
            "stress": prediction.stresses * units.GPa,
        }
        errors = prediction.errors | prediction.unreferenced
        self.errors = dict(sorted(errors.items()))
        if not torch.as_tensor(state.pbc).all():
            reason = "not periodic in all three directions"
            self.errors = dict.fromkeys(range(len(crystals)), reason)
            for values in properties.values():
                values[:] = np.nan
        return {
            name: torch.as_tensor(values, dtype=self._dtype, device=self._device)
            for name, values in properties.items()
        }


def _read_state(state: SimState) -> Crystals:
    """Read the systems of a state, whose lattice vectors are columns, as crystals."""
    cells, positions = (
        tensor.numpy(force=True).astype(np.float64)
        for tensor in (state.cell, state.positions)
    )
    numbers, system_idx = (
        tensor.numpy(force=True).astype(np.int64)
        for tensor in (state.atomic_numbers, state.system_idx)
    )
    lattices = cells.transpose(0, 2, 1)
    counts = np.bincount(system_idx, minlength=len(lattices))
    return Crystals(
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        atomic_numbers=numbers,
        lattices=lattices,
        frac_coords=_compute_frac_coords(positions, lattices, system_idx),
    )


def _compute_frac_coords(
    positions: NDArray[np.float64],
    lattices: NDArray[np.float64],
    system_idx: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Compute fractional coordinates; 0 in a singular cell."""
    with np.errstate(all="ignore"):
        volumes = np.abs(np.linalg.det(lattices))
        valid = np.isfinite(volumes) & (volumes > 0)
        inverses = np.zeros_like(lattices)
        inverses[valid] = np.linalg.inv(lattices[valid])
        fracs: NDArray[np.float64] = (positions[:, None] @ inverses[system_idx])[:, 0]
    return fracs
