from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from nextrung.adapters.sources.vasp.discovery import find_runs, read_vasp
from nextrung.schemas.base import InputError
from nextrung.schemas.labels.curation import Rejection, Rule
from nextrung.schemas.labels.sources import VaspEnergy, VaspSource

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from nextrung.schemas.labels.trajectory import Trajectory


def touch(root: Path, *names: str) -> VaspSource:
    """A source of empty files below a folder."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return VaspSource(paths=(str(root),))


def read_all(source: VaspSource) -> list[Trajectory | Rejection]:
    return list(read_vasp(source, lambda _done, _total, _text: None))


def names_of(source: VaspSource) -> list[tuple[str, str]]:
    return [(run.material_id, run.run_id) for run in find_runs(source)]


@pytest.mark.parametrize(
    "name",
    [
        *("OUTCAR", "OUTCAR.gz", "OUTCAR.bz2", "OUTCAR.xz"),
        *("vasprun.xml", "vasprun.xml.gz", "vasprun.xml.bz2", "vasprun.xml.xz"),
    ],
)
def test_a_run_is_named_by_its_folder(name: str, tmp_path: Path) -> None:
    source = touch(tmp_path / "data", f"Fe/FeF2/{name}")

    assert names_of(source) == [("data/Fe/FeF2", "data/Fe/FeF2")]


def test_files_in_a_flat_folder_are_named_by_their_tags(tmp_path: Path) -> None:
    source = touch(tmp_path / "data", "vasprun.Al.xml.gz", "vasprun.LiF.xml.gz")

    assert names_of(source) == [
        ("data/Al", "data/Al"),
        ("data/LiF", "data/LiF"),
    ]


def test_consecutive_runs_belong_to_one_material(tmp_path: Path) -> None:
    source = touch(
        tmp_path / "data",
        "Fe/OUTCAR.relax2.gz",
        "Fe/vasprun.xml.relax1.gz",
        "Fe/OUTCAR",
    )

    assert names_of(source) == [
        ("data/Fe", "data/Fe"),
        ("data/Fe", "data/Fe/relax1"),
        ("data/Fe", "data/Fe/relax2"),
    ]


def test_of_two_files_of_a_run_the_outcar_is_read(tmp_path: Path) -> None:
    source = touch(tmp_path / "data", "Fe/OUTCAR.gz", "Fe/vasprun.xml.gz")

    (run,) = find_runs(source)
    assert [path.name for path in run.paths] == ["OUTCAR.gz", "vasprun.xml.gz"]


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    source = touch(
        tmp_path / "data", "Fe/OUTCAR", "Fe/POSCAR", "Fe/vasprun.png", "LICENSE"
    )

    assert len(find_runs(source)) == 1


def test_a_source_may_be_a_file(tmp_path: Path) -> None:
    touch(tmp_path / "data", "Fe/OUTCAR.gz")

    source = VaspSource(paths=(str(tmp_path / "data" / "Fe" / "OUTCAR.gz"),))

    assert names_of(source) == [("Fe", "Fe")]


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"OUTCAR or vasprun\.xml files, got none in"):
        find_runs(touch(tmp_path / "data", "POSCAR"))


def test_two_runs_of_one_name_are_refused(tmp_path: Path) -> None:
    touch(tmp_path / "first" / "data", "Fe/OUTCAR")
    touch(tmp_path / "second" / "data", "Fe/OUTCAR")
    roots = [str(tmp_path / name / "data") for name in ("first", "second")]

    with pytest.raises(InputError, match=r"names, got 'data/Fe' as .*first"):
        find_runs(VaspSource(paths=tuple(roots)))


def test_runs_become_trajectories(
    tmp_path: Path, outcar: Callable[..., str], vasprun: Callable[..., str]
) -> None:
    source = touch(tmp_path / "data", "a/OUTCAR", "b/vasprun.xml")
    (tmp_path / "data/a/OUTCAR").write_text(outcar((-8.0, -8.25)))
    (tmp_path / "data/b/vasprun.xml").write_text(vasprun())

    first, second = read_all(source)

    assert not isinstance(first, Rejection)
    assert not isinstance(second, Rejection)
    assert first.frames.frame_ids.tolist() == ["data/a#0", "data/a#1"]
    assert second.frames.frame_ids.tolist() == ["data/b#0"]
    assert first.frames.energies.tolist() == [-8.0, -8.25]
    assert second.frames.energies.tolist() == [-8.25]


def unreadable_files(outcar: Callable[..., str]) -> Sequence[tuple[str, bytes, str]]:
    whole = outcar().encode()
    return (
        ("OUTCAR", outcar(end="").encode(), "stops after ionic step 2"),
        ("OUTCAR.gz", gzip.compress(whole)[:-20], "ended before"),
        ("OUTCAR.bz2", b"not compressed", "Invalid data stream"),
        ("OUTCAR", outcar(force="**********").encode(), "could not convert"),
        ("OUTCAR", whole[:800], "no ionic step"),
        ("OUTCAR", b"", "no ionic step"),
        ("vasprun.xml", b"<modeling>", "the XML is incomplete"),
    )


@pytest.mark.parametrize("case", range(7))
def test_an_unreadable_file_is_a_rejection_with_a_reason(
    case: int, tmp_path: Path, outcar: Callable[..., str]
) -> None:
    name, content, reason = unreadable_files(outcar)[case]
    source = touch(tmp_path / "data", f"Fe/{name}")
    (tmp_path / "data" / "Fe" / name).write_bytes(content)

    (rejection,) = read_all(source)

    assert isinstance(rejection, Rejection)
    assert rejection.rule is Rule.INCOMPLETE_FILE
    assert (rejection.material_id, rejection.frame_id) == ("data/Fe", "data/Fe")
    assert rejection.reason.startswith(f"{name}: ")
    assert reason in rejection.reason


def test_a_file_truncated_anywhere_is_a_rejection(
    tmp_path: Path, outcar: Callable[..., str]
) -> None:
    """Cut within header, tables and numbers, up to VASP's final timing section."""
    whole = outcar()
    end = whole.index(" General timing")
    source = touch(tmp_path / "data", "Fe/OUTCAR")

    for cut in range(0, end, 37):
        (tmp_path / "data" / "Fe" / "OUTCAR").write_text(whole[:cut])
        (rejection,) = read_all(source)
        assert isinstance(rejection, Rejection)


