"""A simulated accelerator that computes on the CPU.

Operations on its tensors and tensors of the CPU raise an exception, as on a GPU. The
device has the name ``meta``, since other names of PyTorch need a driver.
"""

from __future__ import annotations

from contextlib import contextmanager
from copy import deepcopy
from typing import TYPE_CHECKING, Any, NoReturn, Self

import torch
from tests.potentials.device_counts import DeviceCounts
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from torch._ops import OpOverload

DEVICE = torch.device("meta")
#: Operations that move tensors between devices.
TRANSFERS = {"aten::_to_copy", "aten::copy_"}
#: Counts of the innermost simulation.
_counts = [DeviceCounts()]


class _Remote(torch.Tensor):
    """A tensor on the accelerator."""

    own: torch.Tensor

    @staticmethod
    def __new__(cls: type[Self], own: torch.Tensor) -> Self:
        remote: Self = torch.Tensor._make_wrapper_subclass(
            cls,
            own.size(),
            strides=own.stride(),
            storage_offset=own.storage_offset(),
            dtype=own.dtype,
            device=DEVICE,
            requires_grad=own.requires_grad,
        )
        remote.own = own
        return remote

    def tolist(self) -> list[Any]:
        _counts[-1].add_wait("tolist")
        return self.own.tolist()

    def numpy(self, **_: object) -> NoReturn:
        raise TypeError("expected a tensor on the CPU, got one on the accelerator")

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> NoReturn:
        raise AssertionError(f"{func} outside of the context")


class _Literals(TorchFunctionMode):
    """Constructors of tensors, which the dispatch mode does not intercept."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        kwargs = dict(kwargs or {})
        if func is torch.Tensor.new_tensor:
            like, args = args[0], args[1:]
            kwargs = {"dtype": like.dtype, "device": like.device} | kwargs
        elif func is not torch.tensor:
            return func(*args, **kwargs)
        device = kwargs.pop("device", "cpu")
        return torch.tensor(*args, **kwargs).to(device)


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Interception of all operations on tensors."""

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        kwargs = dict(kwargs or {})
        device = kwargs.get("device")
        leaves = tree_leaves((args, kwargs))
        is_remote = any(isinstance(leaf, _Remote) for leaf in leaves)
        if func._schema.name not in TRANSFERS and is_remote:
            _check_devices(func, leaves)
        if device is not None:
            kwargs["device"] = "cpu"
            is_remote = torch.device(device).type == DEVICE.type
        made = func(*tree_map(_to_local, args), **tree_map(_to_local, kwargs))
        if _is_transfer(func, leaves, device):
            _counts[-1].add_wait("copy")
        elif is_remote:
            _counts[-1].add(func, args, kwargs, made)
        if "out" in kwargs:
            return kwargs["out"]
        if func._schema.is_mutable:
            return args[0]
        return tree_map(_to_remote, made) if is_remote else made


@contextmanager
def accelerator() -> Iterator[DeviceCounts]:
    """Simulate the accelerator for tensors made on or moved to ``DEVICE``.

    Counts the operations of the context.
    """
    counts = DeviceCounts()
    _counts.append(counts)
    try:
        with _Literals(), _Operations():  # type: ignore[no-untyped-call]
            yield counts
    finally:
        _counts.pop()


def move(model: torch.nn.Module) -> torch.nn.Module:
    """Copy a network to the accelerator, inside the context."""
    moved = deepcopy(model)
    for module in moved.modules():
        for name, weight in module._parameters.items():
            if weight is not None:
                remote = _Remote(weight.detach())
                trained = weight.requires_grad
                module._parameters[name] = torch.nn.Parameter(remote, trained)
        for name, buffer in module._buffers.items():
            module._buffers[name] = None if buffer is None else _Remote(buffer)
    return moved


def _is_transfer(func: OpOverload, leaves: Iterable[object], device: object) -> bool:
    """Whether an operation copies a tensor from one device to the other."""
    if func._schema.name not in TRANSFERS:
        return False
    places = [isinstance(x, _Remote) for x in leaves if isinstance(x, torch.Tensor)]
    if device is not None:
        places.append(torch.device(str(device)).type == DEVICE.type)
    return len(set(places)) > 1


def _check_devices(func: OpOverload, leaves: Iterable[object]) -> None:
    """Check that no local tensor, other than a number, is among the operands."""
    for leaf in leaves:
        if isinstance(leaf, _Remote) or not isinstance(leaf, torch.Tensor):
            continue
        if leaf.dim():
            raise AssertionError(f"{func}: a tensor {tuple(leaf.shape)} is on the CPU")


def _to_local(value: object) -> object:
    return value.own if isinstance(value, _Remote) else value


def _to_remote(value: object) -> object:
    return _Remote(value) if isinstance(value, torch.Tensor) else value
