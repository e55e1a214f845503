"""Potentials that ASE or torch-sim can call, and potentials with added energies."""

from __future__ import annotations
