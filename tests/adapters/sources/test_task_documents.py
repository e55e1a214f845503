from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.adapters.sources.task_documents import read_task_documents
from nextrung.potentials.registry import load_potential
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.curation import Rejection, Rule
from nextrung.schemas.labels.sources import PrimaryTask, TaskDocumentsSource, TaskType
from nextrung.schemas.labels.trajectory import Trajectory

if TYPE_CHECKING:
    from pathlib import Path

SALT = Structure(Lattice.cubic(4), ["Cs", "Cl"], [[0, 0, 0], [0.5] * 3])


def step(energy: float = -6.5, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "e_fr_energy": energy,
        "e_0_energy": 0.0,
        "forces": [[0.1, 0, 0], [-0.1, 0, 0]],
        "stress": [[10.0, 0, 0], [0, 20.0, 0], [0, 0, 30.0]],
        "electronic_steps": [{}] * 7,
        "structure": SALT.as_dict(),
    } | changes


def calculation(*steps: dict[str, Any], **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    tags = {"METAGGA": "R2SCAN", "ENCUT": 680, "NELM": 60, "GGA": "--"}
    return {
        "has_vasp_completed": True,
        "input": {"incar": tags | changes.pop("tags", {}), "hubbards": {}},
        "output": {"ionic_steps": list(steps or [step()])},
    } | changes


def task(*calcs: dict[str, Any], **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "task_id": "mp-9",
        "task_type": "Structure Optimization",
        "calcs_reversed": list(calcs or [calculation()]),
    } | changes


def read_files(source: TaskDocumentsSource) -> list[Trajectory | Rejection]:
    return list(read_task_documents(source, lambda _done, _total, _text: None))


def read(
    folder: Path,
    *tasks: dict[str, Any],
    **settings: Any,  # noqa: ANN401
) -> list[Trajectory | Rejection]:
    path = folder / "tasks.json"
    path.write_text(json.dumps(list(tasks)))
    return read_files(TaskDocumentsSource(paths=(str(path),), **settings))


def read_runs(
    folder: Path,
    *tasks: dict[str, Any],
    **settings: Any,  # noqa: ANN401
) -> list[Trajectory]:
    found = read(folder, *tasks, **settings)
    runs = [run for run in found if isinstance(run, Trajectory)]
    assert len(runs) == len(found), found
    return runs


def test_a_calculation_is_converted_with_its_free_energy(
    tmp_path: Path,
) -> None:
    """20 kBar of VASP are -2 GPa; ``e_0_energy`` is 0 and ignored."""
    (run,) = read_runs(tmp_path, task(calculation(step(-6.5), step(-6.6))))

    frames = run.frames
    assert frames.frame_ids.tolist() == ["mp-9-0#0", "mp-9-0#1"]
    assert (run.material_id, frames.functional) == ("mp-9", "r2SCAN")
    assert frames.energies.tolist() == [-6.5, -6.6]
    np.testing.assert_allclose(np.diag(frames.stresses[0]), [-1, -2, -3], rtol=1e-6)
    np.testing.assert_allclose(frames.forces[1], [-0.1, 0, 0])
    assert np.isnan(frames.magmoms).all()
    assert (run.hubbard_u, run.plane_wave_cutoff) == (0, 680)
    assert run.relaxed_energy == pytest.approx(-3.3)


def test_calculations_are_read_in_the_order_in_which_they_ran(tmp_path: Path) -> None:
    """``calcs_reversed`` begins with the last calculation."""
    runs = read_runs(tmp_path, task(calculation(step(-6.6)), calculation(step(-6.5))))

    assert [run.frames.energies[0] for run in runs] == [-6.5, -6.6]
    assert [run.frames.frame_ids[0] for run in runs] == ["mp-9-1#0", "mp-9-0#0"]


def test_moments_of_the_outcar_belong_to_the_last_step(tmp_path: Path) -> None:
    calc = calculation(step(), step())
    calc["output"]["outcar"] = {"magnetization": [{"tot": 0.5}, {"tot": -1.0}]}

    (run,) = read_runs(tmp_path, task(calc))

    assert np.isnan(run.frames.magmoms[:2]).all()
    assert run.frames.magmoms[2:].tolist() == [0.5, -1.0]


@pytest.mark.parametrize(
    "moments", [[{"tot": 1.0}], [{"tot": {"moment": [0, 0, 1]}}] * 2]
)
def test_moments_that_do_not_match_the_sites_are_skipped(
    moments: list[Any], tmp_path: Path
) -> None:
    calc = calculation()
    calc["output"]["outcar"] = {"magnetization": moments}

    (run,) = read_runs(tmp_path, task(calc))

    assert np.isnan(run.frames.magmoms).all()


@pytest.mark.parametrize(
    ("changes", "converged"),
    [
        ({}, True),
        ({"electronic_steps": [{}] * 60}, False),
        ({"electronic_steps": None, "num_electronic_steps": 60}, False),
        ({"electronic_steps": None, "num_electronic_steps": 59}, True),
    ],
)
def test_electronic_steps_must_be_fewer_than_nelm(
    changes: dict[str, Any],
    converged: bool,  # noqa: FBT001
    tmp_path: Path,
) -> None:
    (run,) = read_runs(tmp_path, task(calculation(step(**changes))))

    assert run.converged.tolist() == [converged]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"hubbards": {"Cs": 0.0, "Cl": 3.5}}, 3.5),
        ({"incar": {"LDAU": True, "LDAUU": {"Cl": 3.5, "Cs": 0}}}, 3.5),
        ({"incar": {"LDAU": True, "LDAUU": [0, 3.5]}}, 3.5),
        ({"incar": {"LDAU": True, "LDAUU": [0, 0]}}, 0.0),
        ({"incar": {"LDAU": False, "LDAUU": [0, 3.5]}}, 0.0),
    ],
)
def test_only_a_nonzero_hubbard_u_is_read(
    given: dict[str, Any], expected: float, tmp_path: Path
) -> None:
    (run,) = read_runs(tmp_path, task(calculation(input=given)))

    assert run.hubbard_u == expected


