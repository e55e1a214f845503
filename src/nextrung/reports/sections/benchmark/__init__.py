"""Sections of a benchmark: results, properties, labelled frames."""

from __future__ import annotations
