"""CHGNet on flat batches: forward pass, derivatives, checkpoints."""

from __future__ import annotations
