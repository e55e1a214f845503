"""Curation of frames from files into one data set."""

from __future__ import annotations
