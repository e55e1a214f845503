"""Energies, forces and stresses of batches by an unmodified ``ScaleShiftMACE``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from nextrung.potentials.interface import Outputs
from nextrung.potentials.mace.checkpoints import REFERENCES

if TYPE_CHECKING:
    from torch import nn

    from nextrung.potentials.mace.batches import MaceBatch

#: GPa per eV/Å³, the value of ASE and of CHGNet.
_GPA = 160.21766208


def predict_batch(module: nn.Module, batch: MaceBatch, properties: str) -> Outputs:
    """Predict the properties of a batch, without gradients.

    Parameters
    ----------
    module : ScaleShiftMACE
        Model whose references are a parameter, on the device of the batch.
    batch : MaceBatch
        The batch.
    properties : str
        Letters: ``e`` energies (always computed), ``f`` forces, ``s`` stresses.
    """
    with torch.set_grad_enabled("f" in properties or "s" in properties):
        outputs = _predict(module, batch, properties, create_graph=False)
    forces, stresses = outputs.forces, outputs.stresses
    return replace(
        outputs,
        energies=outputs.energies.detach(),
        forces=None if forces is None else forces.detach(),
        stresses=None if stresses is None else stresses.detach(),
    )


def predict_differentiably(
    module: nn.Module, batch: MaceBatch, properties: str
) -> Outputs:
    """Predict the properties of a batch, differentiable by the parameters.

    Parameters
    ----------
    module : ScaleShiftMACE
        Model whose references are a parameter, on the device of the batch.
    batch : MaceBatch
        The batch.
    properties : str
        Letters, see :func:`predict_batch`.
    """
    return _predict(module, batch, properties, create_graph=True)


def _predict(
    module: nn.Module,
    batch: MaceBatch,
    properties: str,
    *,
    create_graph: bool,
) -> Outputs:
    """Predict properties.

    The references are added in float64, which mace rounds. The compiler of TorchScript
    is off: it takes two seconds in the first calls, and nothing gets faster.
    """
    data = {**batch.data, "positions": batch.data["positions"].detach()}
    with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
        found = module(
            data,
            training=create_graph,
            compute_force="f" in properties,
            compute_stress="s" in properties,
        )
    references = batch.composition @ module.get_parameter(REFERENCES)[batch.head]
    return Outputs(
        energies=found["interaction_energy"].double() + references,
        forces=found["forces"] if "f" in properties else None,
        stresses=found["stress"] * _GPA if "s" in properties else None,
        magmoms=None,
    )