def test_progress_counts_runs(tmp_path: Path, outcar: Callable[..., str]) -> None:
    source = touch(tmp_path / "data", "a/OUTCAR", "b/OUTCAR")
    told: list[tuple[int, int, str]] = []

    for name in "ab":
        (tmp_path / "data" / name / "OUTCAR").write_text(outcar())
    list(read_vasp(source, lambda *step: told.append(step)))

    assert told == [(0, 2, "data/a"), (1, 2, "data/b")]


@pytest.mark.parametrize(
    ("name", "material"),
    [
        ("core.diff.OUTCAR", "data/Fe/core.diff"),
        ("hybrid_vasprun.xml.gz", "data/Fe/hybrid"),
        ("relax1_OUTCAR.bz2", "data/Fe"),
    ],
)
def test_what_stands_before_the_name_of_a_file_is_its_tag(
    name: str, material: str, tmp_path: Path
) -> None:
    source = touch(tmp_path / "data", f"Fe/{name}")

    ((found, _),) = names_of(source)

    assert found == material


def test_a_readable_vasprun_stands_in_for_an_unreadable_outcar(
    tmp_path: Path, outcar: Callable[..., str], vasprun: Callable[..., str]
) -> None:
    source = touch(tmp_path / "data", "a/OUTCAR", "a/vasprun.xml")
    (tmp_path / "data/a/OUTCAR").write_text(outcar(end=""))
    (tmp_path / "data/a/vasprun.xml").write_text(vasprun())

    (run,) = read_all(source)

    assert not isinstance(run, Rejection)
    assert run.frames.energies.tolist() == [-8.25]


def test_where_both_files_are_unreadable_both_reasons_are_given(
    tmp_path: Path, outcar: Callable[..., str]
) -> None:
    source = touch(tmp_path / "data", "a/OUTCAR", "a/vasprun.xml")
    (tmp_path / "data/a/OUTCAR").write_text(outcar(end=""))

    (rejection,) = read_all(source)

    assert isinstance(rejection, Rejection)
    assert rejection.reason.startswith("OUTCAR: the run stops after ionic step 2")
    assert "; vasprun.xml: " in rejection.reason


def damaged(content: bytes) -> bytes:
    """A gzip file whose compressed block does not say what it should."""
    packed = bytearray(gzip.compress(content))
    packed[len(packed) // 2] ^= 0xFF
    return bytes(packed)


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
        b"free  energy   TOTEN  = not a number eV\n",
        b"<modeling><incar><i name='ALGO'>38</i></incar></modeling>",
        b"<html><body>404</body></html>",
        b"   ions per type = a b\n",
        b"   TITEL  =\n",
    ],
)
@pytest.mark.parametrize(
    "name", ["OUTCAR", "OUTCAR.gz", "vasprun.xml", "vasprun.xml.gz"]
)
def test_no_content_ends_a_build(name: str, content: bytes, tmp_path: Path) -> None:
    source = touch(tmp_path / "data", f"Fe/{name}", "good")
    written = damaged(content * 40) if name.endswith("gz") else content
    (tmp_path / "data" / "Fe" / name).write_bytes(written)

    (rejection,) = read_all(source)

    assert isinstance(rejection, Rejection)
    assert rejection.rule is Rule.INCOMPLETE_FILE
    assert rejection.reason.startswith(f"{name}: ")
    assert "\n" not in rejection.reason


def test_the_energy_without_smearing_is_taken_where_asked_for(
    tmp_path: Path, outcar: Callable[..., str]
) -> None:
    source = touch(tmp_path / "data", "a/OUTCAR")
    (tmp_path / "data/a/OUTCAR").write_text(outcar())
    chosen = source.model_copy(update={"energy": VaspEnergy.SIGMA_TO_ZERO})

    (free,), (extrapolated,) = read_all(source), read_all(chosen)

    assert not isinstance(free, Rejection)
    assert not isinstance(extrapolated, Rejection)
    assert free.frames.energies.tolist() == [-8.0, -8.25]
    assert extrapolated.frames.energies.tolist() == [-2.0, -2.0]
    assert extrapolated.relaxed_energy == -1.0
