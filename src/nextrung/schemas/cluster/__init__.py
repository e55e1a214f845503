"""Records of machines, checks and progress on a cluster."""

from __future__ import annotations
