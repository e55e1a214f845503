"""Fine-tuning: Lightning module, data module, losses, checkpoints, DDP."""

from __future__ import annotations
