"""Fine-tuning: Lightning module, data module, losses, DDP."""

from __future__ import annotations
