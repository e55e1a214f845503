"""Verdicts of a study: summary, signs of failure, recommendations."""

from __future__ import annotations