@pytest.mark.parametrize(
    ("run_type", "expected"),
    [
        ("GGA", "PBE"),
        ("GGA+U", "PBE"),
        ("GGA_U", "PBE"),
        ("r2SCAN", "r2SCAN"),
        ("R2SCAN", "r2SCAN"),
        ({"value": "PBE+U"}, "PBE"),
    ],
)
def test_without_tags_the_functional_follows_from_the_run_type(
    run_type: object, expected: str, tmp_path: Path
) -> None:
    (run,) = read_runs(tmp_path, task(calculation(input=None, run_type=run_type)))

    assert run.frames.functional == expected


def test_tags_win_over_the_run_type(
    tmp_path: Path,
) -> None:
    (run,) = read_runs(tmp_path, task(calculation(run_type="GGA")))

    assert run.frames.functional == "r2SCAN"


def test_tasks_are_compared_with_the_lowest_of_their_functional(
    tmp_path: Path,
) -> None:
    tasks = [
        task(calculation(step(-6.5)), task_id="a", formula="CsCl"),
        task(calculation(step(-6.6)), task_id="b", formula="CsCl"),
        task(calculation(step(-99), tags={"METAGGA": None}), task_id="c"),
    ]
    tasks[2]["formula"] = "CsCl"

    runs = read_runs(tmp_path, *tasks, material_id_key="formula")

    assert {run.material_id for run in runs} == {"CsCl"}
    assert [run.task.final_energy for run in runs if run.task] == [-3.25, -3.3, -49.5]
    primaries = [run.primary_task.final_energy for run in runs if run.primary_task]
    assert primaries == [-3.3, -3.3, -49.5]
    assert [run.relaxed_energy for run in runs] == [-3.3, -3.3, -49.5]


