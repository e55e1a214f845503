"""Whole pages: study report, comparison, hulls, preflight, model cards."""

from __future__ import annotations
