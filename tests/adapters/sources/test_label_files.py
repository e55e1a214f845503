from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydantic import ValidationError
from tests.adapters.sources.test_gpaw_documents import make_document, read

from nextrung.adapters.files.frames import read_frames, write_frames
from nextrung.adapters.sources.label_files import (
    read_label_files,
    write_label_file,
)
from nextrung.adapters.sources.registry import (
    list_source_files,
    name_labels,
    read_labels,
    source_digest,
)
from nextrung.makers.alignment import validate_codes
from nextrung.schemas.base import InputError
from nextrung.schemas.labels.identity import IdentitySummary, IdentityValue
from nextrung.schemas.labels.sources import LabelFilesSource, LastFrame

if TYPE_CHECKING:
    from pathlib import Path

    from nextrung.schemas.labels.trajectory import Trajectory


def make_runs(tmp_path: Path, **settings: str | float) -> list[Trajectory]:
    """Calculations of two materials."""
    names = "a#0", "a#1", "b#0"
    return read(tmp_path, *(make_document(name, settings=settings) for name in names))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    written = tmp_path / "labels.parquet"
    write_label_file(make_runs(tmp_path), written, {"made_by": "a test"})
    return written


def list_runs(
    *paths: Path | str, last_frame: LastFrame = LastFrame.RELAXED
) -> list[Trajectory]:
    source = LabelFilesSource(paths=tuple(map(str, paths)), last_frame=last_frame)
    return list(read_label_files(source, lambda _done, _total, _text: None))


def test_a_label_file_keeps_labels_and_identity(tmp_path: Path, path: Path) -> None:
    before, after = make_runs(tmp_path), list_runs(path)

    assert [run.material_id for run in after] == ["a", "b"]
    assert [len(run.frames) for run in after] == [2, 1]
    np.testing.assert_array_equal(after[1].frames.forces, before[2].frames.forces)
    np.testing.assert_array_equal(after[1].frames.stresses, before[2].frames.stresses)
    assert after[1].identity == before[2].identity
    assert after[1].plane_wave_cutoff == before[2].plane_wave_cutoff


def test_the_last_frame_of_a_material_is_its_relaxed_structure(path: Path) -> None:
    relaxed = list_runs(path)[0]
    other = list_runs(path, last_frame=LastFrame.ANY)[0]

    energy = relaxed.frames.energies[-1] / relaxed.frames.n_atoms[-1]
    assert relaxed.relaxed_energy == energy
    assert np.isnan(other.relaxed_energy)


def test_labels_are_named_after_code_and_version(path: Path) -> None:
    source = LabelFilesSource(paths=(str(path),))

    assert name_labels(source, "PBE") == "PBE (GPAW 25.7)"
    assert read_labels(source).codes == {"GPAW"}
    assert list_source_files(source) == {path.name: path}


def test_a_changed_label_file_has_another_digest(tmp_path: Path, path: Path) -> None:
    source = LabelFilesSource(paths=(str(path),))
    before = source_digest(source)
    write_label_file(make_runs(tmp_path)[:2], path, {})

    assert source_digest(source) != before


def test_calculations_of_two_cutoffs_do_not_go_into_one_file(tmp_path: Path) -> None:
    runs = [*make_runs(tmp_path), *make_runs(tmp_path, plane_wave_cutoff=350.0)]

    with pytest.raises(InputError, match="expected one plane_wave_cutoff in a label"):
        write_label_file(runs, tmp_path / "labels.parquet", {})
    assert not (tmp_path / "labels.parquet").exists()


def test_files_of_two_functionals_are_no_source(tmp_path: Path, path: Path) -> None:
    other = tmp_path / "r2scan.parquet"
    write_label_file(make_runs(tmp_path, functional="r2SCAN"), other, {})

    with pytest.raises(InputError, match=r"expected the functional PBE of .*r2SCAN"):
        list_runs(path, other)


def test_frames_without_an_identity_are_no_label_file(
    tmp_path: Path, path: Path
) -> None:
    bare = tmp_path / "bare.parquet"
    write_frames(read_frames(path), bare)

    with pytest.raises(InputError, match=r"without the identity of labels in .*bare"):
        list_runs(bare)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({}, "expected either `paths` or `shipped`"),
        ({"paths": ["a"], "shipped": "gpaw-pbe"}, "expected either `paths` or"),
        ({"shipped": "gpaw-pbesol"}, "'gpaw-pbe' or 'gpaw-r2scan'"),
    ],
)
def test_a_source_is_of_files_or_of_the_package(
    settings: dict[str, Any], line: str
) -> None:
    with pytest.raises(ValidationError, match=line):
        LabelFilesSource.model_validate(settings)


@pytest.mark.parametrize(
    ("codes", "target", "differs"),
    [
        ({"GPAW"}, "VASP", True),
        ({"GPAW"}, "GPAW", False),
        (set(), "VASP", False),
        ({"GPAW"}, "", False),
        ({"GPAW", "VASP"}, "VASP", True),
    ],
)
def test_labels_of_another_code_are_not_aligned(
    codes: set[str], target: str, *, differs: bool
) -> None:
    """Each code has an energy scale of its own, which is no shift of functionals."""
    value = IdentityValue(field="code", value=target, n_runs=1, example="a")
    dataset = IdentitySummary(identities=[value])
    if not differs:
        validate_codes(codes, dataset)
        return
    with pytest.raises(InputError, match=r"alignment\.source: expected labels of VASP"):
        validate_codes(codes, dataset)
