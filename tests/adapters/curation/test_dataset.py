from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.adapters.curation import rules
from nextrung.adapters.curation.dataset import CuratedDataset, curate
from nextrung.adapters.curation.stored_dataset import store_dataset
from nextrung.adapters.files.artifacts import artifact_path
from nextrung.adapters.files.frames import (
    read_frames,
    read_materials,
    read_metadata,
    read_rejections,
)
from nextrung.potentials.registry import load_potential
from nextrung.schemas.base import InputError
from nextrung.schemas.dataset import DatasetSettings, SplitSettings, SplitUnit
from nextrung.schemas.labels.curation import (
    CorrectionScheme,
    CurationSettings,
    EnergyScaleSettings,
    HubbardU,
    Label,
    Rule,
)
from nextrung.schemas.labels.sources import (
    AseSource,
    MatpesSource,
    StressUnit,
    TaskDocumentsSource,
    VaspSource,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nextrung.schemas.frames import Frames

#: Makes runs without looking at their energies, of which made-up ones have no scale.
TRUSTING = CurationSettings(energy_scale=EnergyScaleSettings(potentials={}))

#: Dies after the frames are written and before they are named.
KILLED_BUILD = """
import os, signal
from nextrung.adapters.curation import dataset, stored_dataset
from nextrung.schemas.dataset import (DatasetSettings)

settings = DatasetSettings.model_validate_json({settings!r})
curated = dataset.curate(settings)
stored_dataset.store_artifact = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
stored_dataset.store_dataset(curated, settings)
"""

#: A structure as documents have it.
SALT = Structure(Lattice.cubic(4), ["Cs", "Cl"], [[0, 0, 0], [0.5] * 3]).as_dict()

WITH_U = "   U (eV)           for each species LDAUU =   0.0  3.5"


@dataclass
class Runs:
    """Folder of generated runs."""

    folder: Path
    outcar: Callable[..., str]
    names: list[str] = field(default_factory=list)

    def add(self, name: str, **changes: Any) -> None:  # noqa: ANN401
        """Write an OUTCAR."""
        (self.folder / name).mkdir(parents=True)
        (self.folder / name / "OUTCAR").write_text(self.outcar(**changes))

    def settings(self, **changes: Any) -> DatasetSettings:  # noqa: ANN401
        """Curate the folder; by default all materials are in training."""
        parts = {"curation": TRUSTING, "split": SplitSettings(val=0, test=0)} | changes
        return DatasetSettings(source=VaspSource(paths=(str(self.folder),)), **parts)


@pytest.fixture
def runs(
    tmp_path: Path, outcar: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> Runs:
    monkeypatch.setenv("NEXTRUNG_ROOT", str(tmp_path / "root"))
    return Runs(tmp_path / "runs", outcar)


def reasons(curated: CuratedDataset) -> dict[str, Rule]:
    return {r.frame_id: r.rule for r in curated.rejections}


def test_valid_runs_are_kept_and_others_are_listed(runs: Runs) -> None:
    runs.add("good")
    runs.add("with-u", hubbard=WITH_U)
    runs.add("pbe", metagga="", more="   METAGGA = --")
    runs.add("unconverged", n_electronic=60)
    runs.add("torn", end="")

    curated = curate(runs.settings())

    assert curated.frames.frame_ids.tolist() == ["runs/good#0", "runs/good#1"]
    assert reasons(curated) == {
        "runs/with-u#0": Rule.HUBBARD_U,
        "runs/with-u#1": Rule.HUBBARD_U,
        "runs/pbe#0": Rule.FUNCTIONAL,
        "runs/pbe#1": Rule.FUNCTIONAL,
        "runs/unconverged#0": Rule.NOT_CONVERGED,
        "runs/unconverged#1": Rule.NOT_CONVERGED,
        "runs/torn": Rule.INCOMPLETE_FILE,
    }
    assert curated.labels == "r2SCAN (VASP)"


def test_duplicates_are_searched_after_all_other_rules(runs: Runs) -> None:
    """1 meV of two atoms is less than MPtrj's 2 meV/atom."""
    runs.add("a", energies=(-8.0, -8.1, -8.1005, -8.1))

    curated = curate(runs.settings())

    assert curated.n_frames_before_deduplication == 4
    assert curated.frames.frame_ids.tolist() == ["runs/a#0", "runs/a#3"]
    assert reasons(curated) == {
        "runs/a#1": Rule.DUPLICATE,
        "runs/a#2": Rule.DUPLICATE,
    }


def test_all_frames_of_a_material_are_in_one_split(runs: Runs) -> None:
    for index in range(5):
        runs.add(f"m{index}")

    split = SplitSettings(val=0.2, test=0.2, unit=SplitUnit.MATERIAL)
    curated = curate(runs.settings(split=split))

    splits = curated.frames.splits.reshape(5, 2)
    assert (splits[:, 0] == splits[:, 1]).all()
    assert sorted(splits[:, 0].tolist()) == ["test", "train", "train", "train", "val"]
    assert curated.materials.initial.splits.tolist() == splits[:, 0].tolist()
    assert curated.materials.energies.tolist() == [-8.25] * 5


def test_one_crystal_in_several_folders_is_in_one_split(runs: Runs) -> None:
    """One folder per job makes the steps of one crystal several materials."""
    for index in range(6):
        runs.add(f"job-{index}")

    with pytest.raises(InputError, match="6 materials are 1 group,"):
        curate(runs.settings(split=SplitSettings(val=0.2, test=0.2)))


def test_energies_on_another_scale_are_rejected(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The potential predicts -4 eV/atom: -8 eV for two atoms agrees, -20 does not."""

    asked: list[str] = []

    class Potential:
        def __init__(self, name: str) -> None:
            asked.append(name)

        def predict_frames(
            self, frames: Frames, _: str
        ) -> tuple[Frames, dict[int, str]]:
            energies = np.array([-4.0 * n_atoms for n_atoms in frames.n_atoms])
            return replace(frames, energies=energies), {}

    monkeypatch.setattr(rules, "load_potential", Potential)
    runs.add("good")
    runs.add("bad", energies=(-20.0, -20.1))

    curated = curate(runs.settings(curation=CurationSettings()))

    assert set(asked) == {"chgnet-r2scan"}
    assert reasons(curated) == dict.fromkeys(
        ("runs/bad#0", "runs/bad#1"), Rule.ENERGY_SCALE
    )


def test_a_functional_without_a_potential_is_not_checked(runs: Runs) -> None:
    runs.add("pbe", metagga="", more="   METAGGA = --", energies=(-900.0,))

    curated = curate(runs.settings(curation=CurationSettings(functional="PBE")))

    assert curated.frames.energies.tolist() == [-900]


def test_a_source_without_accepted_frames_is_an_error_with_the_rules(
    runs: Runs,
) -> None:
    runs.add("with-u", hubbard=WITH_U)
    runs.add("torn", end="")

    with pytest.raises(
        InputError,
        match=r"usable frames, got none in .*runs \(rejected: incomplete_file 1, hubba",
    ):
        curate(runs.settings())


def test_an_empty_split_is_an_error(runs: Runs) -> None:
    runs.add("a")

    with pytest.raises(InputError, match="the test split is empty"):
        curate(runs.settings(split=SplitSettings()))


def test_elements_beyond_plutonium_are_an_error(runs: Runs, tmp_path: Path) -> None:
    runs.add("a")
    path = tmp_path / "runs" / "a" / "OUTCAR"
    path.write_text(path.read_text().replace("PAW_PBE Na_pv", "PAW_PBE Cm   "))

    with pytest.raises(InputError, match=r"frame runs/a#0: .* got Cm \(Z = 96\)"):
        curate(runs.settings())


def test_a_missing_folder_is_an_error(runs: Runs) -> None:
    with pytest.raises(InputError, match="expected a file or folder, got none at"):
        curate(runs.settings())


def test_two_frames_with_one_name_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "frames.xyz"
    path.write_text(
        2
        * (
            '1\nLattice="3 0 0 0 3 0 0 0 3" Properties=species:S:1:pos:R:3 energy=-3 '
            'material_id=Po frame_id=Po#0 pbc="T T T"\nPo 0 0 0\n'
        )
    )
    settings = DatasetSettings(
        source=AseSource(paths=(str(path),), functional="r2SCAN"),
        curation=TRUSTING.model_copy(update={"required_labels": (Label.ENERGY,)}),
        split=SplitSettings(val=0, test=0),
    )

    with pytest.raises(InputError, match="a name for every frame, got 'Po#0' twice"):
        curate(settings)


def test_the_metadata_of_the_files_equals_the_document(runs: Runs) -> None:
    runs.add("a")
    runs.add("b", hubbard=WITH_U)
    settings = runs.settings()
    curated = curate(settings)

    stored = store_dataset(curated, settings)

    frames = read_frames(artifact_path(stored["frames"]))
    materials = read_materials(artifact_path(stored["materials"]))
    rejections = read_rejections(artifact_path(stored["rejections"]))
    metadata = read_metadata(artifact_path(stored["frames"]))
    assert frames.frame_ids.tolist() == ["runs/a#0", "runs/a#1"]
    np.testing.assert_array_equal(frames.forces, curated.frames.forces)
    assert materials.energies.tolist() == [-8.25]
    assert rejections == curated.rejections
    assert DatasetSettings.model_validate(metadata["settings"]) == settings
    assert metadata["n_rejected"] == {rule.value: 0 for rule in Rule} | {"hubbard_u": 2}
    assert stored["n_rejected"] == metadata["n_rejected"]
    assert (stored["n_frames"], stored["n_materials"]) == (2, 1)
    assert stored["n_frames_by_split"] == {"train": 2, "val": 0, "test": 0}
    assert stored["element_counts"] == {"Na": 2, "Cl": 2}


def test_the_same_data_give_identical_files(runs: Runs) -> None:
    runs.add("a")
    settings = runs.settings()

    first = store_dataset(curate(settings), settings)
    second = store_dataset(curate(settings), settings)

    assert first == second


def test_staging_folders_are_removed_after_storing(runs: Runs, tmp_path: Path) -> None:
    runs.add("a")
    settings = runs.settings()

    store_dataset(curate(settings), settings)

    folders = {path.name for path in (tmp_path / "root" / "artifacts").iterdir()}
    assert folders == {"frames", "materials", "rejections"}


def frame_line(name: str, material: str, energy: float, length: float) -> str:
    return (
        f'1\nLattice="{length} 0 0 0 {length} 0 0 0 {length}" '
        f"Properties=species:S:1:pos:R:3 energy={energy} material_id={material} "
        f'frame_id={name} pbc="T T T"\nPo 0 0 0\n'
    )


@pytest.fixture
def mixed(tmp_path: Path) -> DatasetSettings:
    """Forty frames of four materials in turn, most of them twice."""
    rng = np.random.default_rng(3)
    lines = [
        frame_line(f"f{index}", f"m{index % 4}", energy, length)
        for index, (energy, length) in enumerate(
            zip(rng.choice([-3, -3.1], 40), rng.choice([3.2, 3.3], 40), strict=True)
        )
    ]
    path = tmp_path / "mixed.xyz"
    path.write_text("".join(lines))
    return DatasetSettings(
        source=AseSource(paths=(str(path),), functional="r2SCAN"),
        curation=TRUSTING.model_copy(update={"required_labels": (Label.ENERGY,)}),
        split=SplitSettings(val=0.25, test=0.25, seed=2, unit=SplitUnit.MATERIAL),
    )


@pytest.mark.parametrize("size", [1, 7, 39])
def test_the_result_does_not_depend_on_the_size_of_parts(
    size: int, mixed: DatasetSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames of alternating materials are in all parts."""
    whole = curate(mixed)
    monkeypatch.setattr(rules, "PART_SIZE", size)

    parts = curate(mixed)

    assert len(list(parts.stream())) > len(list(whole.stream())) == 1
    assert parts.frames.frame_ids.tolist() == whole.frames.frame_ids.tolist()
    assert parts.frames.splits.tolist() == whole.frames.splits.tolist()
    assert sorted(reasons(parts)) == sorted(reasons(whole))
    assert 4 < len(whole.frames) < 40
    np.testing.assert_array_equal(parts.materials.energies, whole.materials.energies)


def test_the_document_counts_skipped_rules(runs: Runs) -> None:
    runs.add("a")
    settings = runs.settings()

    stored = store_dataset(curate(settings), settings)

    assert stored["n_skipped"] == {Rule.PRIMARY_TASK: 2}


def test_an_error_leaves_no_files(runs: Runs, tmp_path: Path) -> None:
    runs.add("with-u", hubbard=WITH_U)

    with pytest.raises(InputError, match="expected usable frames"):
        curate(runs.settings())

    assert list((tmp_path / "root" / "artifacts").iterdir()) == []


#: An INCAR without a meta-GGA.
PBE: dict[str, str] = {"metagga": "", "more": "   METAGGA = --"}
MP2020 = CurationSettings(functional="PBE", corrections=CorrectionScheme.MP2020)


def test_corrected_energies_are_labels_and_raw_energies_are_stored(runs: Runs) -> None:
    """MP2020 adds -0.614 eV for the one Cl of Na and Cl."""
    runs.add("a", **PBE)
    settings = runs.settings(curation=MP2020)

    stored = store_dataset(curate(settings), settings)

    path = artifact_path(stored["frames"])
    raw = pq.read_table(path, columns=["raw_energy"])["raw_energy"].to_pylist()
    materials = read_materials(artifact_path(stored["materials"]))
    assert raw == pytest.approx([-8.0, -8.25])
    np.testing.assert_allclose(read_frames(path).energies, [-8.614, -8.864])
    np.testing.assert_allclose(materials.energies, [-8.864])
    np.testing.assert_allclose(materials.by_functional["PBE"], [-8.25 / 2])


def test_energies_without_corrections_are_raw(runs: Runs) -> None:
    runs.add("a")
    settings = runs.settings()

    stored = store_dataset(curate(settings), settings)

    table = pq.read_table(artifact_path(stored["frames"]))
    assert table["raw_energy"].to_pylist() == table["energy"].to_pylist() == [-8, -8.25]


def test_a_hubbard_u_without_mp2020_correction_is_rejected(runs: Runs) -> None:
    """Na and Cl have none there."""
    allowed = MP2020.model_copy(update={"hubbard_u": HubbardU.ALLOWED})
    runs.add("a", **PBE)
    runs.add("b", **PBE, hubbard=WITH_U)

    curated = curate(runs.settings(curation=allowed))

    assert reasons(curated) == dict.fromkeys(
        ("runs/b#0", "runs/b#1"), Rule.UNCORRECTABLE
    )
    assert "got U of {'Cl': 3.5} eV" in curated.rejections[0].reason


def test_energies_of_another_functional_are_stored_per_material(tmp_path: Path) -> None:
    """The labels are of the r2SCAN task; the PBE task gives the PBE energy."""
    step = {"structure": SALT, "forces": [[0.0] * 3] * 2}
    tasks = [
        {
            "task_id": run_type,
            "metadata": {"material_id": "a"},
            "task_type": "Static",
            "calcs_reversed": [
                {
                    "run_type": run_type,
                    "output": {"ionic_steps": [step | {"e_fr_energy": energy}]},
                }
            ],
        }
        for run_type, energy in (("r2SCAN", -8.0), ("GGA", -6.0))
    ]
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    source = TaskDocumentsSource(
        paths=(str(tmp_path / "tasks.json"),), material_id_key="metadata.material_id"
    )
    split = SplitSettings(val=0, test=0)

    curated = curate(DatasetSettings(source=source, curation=TRUSTING, split=split))

    known = {name: e.tolist() for name, e in curated.materials.by_functional.items()}
    assert known == {"PBE": [-3.0], "r2SCAN": [-4.0]}
    assert curated.materials.energies.tolist() == [-8.0]


def test_files_of_a_deleted_data_set_are_removed(runs: Runs, tmp_path: Path) -> None:
    runs.add("a")
    curated = curate(runs.settings())
    folder = curated.folder

    assert folder.parent == tmp_path / "root" / "artifacts"
    del curated
    assert not folder.exists()


def test_a_wrong_unit_of_stress_is_a_one_line_error(real_data: Path) -> None:
    """MatPES elements in kBar, read as GPa."""
    folder = real_data / "elemental-references"
    source = MatpesSource(
        paths=(str(folder / "MatPES-PBE-Element-Refs.json.gz"),),
        stress_unit=StressUnit.GPA,
    )
    curation = CurationSettings(
        functional="PBE",
        energy_scale=EnergyScaleSettings(
            potentials={"PBE": "chgnet-0.3.0"}, tolerance=100
        ),
    )
    settings = DatasetSettings(source=source, curation=curation)

    with pytest.raises(InputError, match=r"got -\d.* times what the potential predi"):
        curate(settings)


def test_a_killed_build_keeps_the_existing_files(runs: Runs, tmp_path: Path) -> None:
    """A child process is killed while it writes frames; the old file is unchanged."""
    runs.add("a")
    settings = runs.settings()
    before = store_dataset(curate(settings), settings)
    runs.add("b")
    script = tmp_path / "build.py"
    script.write_text(KILLED_BUILD.format(settings=settings.model_dump_json()))

    killed = subprocess.run([sys.executable, str(script)], check=False)  # noqa: S603

    assert killed.returncode == -signal.SIGKILL
    assert len(read_frames(artifact_path(before["frames"]))) == 2
    shelves = tmp_path / "root" / "artifacts"
    assert len(list((shelves / "frames").iterdir())) == 1
    assert store_dataset(curate(settings), settings)["n_frames"] == 4


@pytest.fixture(scope="module")
def real(real_data: Path) -> CuratedDataset:
    """Real runs and all invalid files, all labels required, duplicates kept."""
    names = ("r2scan-tm-oxides", "r2scan-tm-fluorides", "traps")
    paths = tuple(str(real_data / name) for name in names)
    settings = DatasetSettings(
        source=VaspSource(paths=paths),
        curation=CurationSettings(
            required_labels=tuple(Label), duplicate_tolerances=()
        ),
    )
    return curate(settings)


def test_the_real_data_give_46_relaxations_and_170_frames(real: CuratedDataset) -> None:
    assert real.n_frames_before_deduplication == len(real.frames) == 170
    assert len(real.materials) == 46
    assert np.isfinite(real.materials.energies).all()


def test_every_real_run_with_a_hubbard_u_is_rejected(
    real: CuratedDataset, real_data: Path
) -> None:
    """The names of the folders contain the expected rule."""
    expected = {
        path.parent.relative_to(real_data).as_posix()
        for path in real_data.glob("r2scan-tm-*/R2SCAN[_+]U/**/OUTCAR.bz2")
    }

    rejected = {r.material_id for r in real.rejections if r.rule is Rule.HUBBARD_U}

    assert rejected == expected
    assert len(rejected) == 12


def test_every_invalid_file_is_rejected_by_its_rule(real: CuratedDataset) -> None:
    """Three have another energy scale; valid ones lack the required moments."""
    traps = {
        r.material_id: (r.rule, r.reason)
        for r in real.rejections
        if r.material_id.startswith("traps/")
    }

    assert {name: rule for name, (rule, _) in traps.items()} == {
        "traps/Al": Rule.ENERGY_SCALE,
        "traps/LiF": Rule.ENERGY_SCALE,
        "traps/Si_mp_meta_gga_wrong_scale": Rule.ENERGY_SCALE,
        "traps/incomplete_OUTCAR": Rule.INCOMPLETE_FILE,
        "traps/LiH_bad_efermi": Rule.MISSING_LABEL,
        "traps/r2scan": Rule.MISSING_LABEL,
    }
    assert (
        "got -23.434 eV/atom where chgnet-r2scan has"
        in traps["traps/Si_mp_meta_gga_wrong_scale"][1]
    )


def test_valid_real_files_are_accepted_without_the_rule_on_moments(
    real_data: Path,
) -> None:
    curated = curate(
        DatasetSettings(
            source=VaspSource(paths=(str(real_data / "traps"),)),
            split=SplitSettings(val=0, test=0),
        )
    )

    assert sorted(curated.frames.material_ids.tolist()) == [
        "traps/LiH_bad_efermi",
        "traps/r2scan",
    ]


def test_runs_with_a_hubbard_u_are_accepted_only_on_request(real_data: Path) -> None:
    folder = real_data / "r2scan-tm-fluorides" / "R2SCAN+U"
    curated = curate(
        DatasetSettings(
            source=VaspSource(paths=(str(folder),)),
            curation=CurationSettings(hubbard_u=HubbardU.ALLOWED),
            split=SplitSettings(val=0, test=0),
        )
    )

    assert curated.n_frames_before_deduplication == 14


@pytest.mark.parametrize(
    ("folder", "energy_mae", "forces_mae"),
    [("r2scan-tm-fluorides", 0.0160, 0.0442), ("r2scan-tm-oxides", 0.0275, 0.0259)],
)
def test_real_labels_equal_those_of_the_index_of_the_data(
    folder: str, energy_mae: float, forces_mae: float, real: CuratedDataset
) -> None:
    """Errors of the shipped r²SCAN model as the data's index reports them."""
    chosen = np.char.startswith(real.frames.material_ids, folder)
    frames = real.frames[chosen]

    predicted, errors = load_potential("chgnet-r2scan", "cpu").predict_frames(
        frames, "ef"
    )

    residuals = (predicted.energies - frames.energies) / frames.n_atoms
    assert (len(frames), errors) == (85, {})
    assert np.abs(residuals).mean() == pytest.approx(energy_mae, abs=0.0003)
    assert np.abs(predicted.forces - frames.forces).mean() == pytest.approx(
        forces_mae, abs=0.0003
    )
