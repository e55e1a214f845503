from __future__ import annotations

import json
import math

import pytest
from monty.json import MontyDecoder, MontyEncoder
from pydantic import ValidationError
from pymatgen.core import Lattice, Structure

from nextrung.schemas.relaxation import (
    CellDegrees,
    RelaxationEngine,
    RelaxationRecord,
    RelaxationSettings,
    RelaxationStatus,
)

SALT = Structure(Lattice.cubic(4), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 1.5]])
RECORD = RelaxationRecord(
    status=RelaxationStatus.CONVERGED,
    energy=-7.0,
    initial_energy=-6.5,
    structure=SALT,
    n_steps=12,
    fmax=0.09,
)


def test_the_defaults_are_chgnets() -> None:
    """The paper does not say how it relaxed; it used chgnet."""
    settings = RelaxationSettings()

    assert (settings.fmax, settings.max_steps) == (0.1, 500)
    assert settings.cell is CellDegrees.FULL
    assert settings.engine is RelaxationEngine.BATCHED
    assert not settings.fix_symmetry


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"fmax": 0.0}, "greater than 0"),
        ({"fmax": math.nan}, "finite number"),
        ({"max_steps": -1}, "greater than or equal to 0"),
        ({"cell": "free"}, "'full', 'fixed_volume' or 'fixed'"),
        ({"engine": "vasp"}, "'batched' or 'ase'"),
        ({"f_max": 0.1}, "Extra inputs are not permitted"),
    ],
)
def test_nonsense_is_refused(choice: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RelaxationSettings.model_validate(choice)


def test_a_record_without_energy_has_failed() -> None:
    assert not RECORD.failed
    assert RECORD.model_copy(update={"energy": None}).failed


def test_an_infinite_energy_is_not_stored() -> None:
    with pytest.raises(ValidationError, match="finite number"):
        RelaxationRecord(
            status=RelaxationStatus.CONVERGED,
            energy=math.inf,
            structure=None,
            n_steps=0,
        )


def test_a_record_survives_the_trip_through_a_store() -> None:
    stored = json.loads(json.dumps(RECORD, cls=MontyEncoder))

    assert RelaxationRecord.model_validate(stored) == RECORD
    assert MontyDecoder().process_decoded(stored) == RECORD