def test_a_task_with_the_id_of_its_material_can_be_primary(tmp_path: Path) -> None:
    tasks = [
        task(calculation(step(-6.5)), task_id="a", material="a"),
        task(calculation(step(-6.6)), task_id="b", material="a"),
        task(calculation(step(-6.6)), task_id="d", material="c"),
    ]

    runs = read_runs(
        tmp_path,
        *tasks,
        material_id_key="material",
        primary_task=PrimaryTask.NAMESAKE,
    )

    assert [run.primary_task and run.primary_task.final_energy for run in runs] == [
        -3.25,
        -3.25,
        None,
    ]
    assert np.isnan(runs[2].relaxed_energy)


def test_the_task_of_a_job_document_is_its_output(
    tmp_path: Path,
) -> None:
    stored = {
        "uuid": "8d",
        "metadata": {"material_id": "mp-1"},
        "output": task(),
    }

    (run,) = read_runs(tmp_path, stored, material_id_key="metadata.material_id")

    assert run.material_id == "mp-1"


@pytest.mark.parametrize(
    ("document", "rule", "reason"),
    [
        (task(task_type="NSCF Line"), Rule.TASK_TYPE, "got NSCF Line"),
        (task(task_type={"value": "DFPT"}), Rule.TASK_TYPE, "got DFPT"),
        (
            task(calculation(tags={"ICHARG": 11}), task_type=None),
            Rule.TASK_TYPE,
            "got NSCF",
        ),
        (
            task(calculation(tags={"IBRION": 8}), task_type=None),
            Rule.TASK_TYPE,
            "got linear response",
        ),
        (
            task(calculation(has_vasp_completed=False)),
            Rule.INCOMPLETE_FILE,
            "calculation mp-9-0 is incomplete",
        ),
        (
            task(calculation(has_vasp_completed="failed")),
            Rule.INCOMPLETE_FILE,
            "is incomplete",
        ),
        (
            task(calculation(output={"ionic_steps": []})),
            Rule.INCOMPLETE_FILE,
            "calculation mp-9-0 has no ionic steps",
        ),
        (task(calcs_reversed=[]), Rule.INCOMPLETE_FILE, "calculations, got none"),
        (task(calculation(step(forces=[1.0]))), Rule.INCOMPLETE_FILE, "of shape"),
        (
            task(calculation(output={})),
            Rule.INCOMPLETE_FILE,
            "expected a task document, got KeyError: 'ionic_steps'",
        ),
    ],
)
def test_an_invalid_task_is_a_rejection_with_a_reason(
    document: dict[str, Any], rule: Rule, reason: str, tmp_path: Path
) -> None:
    found = read(tmp_path, document, task(task_id="good"))

    rejections = [item for item in found if isinstance(item, Rejection)]
    assert [(r.frame_id, r.rule) for r in rejections] == [("mp-9", rule)]
    assert reason in rejections[0].reason
    assert len(found) == 2


def test_without_a_task_type_the_kind_follows_from_the_tags(
    tmp_path: Path,
) -> None:
    relaxation = task(calculation(tags={"NSW": 99}), task_type=None)
    static = task(task_type=None, task_id="s")

    found = read(tmp_path, relaxation, static, task_types=(TaskType.STATIC,))

    assert [type(item) for item in found] == [Rejection, Trajectory]


def find_energies(documents: list[dict[str, Any]], kinds: tuple[str, ...]) -> list[Any]:
    """Read energies independently of the tested code, the last step first."""
    return [
        s["e_fr_energy"]
        for d in documents
        if d["task_type"] in kinds
        for c in d["calcs_reversed"][::-1]
        for s in c["output"]["ionic_steps"]
    ]


