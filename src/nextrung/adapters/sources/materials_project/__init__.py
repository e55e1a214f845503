"""Tasks and trajectories of the Materials Project over HTTP."""

from __future__ import annotations
