"""What predicts: graphs, batched CHGNet, relaxation and fine-tuning."""

from __future__ import annotations
