"""Calculations by GPAW, each in a process of its own."""

from __future__ import annotations
