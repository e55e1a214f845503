"""Sections of a report, one per stage."""

from __future__ import annotations
