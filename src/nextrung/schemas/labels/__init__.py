"""Label sources, curation rules, materials and trajectories."""

from __future__ import annotations
