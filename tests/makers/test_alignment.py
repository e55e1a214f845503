from __future__ import annotations

from typing import Any

from nextrung.schemas.alignment import SourceEnergies


def test_predictions_that_stand_in_for_labels_are_called_so(
    documents: dict[str, Any],
) -> None:
    alignment = documents["alignment"]

    assert alignment.source_energies is SourceEnergies.PREDICTED
    assert alignment.source == "chgnet-0.3.0"


def test_every_frame_is_compared_or_left_out(documents: dict[str, Any]) -> None:
    alignment = documents["alignment"]

    assert alignment.n_frames + alignment.n_left_out == documents["dataset"].n_frames
    assert len(alignment.rows.frame_id) == alignment.n_frames


def test_referenced_energies_are_closer(documents: dict[str, Any]) -> None:
    alignment = documents["alignment"]

    assert (
        alignment.mean_absolute_difference_referenced
        < alignment.mean_absolute_difference
    )
