from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from tests.made_up_study import make_stability, tabulate
from tests.made_up_study.models import make_row

from nextrung.adapters.files.stability_table import (
    load_rows,
    load_stability,
    read_stability,
    write_stability,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.models import Model
from nextrung.schemas.stability import CompetingPhase, StabilityRecord

if TYPE_CHECKING:
    from pathlib import Path

PHASES = (
    CompetingPhase(entry_id="m-Li", formula="Li", amount=0.6),
    CompetingPhase(entry_id="m-O2", formula="O2", amount=0.4),
)


def list_records() -> list[StabilityRecord]:
    """Records with one, two and no products, and a failed relaxation."""
    scored = make_row(("Li2O", "Li-O", "test", -2.0), 0.0)
    one = {"target_competing_phases": PHASES[:1]}
    both = {"predicted_competing_phases": PHASES, "material_id": "other"}
    failed = {
        "predicted_decomposition_energy": None,
        "predicted_stable": None,
        "same_products": None,
        "error": "made up",
        "split": "",
    }
    return [scored.model_copy(update=one | both), scored.model_copy(update=failed)]


def test_records_survive_the_file(tmp_path: Path) -> None:
    records = list_records()

    write_stability(tabulate(records), tmp_path / "table.parquet")

    assert read_stability(tmp_path / "table.parquet").to_records() == records


def test_an_empty_table_survives_the_file(tmp_path: Path) -> None:
    write_stability(tabulate([]), tmp_path / "table.parquet")

    assert len(read_stability(tmp_path / "table.parquet")) == 0


def test_other_programs_read_one_row_per_material_with_nulls(tmp_path: Path) -> None:
    write_stability(tabulate(list_records()), tmp_path / "table.parquet")

    first, second = pq.read_table(tmp_path / "table.parquet").to_pylist()

    assert first["predicted_competing_phases"] == [p.model_dump() for p in PHASES]
    assert second["predicted_decomposition_energy"] is second["same_products"] is None
    assert (first["error"], second["error"]) == (None, "made up")


@pytest.mark.parametrize("content", [b"", b"not parquet"])
def test_a_file_of_another_kind_is_rejected(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "table.parquet").write_bytes(content)

    with pytest.raises(InputError, match="expected a table of stability in"):
        read_stability(tmp_path / "table.parquet")


def test_a_missing_table_is_an_error_that_names_the_file() -> None:
    loaded = make_stability(Model.SCRATCH, 0.1)
    fields = {k: v for k, v in dict(loaded).items() if k != "rows"}
    stored = type(loaded).__base__(**fields)  # type: ignore[misc]

    with pytest.raises(InputError, match="artifact missing: expected a file at"):
        load_rows(stored)
    assert load_stability(loaded) is loaded
