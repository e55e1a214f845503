"""Improvement loop: strategies that choose the next structures to label."""

from __future__ import annotations

from enum import StrEnum


class Strategy(StrEnum):
    """How the structures of a round are chosen."""

    EXPECTED_GAIN = "expected_gain"
    RANDOM = "random"
