"""Flushing of denormal numbers to zero.

Hidden features of CHGNet reach ±1000, so that exponentials in its activations fall
below 1e-38. Processors compute such denormal numbers a hundred times slower: a seventh
of the time of a prediction, for digits that are lost in the sums.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def flush_denormals() -> Iterator[None]:
    """Flush denormal numbers to zero on this thread, and restore the mode on exit."""
    before = _are_flushed()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def _are_flushed() -> bool:
    """Return whether denormal numbers are flushed to zero on this thread."""
    return sys.float_info.min / 2 == 0
