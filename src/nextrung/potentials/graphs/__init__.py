"""Crystals as flat arrays, neighbor search and graphs of batches."""

from __future__ import annotations
