from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError
from typing import TYPE_CHECKING

import pytest
from monty.json import MontyDecoder, MontyEncoder
from pydantic import ValidationError
from pymatgen.core import Lattice, Structure

from nextrung.schemas.atom_refs import AtomRefFit
from nextrung.schemas.prediction import Prediction
from nextrung.schemas.preflight import Check, CheckOutcome
from nextrung.schemas.relaxation import RelaxationRecord, RelaxationStatus
from nextrung.schemas.stability import CompetingPhase, DecompositionRecord

if TYPE_CHECKING:
    from nextrung.schemas.base import Record

SALT = Structure(Lattice.cubic(4), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 1.5]])
RECORD = RelaxationRecord(
    status=RelaxationStatus.CONVERGED,
    energy=-7.0,
    initial_energy=-6.5,
    structure=SALT,
    n_steps=12,
    fmax=0.09,
)


@pytest.mark.parametrize(
    ("record", "fields", "message"),
    [
        (
            AtomRefFit,
            {"energies": {"H": math.nan}, "rmse": 0, "rank": 1, "n_frames": 1},
            "finite number",
        ),
        (
            RelaxationRecord,
            {
                "status": "converged",
                "energy": math.inf,
                "structure": None,
                "n_steps": 0,
            },
            "finite number",
        ),
        (
            DecompositionRecord,
            {"entry_id": "a", "formula": "Li", "energy_above_hull": math.nan},
            "finite number",
        ),
        (
            CompetingPhase,
            {"entry_id": "a", "formula": "Li", "amount": -0.1},
            "greater than or equal to 0",
        ),
    ],
)
def test_numbers_out_of_range_are_rejected(
    record: type[Record], fields: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        record.model_validate(fields)


def test_a_record_without_energy_has_failed() -> None:
    assert not RECORD.failed
    assert RECORD.model_copy(update={"energy": None}).failed


def test_a_record_survives_a_store() -> None:
    stored = json.loads(json.dumps(RECORD, cls=MontyEncoder))

    assert RelaxationRecord.model_validate(stored) == RECORD
    assert MontyDecoder().process_decoded(stored) == RECORD


def test_a_check_survives_json() -> None:
    check = Check(name="a", outcome=CheckOutcome.WARNING, finding="b")

    assert Check.model_validate_json(check.model_dump_json()) == check


def test_a_failed_prediction_has_a_reason_and_no_properties() -> None:
    prediction = Prediction(energy=None, error="isolated atom")

    properties = (prediction.forces, prediction.stress, prediction.magmoms)
    assert properties == (None, None, None)


def test_predictions_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Prediction(energy=-1.0).energy = 0.0  # type: ignore[misc]
