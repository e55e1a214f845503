"""Data sources, files, job stores and the LaunchPad."""

from __future__ import annotations
