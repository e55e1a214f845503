"""Makers of the improvement loop: pool, labels, rounds, and the flow that grows."""

from __future__ import annotations
