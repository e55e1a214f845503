"""Relaxation records."""

from __future__ import annotations

import pytest
from pymatgen.core import Lattice, Structure

from nextrung.schemas.relaxation import RelaxationRecord, RelaxationStatus


@pytest.fixture
def converged() -> RelaxationRecord:
    return RelaxationRecord(
        status=RelaxationStatus.CONVERGED,
        energy=-7.25,
        initial_energy=-7.0,
        structure=Structure(Lattice.cubic(4.1), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3]),
        n_steps=3,
        fmax=0.01,
    )


@pytest.fixture
def failed() -> RelaxationRecord:
    return RelaxationRecord(
        status=RelaxationStatus.ERROR,
        energy=None,
        structure=None,
        n_steps=0,
        error="no atomic reference energy for Yb",
    )
