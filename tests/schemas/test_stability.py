"""Stability of materials as columns."""

from __future__ import annotations

import numpy as np
from tests.made_up_study import tabulate
from tests.made_up_study.models import make_row

from nextrung.schemas.stability import CompetingPhase, StabilityRecord

PHASES = (
    CompetingPhase(entry_id="m-Li", formula="Li", amount=0.6),
    CompetingPhase(entry_id="m-O2", formula="O2", amount=0.4),
)


def list_records() -> list[StabilityRecord]:
    """A material with two products, and one whose relaxation failed."""
    scored = make_row(("Li2O", "Li-O", "test", -2.0), 0.0)
    failed = {
        "predicted_decomposition_energy": None,
        "predicted_stable": None,
        "same_products": None,
        "error": "made up",
    }
    return [
        scored.model_copy(update={"predicted_competing_phases": PHASES}),
        scored.model_copy(update=failed),
    ]


def test_records_are_those_of_the_columns() -> None:
    assert tabulate(list_records()).to_records() == list_records()


def test_taken_materials_keep_their_products() -> None:
    records = list_records()

    table = tabulate([*records, *records])
    by_index = table.take(np.array([3, 0]))
    by_mask = table.take(np.array([True, False, False, False]))

    assert by_index.to_records() == [records[1], records[0]]
    assert by_mask.predicted_competing_phases.list_formulas() == [("Li", "O2")]


def test_flags_of_missing_energies_are_missing() -> None:
    """Arrays of flags have no missing values: they hold False there."""
    table = tabulate(list_records())

    assert table.predicted_stable.tolist()[1] is False
    assert table.list_values("predicted_stable")[1] is None
    assert table.compared.tolist() == [True, False]
    assert table.list_values("error") == [None, "made up"]
