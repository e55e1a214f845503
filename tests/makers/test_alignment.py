from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jobflow import run_locally

from nextrung.adapters.files.study_yaml import read_study
from nextrung.adapters.stores.job_store import make_embedded_store
from nextrung.adapters.stores.studies import load_documents, load_study
from nextrung.makers.alignment import AlignmentMaker
from nextrung.makers.study import StudyMaker
from nextrung.schemas.alignment import (
    AlignmentCorrections,
    AlignmentDoc,
    AlignmentSettings,
    SourceEnergies,
)
from nextrung.schemas.labels.sources import AseSource

if TYPE_CHECKING:
    from nextrung.schemas.base import TaskDoc

WORKFLOWS = Path(__file__).parents[2] / "workflows"


def align(
    study: str, data: Path, folder: Path, overrides: tuple[str, ...] = ()
) -> AlignmentDoc:
    """Run a study of the project that aligns real data."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEXTRUNG_ROOT", str(folder))
        patch.setenv("NEXTRUNG_DATA", str(data))
        settings = read_study(WORKFLOWS / f"{study}.yaml", overrides)
        store = make_embedded_store(folder)
        flow = StudyMaker(settings).make()
        run_locally(flow, store=store, log=False, raise_immediately=True)
        documents: dict[str, TaskDoc] = load_documents(
            store, load_study(store), ("alignment",)
        )
    document = documents["alignment"]
    assert isinstance(document, AlignmentDoc)
    return document


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


@pytest.mark.filterwarnings("ignore:No Pauling electronegativity")
def test_the_element_references_of_matpes_are_aligned(
    real_data: Path, tmp_path: Path
) -> None:
    """63 elements have one structure in both functionals; ytterbium no reference."""
    document = align("align_matpes_elements", real_data, tmp_path)

    assert document.source_energies is SourceEnergies.CALCULATED
    assert document.n_frames == 62
    assert document.left_out == {
        "no source energy": 89 - 63,
        "no atomic reference energy for Yb": 1,
    }
    assert (document.correlation_referenced or 0) > (document.correlation or 1) + 0.3
    assert document.elements_without_phase == []
    assert document.correlation_residual is None
    shifts = {s: e.shift or 0 for s, e in document.elements.items()}
    assert shifts["W"] == pytest.approx(
        -51.200 + 11.8491, abs=0.01
    )  # of the shipped references


@pytest.mark.slow
def test_gga_labels_of_mptrj_are_aligned_with_the_r2scan_potential(
    real_data: Path, tmp_path: Path
) -> None:
    """Total energies do not correlate (the paper: 0.09), re-referenced ones do."""
    document = align("align_mptrj", real_data, tmp_path)

    assert document.source_energies is SourceEnergies.PREDICTED
    assert document.n_frames == 988
    assert abs(document.correlation or 1) < 0.2
    assert (document.correlation_referenced or 0) > 0.8
    oxygen, chlorine = document.elements["O"], document.elements["Cl"]
    for element in (oxygen, chlorine):
        assert element.importance > 2 * (element.importance_uncorrected or 0)


def test_shifted_references_align_better_than_refitted_ones(
    documents: dict[str, Any],
) -> None:
    alignment = documents["alignment"]

    assert alignment.correlation_residual > alignment.correlation_referenced
    assert alignment.correlation_residual > 0.9


def test_labels_of_the_source_functional_are_part_of_the_fingerprint(
    tmp_path: Path,
) -> None:
    file = tmp_path / "labels.xyz"
    source = AseSource(paths=(str(file),), functional="PBE")
    maker = AlignmentMaker(settings=AlignmentSettings(source=source))
    digests = []
    for content in ("one", "two"):
        file.write_text(content)
        digests.append(maker.digest_files())

    assert len(set(digests)) == 2
    assert AlignmentMaker().digest_files() == ""


def test_corrections_are_in_the_predictions_of_the_gga_potential(
    documents: dict[str, Any],
) -> None:
    alignment = documents["alignment"]

    assert alignment.corrections is AlignmentCorrections.IN_SOURCE
    assert alignment.references == (
        "source: those of chgnet-0.3.0; target: refit to the training split"
    )
