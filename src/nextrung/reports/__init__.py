"""Figures, tables and HTML pages of studies."""

from __future__ import annotations
