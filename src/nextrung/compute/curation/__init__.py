"""Curation rules, duplicates, splits and energy corrections of frames."""

from __future__ import annotations
