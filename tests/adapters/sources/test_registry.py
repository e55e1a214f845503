from __future__ import annotations

import json
from typing import TYPE_CHECKING, get_args

import pytest
from ase import Atoms
from ase.io import write
from pydantic import TypeAdapter

from nextrung.adapters.sources.registry import (
    LABELS,
    READERS,
    count_files,
    list_source_files,
    name_labels,
    read_labels,
    read_source,
    source_digest,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.labels.curation import Rule
from nextrung.schemas.labels.identity import FileCounts
from nextrung.schemas.labels.sources import (
    AseSource,
    DistilledSource,
    MatpesSource,
    MptrjJsonSource,
    Source,
    TaskDocumentsSource,
    VaspSource,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FRAME = {
    "structure": {
        "lattice": {"matrix": [[3, 0, 0], [0, 3, 0], [0, 0, 3]]},
        "sites": [{"species": [{"element": "Po", "occu": 1}], "abc": [0, 0, 0]}],
    },
    "uncorrected_total_energy": -3.0,
}
MATPES = FRAME | {"matpes_id": "x", "energy": -3.0, "functional": "PBE"}
TASK = {
    "task_id": "x",
    "task_type": "Static",
    "calcs_reversed": [{"output": {"ionic_steps": [FRAME | {"e_fr_energy": -3.0}]}}],
}


@pytest.fixture
def source(tmp_path: Path, outcar: Callable[..., str]) -> VaspSource:
    """Two VASP runs below a folder."""
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "OUTCAR").write_text(outcar())
    return VaspSource(paths=(str(tmp_path / "data"),))


def test_every_kind_of_source_has_a_reader(source: VaspSource, tmp_path: Path) -> None:
    crystal = Atoms("Po", cell=[3, 3, 3], pbc=True, info={"material_id": "x"})
    write(tmp_path / "a.xyz", crystal, format="extxyz")
    files = AseSource(
        paths=(str(tmp_path / "a.xyz"),), functional="PBE", frame_id_key=None
    )
    (tmp_path / "a.json").write_text(json.dumps({"x": {"y": FRAME}}))
    mptrj = MptrjJsonSource(paths=(str(tmp_path / "a.json"),))
    (tmp_path / "b.json").write_text(json.dumps([MATPES]))
    (tmp_path / "c.json").write_text(json.dumps([TASK]))
    matpes = MatpesSource(paths=(str(tmp_path / "b.json"),))
    tasks = TaskDocumentsSource(paths=(str(tmp_path / "c.json"),))
    distilled = DistilledSource(
        chemical_systems=("Cu",),
        n_polymorphs_per_element=1,
        n_materials_per_system=1,
        max_atoms=1,
    )
    counts = [
        len(list(read_source(kind, lambda _done, _total, _text: None)))
        for kind in (source, files, mptrj, matpes, tasks, distilled)
    ]

    assert counts == [2, 1, 1, 1, 1, 1]


def test_every_kind_of_source_is_known() -> None:
    """The union of source records, the readers and the names of labels."""
    kinds = {
        record.model_fields["kind"].default for record in get_args(get_args(Source)[0])
    }

    assert kinds == set(READERS) == set(LABELS)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (VaspSource(paths=("a",)), "r2SCAN (VASP)"),
        (AseSource(paths=("a",), functional="r2SCAN"), "r2SCAN (ASE files)"),
        (
            MptrjJsonSource(paths=("a",)),
            "r2SCAN (uncorrected energies of MPtrj's layout)",
        ),
        (MatpesSource(paths=("a",)), "r2SCAN (MatPES)"),
        (TaskDocumentsSource(paths=("a",)), "r2SCAN (VASP task documents)"),
        (DistilledSource(), "distilled from chgnet-r2scan"),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_labels_of_a_potential_are_named_as_distilled(
    source: Source, expected: str
) -> None:
    assert name_labels(source, "r2SCAN") == expected


def test_the_digest_depends_on_contents_and_names(
    source: VaspSource, tmp_path: Path
) -> None:
    before = source_digest(source)
    again = source_digest(source)
    (tmp_path / "data" / "a").rename(tmp_path / "data" / "c")
    renamed = source_digest(source)
    (tmp_path / "data" / "b" / "OUTCAR").write_text("changed")
    changed = source_digest(source)

    assert before == again
    assert len({before, renamed, changed}) == 3


def test_the_digest_does_not_depend_on_the_path_of_the_folder(
    source: VaspSource, tmp_path: Path
) -> None:
    before = source_digest(source)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data").rename(tmp_path / "elsewhere" / "data")

    moved = VaspSource(paths=(str(tmp_path / "elsewhere" / "data"),))

    assert source_digest(moved) == before


def test_files_without_labels_do_not_change_the_digest(
    source: VaspSource, tmp_path: Path
) -> None:
    before = source_digest(source)
    (tmp_path / "data" / "a" / "POSCAR").write_text("notes")

    assert source_digest(source) == before


@pytest.mark.parametrize(
    "kind", ["ase", "mptrj_json", "matpes", "task_documents", "gpaw_documents"]
)
def test_files_are_hashed_too(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    source: Source = TypeAdapter(Source).validate_python(
        {"kind": kind, "paths": [str(path)]}
        | ({"functional": "PBE"} if kind == "ase" else {})
    )
    path.write_text("one")
    before = source_digest(source)
    path.write_text("two")

    assert source_digest(source) != before


def test_the_digest_of_a_distilled_source_depends_on_its_settings() -> None:
    assert source_digest(DistilledSource()) == source_digest(DistilledSource())
    assert source_digest(DistilledSource()) != source_digest(DistilledSource(seed=1))


def test_the_digest_depends_on_the_file_of_the_teacher(tmp_path: Path) -> None:
    checkpoint = tmp_path / "teacher.pth.tar"
    source = DistilledSource(teacher=str(checkpoint))
    checkpoint.write_text("one")
    before = source_digest(source)
    checkpoint.write_text("two")

    assert source_digest(source) != before


def test_the_digest_of_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a file or folder, got none at"):
        source_digest(VaspSource(paths=(str(tmp_path / "none"),)))


def test_all_frames_of_a_source_are_read(tmp_path: Path) -> None:
    file = tmp_path / "labels.xyz"
    cells = [Atoms("Li", cell=[3, 3, 3], pbc=True) for _ in range(3)]
    write(file, cells)
    source = AseSource(
        paths=(str(file),), functional="PBE", material_id_key=None, frame_id_key=None
    )
    frames = read_labels(source).frames

    assert len(frames) == 3
    assert frames.functional == "PBE"
    assert list_source_files(source) == {"labels.xyz": file}


def test_files_that_cannot_be_read_are_counted(
    tmp_path: Path, outcar: Callable[..., str]
) -> None:
    for name, text in {"a": outcar(), "b": "torn", "c": ""}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "OUTCAR").write_text(text)

    frames, n_rejected, _ = read_labels(VaspSource(paths=(str(tmp_path),)))

    assert len(frames) == 2
    assert n_rejected == {Rule.INCOMPLETE_FILE: 2}


def test_every_file_of_a_folder_is_counted_once(tmp_path: Path) -> None:
    for name in ("OUTCAR", "OUTCAR.gz", "vasprun.xml", "POSCAR", "plot.png"):
        (tmp_path / name).write_text("")
    source = VaspSource(paths=(str(tmp_path),))

    counted = count_files(source, 0, 1)

    assert counted == FileCounts(
        n_files=5, n_read=0, n_unreadable=1, n_second=2, n_other=2
    )
    with pytest.raises(ValueError, match="expected 5 files in all, got 6"):
        FileCounts(n_files=5, n_read=1, n_unreadable=1, n_second=2, n_other=2)


def test_a_source_without_frames_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "OUTCAR").write_text("torn")
    with pytest.raises(InputError, match="expected frames in the vasp source"):
        read_labels(VaspSource(paths=(str(tmp_path),)))
