"""A study of labels of energies alone, through every stage."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from tests.makers.conftest import SMALL_STUDY, run_study

from nextrung.adapters.sources.distilled import make_crystals
from nextrung.adapters.stores.builders import build_collections
from nextrung.adapters.stores.collections import describe_collection
from nextrung.adapters.stores.job_store import make_embedded_store
from nextrung.adapters.stores.studies import load_documents, load_study
from nextrung.compute.decoration import perturb
from nextrung.makers.jobs.models import open_potential
from nextrung.potentials.registry import load_potential
from nextrung.reports.pages.page import write_report
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.sources import DistilledSource
from nextrung.schemas.study import StudySettings

if TYPE_CHECKING:
    from pathlib import Path

    from nextrung.schemas.base import TaskDoc

#: A recipe that trains on forces of the source and replays it.
HELD = {
    "name": "held",
    "pretrained": True,
    "rereference": "residual",
    "trained": "network",
    "training_labels": "energies_source_forces",
    "anchor": {"kind": "replay", "fraction": 0.25},
}


def write_energies(path: Path) -> None:
    """Write two frames of each of ten crystals as extxyz, with energies alone."""
    small = SMALL_STUDY["dataset"]["source"]
    source = DistilledSource.model_validate(small | {"n_materials_per_system": 8})
    rng = np.random.default_rng(0)
    names, structures = [], []
    for name, crystal in make_crystals(source).items():
        for index in range(2):
            names.append((name, f"{name}#{index}"))
            structures.append(perturb(crystal, strain=0.03, displacement=0.03, rng=rng))
    frames = Frames.from_structures(structures)
    labelled, _ = load_potential(source.teacher, "cpu").predict_frames(frames, "e")
    images = []
    for structure, energy, (material_id, frame_id) in zip(
        structures, labelled.energies.tolist(), names, strict=True
    ):
        atoms = structure.to_ase_atoms()
        atoms.calc = SinglePointCalculator(atoms, energy=energy)
        atoms.info = {"material_id": material_id, "frame_id": frame_id}
        images.append(atoms)
    write(path, images, format="extxyz")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a study of energies alone."""
    folder = tmp_path_factory.mktemp("energies")
    write_energies(folder / "e.xyz")
    changes = {
        "name": "energies",
        "dataset": {
            "source": {
                "kind": "ase",
                "paths": [str(folder / "e.xyz")],
                "functional": "r2SCAN",
            },
            "curation": {"required_labels": ["energy"]},
            "split": {"val": 0.2, "test": 0.2},
        },
        "models": ["source", "scratch", HELD],
        "relaxation": {"fmax": 0.3, "max_steps": 5},
        "density": None,
        "physics": None,
        "scaling_law": {"sizes": [4], "fit_above": 0},
    }
    run_study(StudySettings.model_validate(SMALL_STUDY | changes), folder)
    return folder


@pytest.fixture
def documents(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, TaskDoc]:
    monkeypatch.setenv("NEXTRUNG_ROOT", str(folder))
    store = make_embedded_store(folder)
    study = load_study(store)
    return {**load_documents(store, study), "study": study}


def test_every_stage_of_a_study_holds_without_forces(
    documents: dict[str, Any],
) -> None:
    results = documents["study"].results

    counts = results.dataset.n_frames_by_label
    assert counts["energy"] == results.dataset.n_frames
    assert counts["forces"] == counts["stress"] == counts["magmoms"] == 0
    for summary in results.models.values():
        errors = summary.metrics["test"]
        assert np.isfinite([errors.energy_mae, errors.energy_baseline_mae]).all()
        assert errors.forces_mae is errors.forces_baseline_mae is None
        assert errors.stress_mae is errors.stress_skill is None
        assert summary.stability is not None
    assert list(results.scaling_law) == ["energy_mae"]
    assert results.alignment is not None
    assert "NaN" not in results.model_dump_json()


def test_targets_of_the_source_are_counted_and_are_no_labels(
    documents: dict[str, Any],
) -> None:
    held = documents["fine_tuning/held"]

    assert held.n_source_labelled == held.n_train_frames > 0
    assert held.n_replayed == round(0.25 * held.n_train_frames)
    for epoch in held.history:
        assert epoch.train.forces_mae is epoch.val.forces_mae is None
    assert documents["fine_tuning/scratch"].n_replayed == 0
    assert open_potential(held).elements == {"Mg", "O"}


def test_the_page_and_the_collections_have_no_number_without_a_label(
    folder: Path, documents: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXTRUNG_ROOT", str(folder))
    store = make_embedded_store(folder)
    build_collections(store)
    with describe_collection(store, "metrics") as collection:
        rows = list(collection.query({}))

    write_report(documents.pop("study"), documents, folder / "report.html")

    assert rows
    assert all(row["forces_mae"] is None for row in rows)
    html = (folder / "report.html").read_text()
    assert "No frame has labels of forces." in html
    assert "Forces: no law, as no frame of the val split has forces." in html
    assert "forces 0 of" in html
    assert not re.search(r">\s*nan\s*<", html, re.IGNORECASE)
