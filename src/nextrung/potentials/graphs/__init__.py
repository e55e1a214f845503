"""Neighbor and bond graphs of whole batches of crystals."""

from __future__ import annotations
