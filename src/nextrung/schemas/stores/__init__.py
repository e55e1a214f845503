"""Rows of the result collections, and provenance graphs."""

from __future__ import annotations
