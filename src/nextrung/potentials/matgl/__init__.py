"""Potentials of matgl: prediction, relaxation and atomic references, no training."""

from __future__ import annotations
