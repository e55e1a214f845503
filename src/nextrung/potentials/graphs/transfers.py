"""Copies of many arrays between the host and a device at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray
    from torch import Tensor


def upload(device: torch.device | str, *arrays: NDArray[Any]) -> list[Tensor]:
    """Copy arrays to a device in one transfer.

    Parameters
    ----------
    device : torch.device or str
        Device of the tensors.
    *arrays : ndarray of int64 or float64
        Arrays.

    Returns
    -------
    list of Tensor
        Tensors of the same types and shapes; on a CPU they share the arrays' memory.
    """
    tensors = [torch.from_numpy(array) for array in arrays]
    if torch.device(device).type == "cpu":
        return tensors
    packed = torch.cat([tensor.reshape(-1).view(torch.int64) for tensor in tensors])
    parts = torch.split(packed.to(device), [array.size for array in arrays])
    return [
        part.view(tensor.dtype).view(tensor.shape)
        for part, tensor in zip(parts, tensors, strict=True)
    ]


def download(*tensors: Tensor) -> list[NDArray[np.float64]]:
    """Copy tensors to the host in one transfer.

    Parameters
    ----------
    *tensors : Tensor of float
        Tensors of one device.

    Returns
    -------
    list of ndarray of float64
        Arrays of the same shapes.
    """
    packed = torch.cat([tensor.detach().double().reshape(-1) for tensor in tensors])
    ends = np.cumsum([tensor.numel() for tensor in tensors])
    parts = np.split(packed.cpu().numpy(), ends[:-1])
    return [
        part.reshape(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)
    ]
