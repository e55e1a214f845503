"""Whole pages: study report, comparison, hulls, pre-flight, model cards."""

from __future__ import annotations
