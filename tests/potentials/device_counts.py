"""Counts of the operations that an accelerator would run, and of waits for it."""

from __future__ import annotations

import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._pytree import tree_leaves

import nextrung

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch._ops import OpOverload

_SOURCE = str(Path(nextrung.__file__).parent)
#: Operations whose result has a size, or a value, that the host waits for on CUDA, and
#: how often; ``bincount`` reads the smallest and the largest value.
_WAITS = {
    "aten::nonzero": 1,
    "aten::masked_select": 1,
    "aten::bincount": 2,
    "aten::_local_scalar_dense": 1,
    "aten::_linalg_check_errors": 1,
    "aten::equal": 1,
    "aten::_unique2": 1,
    "aten::unique_dim": 1,
    "aten::unique_consecutive": 1,
    "aten::linalg_eigh": 1,
    "aten::_linalg_eigh": 1,
    "aten::_linalg_svd": 1,
}
#: Operations that allocate memory without a kernel.
_ALLOCATIONS = {"aten::empty", "aten::new_empty", "aten::empty_like"}


@dataclass
class DeviceCounts:
    """Operations of an accelerator.

    Parameters
    ----------
    waits : Counter of (str, str)
        Copies between the devices and synchronisations, by operation and line.
    operations : Counter of str
        Operations that start a kernel; some of them start several.
    n_bytes : int
        Sizes of the tensors that these operations read and write.
    """

    waits: Counter[tuple[str, str]] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    n_bytes: int = 0

    @property
    def n_waits(self) -> int:
        """Copies between the devices and synchronisations."""
        return self.waits.total()

    @property
    def n_operations(self) -> int:
        """Operations that start a kernel."""
        return self.operations.total()

    def add_wait(self, name: str, number: int = 1) -> None:
        """Count a copy or a synchronisation at the line that asks for it."""
        self.waits[name, _find_line()] += number

    def add(
        self,
        func: OpOverload,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        made: object,
    ) -> None:
        """Count an operation on the device."""
        name = func._schema.name
        waits = _WAITS.get(name, 0)
        if name == "aten::repeat_interleave" and kwargs.get("output_size") is None:
            waits = 1
        if name in {"aten::index", "aten::index_put", "aten::index_put_"}:
            waits = sum(index is not None and _is_mask(index) for index in args[1])
        if waits:
            self.add_wait(name, waits)
        if name not in _ALLOCATIONS and not _is_view(func):
            self.operations[name] += 1
            self.n_bytes += _sum_bytes(tree_leaves((args, dict(kwargs), made)))


def _is_mask(index: torch.Tensor) -> bool:
    """Whether a tensor that selects rows is a mask, whose size is not known."""
    return index.dtype in {torch.bool, torch.uint8}


def _is_view(func: OpOverload) -> bool:
    """Whether an operation returns a view of its operand."""
    returns = [each.alias_info for each in func._schema.returns]
    return any(alias is not None and not alias.is_write for alias in returns)


def _sum_bytes(leaves: Iterable[object]) -> int:
    """Sum the sizes of tensors."""
    return sum(
        leaf.numel() * leaf.element_size()
        for leaf in leaves
        if isinstance(leaf, torch.Tensor)
    )


def _find_line() -> str:
    """Find the innermost line of the package on the stack."""
    for frame in reversed(traceback.extract_stack()):
        if frame.filename.startswith(_SOURCE):
            return f"{Path(frame.filename).name}:{frame.lineno}"
    return "test"