def test_real_tasks_have_the_energies_of_their_documents(
    real_data: Path,
) -> None:
    """As2SO6: 3 static and 3 optimization tasks; e_0_energy is 0 in most of them."""
    path = real_data / "mp-task-documents" / "test_As2SO6_tasks.json.gz"
    with gzip.open(path) as file:
        documents = json.load(file)
    source = TaskDocumentsSource(paths=(str(path),), material_id_key="formula_pretty")

    found = read_files(source)

    runs = [run for run in found if isinstance(run, Trajectory)]
    frames = Frames.concatenate([run.frames for run in runs])
    kinds = tuple(TaskType)
    assert frames.energies.tolist() == find_energies(documents, kinds)
    assert len(frames) == 188
    assert {run.material_id for run in runs} == {"As2SO6"}
    assert {run.relaxed_energy for run in runs} == {-108.4961085 / 18}
    assert {r.rule for r in found if isinstance(r, Rejection)} == {Rule.TASK_TYPE}
    first = frames[:1]
    static = next(d for d in documents if d["task_id"] in first.frame_ids[0])
    labels = static["calcs_reversed"][0]["output"]["ionic_steps"][0]
    np.testing.assert_allclose(first.forces, labels["forces"], rtol=1e-6)
    np.testing.assert_allclose(
        first.stresses[0], -np.array(labels["stress"]) / 10, rtol=1e-6
    )


def test_real_stresses_have_the_sign_and_size_of_the_model(real_data: Path) -> None:
    """Frames of the relaxations of As2SO6 with more than 1 GPa."""
    path = real_data / "mp-task-documents" / "test_As2SO6_tasks.json.gz"
    found = read_files(TaskDocumentsSource(paths=(str(path),)))
    frames = Frames.concatenate([r.frames for r in found if isinstance(r, Trajectory)])
    largest = np.argsort(-np.abs(frames.stresses).max(axis=(1, 2)))[:12]

    predicted, _ = load_potential("chgnet-0.3.0", "cpu").predict_frames(
        frames[largest], "es"
    )

    ours, theirs = frames.stresses[largest].ravel(), predicted.stresses.ravel()
    assert np.corrcoef(ours, theirs)[0, 1] > 0.8
    assert np.polyfit(theirs, ours, 1)[0] > 0.3


def test_a_real_r2scan_document_of_run_type_gga_is_recognised_by_its_tags(
    real_data: Path,
) -> None:
    """-27.04397986 eV for GaAs; moments of the OUTCAR are 0."""
    name = "MP_compatible_GaAs_r2SCAN_static.json.gz"
    source = TaskDocumentsSource(paths=(str(real_data / "mp-task-documents" / name),))

    (run,) = read_files(source)

    assert isinstance(run, Trajectory)
    assert run.frames.functional == "r2SCAN"
    assert run.frames.energies.tolist() == [-27.04397986]
    assert run.plane_wave_cutoff == 680
    np.testing.assert_allclose(np.diag(run.frames.stresses[0]), -2.8874, rtol=1e-4)
    assert run.frames.magmoms.tolist() == [0, 0]


def test_real_documents_of_older_schemas_are_read(real_data: Path) -> None:
    """Static tasks of 2017, some without a task type, and enums stored as objects."""
    folder = real_data / "mp-task-documents"
    names = ("tasks_Li_Fe_V.json.gz", "mp-1201400_task_doc.json.gz")

    found = read_files(TaskDocumentsSource(paths=[str(folder / n) for n in names]))

    runs = [run for run in found if isinstance(run, Trajectory)]
    assert {run.frames.functional for run in runs} == {"PBE"}
    assert len({run.material_id for run in runs}) == 100
    assert runs[-1].frames.energies[-1] == -1442.85696871


def test_a_real_task_says_how_it_was_calculated(real_data: Path) -> None:
    name = "MP_compatible_GaAs_r2SCAN_static.json.gz"
    source = TaskDocumentsSource(paths=(str(real_data / "mp-task-documents" / name),))

    (run,) = read_task_documents(source, lambda *_: None)

    assert isinstance(run, Trajectory)
    identity = run.identity
    assert identity is not None
    assert identity.version == "6.4.1"
    assert identity.potentials["Ga"] == "PAW_PBE Ga_d 06Jul2010"
    assert identity.potential_hashes["Ga"] == "md5:7bb23032e63255efc79cad079baff5aa"
    assert identity.k_spacing == pytest.approx(0.21, abs=0.03)
    assert identity.energy == "free_energy"
