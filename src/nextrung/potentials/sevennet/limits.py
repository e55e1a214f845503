"""Largest costs of batches of SevenNet, from the size of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.potentials.interface import BatchLimits

if TYPE_CHECKING:
    from sevenn.nn.sequential import AtomGraphSequential

#: Numbers of the messages, over all layers, of the fastest batches of a CPU core: 6,000
#: edges of sevennet-0, and 3,000 in training; measured on an AMD EPYC.
_CPU_NUMBERS, _CPU_TRAINING_NUMBERS = 6.5e7, 3.2e7
#: Numbers of the messages of a batch on a GPU, by the estimate of its memory: 40 GB,
#: and 20 GB in training.
_GPU_NUMBERS, _GPU_TRAINING_NUMBERS = 2e9, 6e8
#: Bytes of GPU memory per number of a message, an estimate: 8 are saved for the forces,
#: 20 in training, counted on a CPU with ``saved_tensors_hooks``; others are temporary.
_BYTES_PER_NUMBER = 20


def find_limits(module: AtomGraphSequential) -> BatchLimits:
    """Find the costs of batches from the size of the messages of a model.

    Parameters
    ----------
    module : AtomGraphSequential
        The model.

    Returns
    -------
    BatchLimits
        Costs in directed edges.
    """
    plans = [getattr(layer, "convolution_kwargs", None) for layer in module.children()]
    numbers = sum(plan["irreps_out"].dim for plan in plans if plan is not None)
    inference = {"cpu": _CPU_NUMBERS / numbers, "cuda": _GPU_NUMBERS / numbers}
    training = {
        "cpu": _CPU_TRAINING_NUMBERS / numbers,
        "cuda": _GPU_TRAINING_NUMBERS / numbers,
    }
    return BatchLimits(
        prediction=inference,
        relaxation=inference,
        training=training,
        bytes_per_cost=_BYTES_PER_NUMBER * numbers,
    )
