"""Counts of operations on tensors, for tests of what a step may do."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from torch.utils._python_dispatch import TorchDispatchMode

if TYPE_CHECKING:
    from collections.abc import Callable


class OperationCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Numbers of operations on tensors, by name."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.n_operations: Counter[str] = Counter()

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        self.n_operations[func.__name__.partition(".")[0]] += 1
        return func(*args, **(kwargs or {}))
