"""Errors, memory and precision of the device of a potential."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_T = TypeVar("_T")
#: Parts of messages of errors after which a process can no longer use its device.
#: Before torch 2.8 they were plain RuntimeErrors, those of libraries still are.
_DEVICE_FAILURES: Final = (
    "CUDA error",
    "cuDNN error",
    "CUBLAS_STATUS",
    "CUSOLVER_STATUS",
    "NCCL error",
    "device-side assert",
)
#: Parts of messages of errors that only mean that memory ran out: those of the host, of
#: CUDA outside of torch's allocator, and of a cuBLAS that found no room for itself.
_OUT_OF_MEMORY: Final = (
    "can't allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)
#: Fraction of the memory of each device that this process may use; torch can be told
#: this, but older versions cannot be asked.
_SHARES: Final[dict[int, float]] = {}


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out, on the device or on the host.

    Parameters
    ----------
    error : BaseException
        An exception.
    """
    if isinstance(error, torch.OutOfMemoryError):
        return True
    message = str(error)
    return isinstance(error, RuntimeError) and any(
        part in message for part in _OUT_OF_MEMORY
    )


def is_device_failure(error: BaseException) -> bool:
    """Return whether an exception comes from a failed device.

    After such an error, an illegal access or a failed kernel, every further operation
    on the device fails as long as the process runs. Missing memory is no such error.

    Parameters
    ----------
    error : BaseException
        An exception; those that caused it count too.
    """
    return any(map(_is_failure, _list_causes(error)))


def _is_failure(error: BaseException) -> bool:
    """Return whether an exception, without its causes, is that of a failed device."""
    if not isinstance(error, RuntimeError) or is_out_of_memory(error):
        return False
    named = type(error).__name__ == "AcceleratorError"  # which torch < 2.8 lacks
    return named or any(part in str(error) for part in _DEVICE_FAILURES)


def _list_causes(error: BaseException | None) -> Iterator[BaseException]:
    """List an exception and those during which it was raised."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def try_within_memory(compute: Callable[[], _T]) -> _T | None:
    """Compute, unless memory runs out.

    Parameters
    ----------
    compute : callable
        Computation without effects; it does not return None.

    Returns
    -------
    object or None
        Its result; None if memory ran out, and all tensors of it are freed.
    """
    try:
        return compute()
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    return None  # here, where the exception no longer holds the tensors


def release_cached_memory() -> None:
    """Return the memory that torch keeps for reuse to the device.

    Other processes on the device, such as those that this one starts, can then use it.
    """
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()


def share_memory(device: torch.device, n_processes: int) -> None:
    """Limit this process to its share of the memory of a device.

    Parameters
    ----------
    device : torch.device
        Device; nothing is done on a CPU.
    n_processes : int
        Processes that use the device.
    """
    if device.type == "cuda" and n_processes > 1:
        index = device.index or 0
        _SHARES[index] = 1 / n_processes
        torch.cuda.set_per_process_memory_fraction(1 / n_processes, index)


def find_available_memory(device: torch.device) -> int:
    """Find how much more memory of a GPU this process can use.

    Parameters
    ----------
    device : torch.device
        CUDA device.

    Returns
    -------
    int
        Free memory in bytes, with what torch keeps for reuse, within the share of this
        process.
    """
    free, total = torch.cuda.mem_get_info(device)
    allocated = torch.cuda.memory_allocated(device)
    reusable = torch.cuda.memory_reserved(device) - allocated
    share = int(total * _SHARES.get(device.index or 0, 1.0)) - allocated
    return max(0, min(free + reusable, share))


def use_full_precision() -> None:
    """Compute products of float32 matrices in float32, whatever the environment says.

    Containers of NVIDIA set ``TORCH_ALLOW_TF32_CUBLAS_OVERRIDE``, which rounds the
    factors to 10 bits. A training of the precision ``tensor_float32`` asks for this by
    itself.
    """
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    matmul = torch.backends.cuda.matmul
    matmul.allow_fp16_reduced_precision_reduction = False
    matmul.allow_bf16_reduced_precision_reduction = False
