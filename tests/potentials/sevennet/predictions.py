"""Predictions of crystals of ASE, by a backend and by sevenn itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from ase import units
from pymatgen.io.ase import AseAtomsAdaptor

from nextrung.potentials.graphs.crystals import Crystals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ase import Atoms
    from ase.calculators.calculator import Calculator
    from torch import Tensor

    from nextrung.potentials.interface import Inputs, Outputs
    from nextrung.potentials.sevennet.backend import SevenNetBackend
    from nextrung.potentials.sevennet.graphs import PairBatch

CPU = torch.device("cpu")
#: Component of sevenn's order xx, yy, zz, xy, yz, zx at each place of a tensor.
_VOIGT = torch.tensor([[0, 3, 5], [3, 1, 4], [5, 4, 2]])


def prepare(backend: SevenNetBackend, crystals: Sequence[Atoms]) -> Inputs:
    """Search the neighbors of crystals."""
    structures = [AseAtomsAdaptor.get_structure(atoms) for atoms in crystals]
    return backend.prepare(Crystals.of(structures), CPU)


def predict(
    backend: SevenNetBackend, crystals: Sequence[Atoms], properties: str = "efs"
) -> Outputs:
    """Predict properties of crystals in one batch."""
    return backend.compute(prepare(backend, crystals), properties)


def check_equal(
    outputs: Outputs,
    crystals: Sequence[Atoms],
    calculator: Calculator,
    *,
    energy: float = 1e-5,
    forces: float = 1e-4,
) -> None:
    """Check a batch against a calculator: tolerances in eV/atom, and eV/Å or GPa."""
    first = 0
    for index, atoms in enumerate(crystals):
        copied = atoms.copy()
        copied.calc = calculator
        expected = copied.get_potential_energy() / len(atoms)
        assert abs(float(outputs.energies[index]) / len(atoms) - expected) < energy
        assert outputs.forces is not None
        assert outputs.stresses is not None
        rows = slice(first, first := first + len(atoms))
        np.testing.assert_allclose(
            outputs.forces[rows], copied.get_forces(), rtol=0, atol=forces
        )
        stress = copied.get_stress(voigt=False) / units.GPa
        np.testing.assert_allclose(
            outputs.stresses[index], stress, rtol=1e-4, atol=forces
        )


def run_sevenn(
    model: Any,  # noqa: ANN401
    batch: PairBatch,
    fidelity: str | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute energies, forces and stresses in GPa by a model of sevenn itself.

    Its one-hot vectors are float32 at any precision of its weights.
    """
    model.set_is_batch_data(flag=True)
    for layer in model.children():
        if type(layer).__name__ == "OnehotEmbedding":
            layer.register_forward_hook(_cast_vectors)
    ends = batch.ends.index.view(-1, 2)
    outputs = model(
        _Data(
            x=batch.atomic_numbers,
            atomic_numbers=batch.atomic_numbers,
            edge_index=torch.cat([ends, ends.flip(1)]).T,
            edge_vec=torch.cat([batch.vectors, -batch.vectors]),
            batch=batch.owners.index,
            cell_volume=batch.volumes.clone(),
            num_atoms=batch.n_atoms,
            data_modality=[fidelity] * len(batch),
        )
    )
    stresses = -outputs["inferred_stress"][:, _VOIGT] / units.GPa
    return outputs["inferred_total_energy"], outputs["inferred_force"], stresses


class _Data(dict[str, Any]):
    """Values of a batch, also as attributes, as sevenn reads them."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return self[name]


def _cast_vectors(layer: Any, _: object, values: Any) -> Any:  # noqa: ANN401
    """Convert the one-hot vectors of a layer to float64."""
    for key in (layer.key_output, layer.key_additional_output):
        if key is not None:
            values[key] = values[key].double()
    return values
