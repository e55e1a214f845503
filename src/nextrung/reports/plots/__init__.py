"""Plots of reports, with their data."""

from __future__ import annotations
