"""Checks of machine, store, LaunchPad and queue that ``nextrung doctor`` runs."""

from __future__ import annotations
