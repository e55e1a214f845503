"""Checks of the GPUs of this machine: memory, precision, visibility, NCCL."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import torch
from torch.distributed import is_nccl_available

from nextrung.potentials.devices import use_full_precision
from nextrung.schemas.cluster.checks import Finding, Level, make_finding

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Fraction of the memory of a GPU below which free memory is a warning.
MOSTLY_FREE: Final = 0.8
#: Variable by which cuBLAS rounds products, whatever a program asks for.
ROUNDING_VARIABLE: Final = "NVIDIA_TF32_OVERRIDE"
VISIBLE_VARIABLE: Final = "CUDA_VISIBLE_DEVICES"
#: One more than float32 can tell from 1 with the 10 bits of TF32.
_BARELY_MORE: Final = 1 + 2**-12


def check_gpus() -> Iterator[Finding]:
    """Check the GPUs that torch detects; without one, that is the only finding."""
    count = torch.cuda.device_count()
    visible = os.environ.get(VISIBLE_VARIABLE)
    if count == 0:
        found = f"none visible to torch {torch.__version__}"
        if visible:
            found += f", of {VISIBLE_VARIABLE}={visible}"
        advice = "fine on a node that only submits"
        yield make_finding("GPU", Level.WARN, found, advice)
        return
    names = {torch.cuda.get_device_name(number) for number in range(count)}
    yield make_finding("GPU", Level.OK, f"{count} × {', '.join(sorted(names))}")
    yield _check_memory(count)
    yield check_precision(torch.device("cuda"))
    yield _check_visible(count, visible)
    if count > 1:
        yield _check_nccl(count)


def _check_memory(count: int) -> Finding:
    """List the free memory of each GPU."""
    sizes = [torch.cuda.mem_get_info(number) for number in range(count)]
    shown = ", ".join(f"{free / 1e9:.0f} of {total / 1e9:.0f}" for free, total in sizes)
    found = f"{shown} GB free"
    if all(free >= MOSTLY_FREE * total for free, total in sizes):
        return make_finding("GPU memory", Level.OK, found)
    advice = "other processes use it: nvidia-smi; batches of a worker fill what is free"
    return make_finding("GPU memory", Level.WARN, found, advice)


def check_precision(device: torch.device) -> Finding:
    """Check that float32 products are not rounded to the 10 bits of TF32.

    Parameters
    ----------
    device : torch.device
        Device to compute a product on, with the settings of every job.
    """
    subject = "GPU precision"
    use_full_precision()
    try:
        matrix = torch.full((64, 64), _BARELY_MORE, device=device)
        rounded = bool((matrix @ torch.eye(64, device=device) == 1).any())
    except RuntimeError as error:  # such as no kernels for this generation of GPUs
        advice = "a wheel of torch for this GPU and its driver"
        found = f"no product of matrices: {str(error).splitlines()[0]}"
        return make_finding(subject, Level.FAIL, found, advice)
    if rounded:
        value = os.environ.get(ROUNDING_VARIABLE, "")
        found = f"float32 products are rounded: {ROUNDING_VARIABLE}={value}"
        return make_finding(subject, Level.FAIL, found, f"unset {ROUNDING_VARIABLE}")
    return make_finding(subject, Level.OK, "float32 products in float32")


def _check_visible(count: int, visible: str | None) -> Finding:
    """Describe which GPUs a worker that is started here uses."""
    named = "unset" if visible is None else visible
    if count == 1:
        found = f"1 for a worker started here ({VISIBLE_VARIABLE} {named})"
        return make_finding("GPUs per worker", Level.OK, found)
    found = (
        f"{count} for a worker started here ({VISIBLE_VARIABLE} {named}): a training "
        "may use all of them, other jobs the first"
    )
    advice = "for one worker per GPU: srun --gpus-per-task=1, or set the variable"
    return make_finding("GPUs per worker", Level.OK, found, advice)


def _check_nccl(count: int) -> Finding:
    """Check that trainings can use several GPUs."""
    if is_nccl_available():
        version = ".".join(map(str, torch.cuda.nccl.version()))  # type: ignore[no-untyped-call]
        return make_finding("NCCL", Level.OK, version)
    found = f"missing in torch {torch.__version__}: no training on {count} GPUs"
    advice = "install the CUDA wheel of torch, or set NEXTRUNG_N_TRAINING_PROCESSES=1"
    return make_finding("NCCL", Level.FAIL, found, advice)
