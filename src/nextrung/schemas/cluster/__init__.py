"""Records of workers, configuration checks and progress on a cluster."""

from __future__ import annotations
