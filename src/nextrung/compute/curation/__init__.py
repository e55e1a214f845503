"""Curation rules, duplicates, splits and corrections of frames."""

from __future__ import annotations
