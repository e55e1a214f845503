"""Records of labels: sources, curation rules, materials, trajectories."""

from __future__ import annotations
