"""The made-up study in a job store, as its jobs would store it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jobflow import OutputReference
from monty.json import jsanitize
from pymatgen.core import Composition, Lattice, Structure
from tests.made_up_study import (
    MATERIALS,
    make_artifact,
    make_documents,
    make_provenance,
    make_study,
)
from tests.made_up_study.physics import make_physics

from nextrung.adapters.files.artifacts import store_artifact
from nextrung.adapters.files.frames import write_materials
from nextrung.adapters.files.relaxation_table import write_relaxations
from nextrung.adapters.files.stability_table import write_stability
from nextrung.adapters.files.staging import StagingFolder
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.materials import Materials
from nextrung.schemas.models import Model
from nextrung.schemas.relaxation import (
    RelaxationDoc,
    RelaxationRecord,
    RelaxationSettings,
    RelaxationStatus,
    ShardDoc,
    ShardPlan,
)
from nextrung.schemas.stability import StabilityDoc
from nextrung.schemas.stability.table import LoadedStability

if TYPE_CHECKING:
    from pathlib import Path

    from jobflow import JobStore

    from nextrung.schemas.base import Artifact, TaskDoc
    from nextrung.schemas.stability import StabilityRecord

N_SHARDS = 2

#: Volume per atom of every material before relaxation, in Å³.
VOLUME = 10.0


def build_structure(formula: str) -> Structure:
    """Build a cell of the right composition, with arbitrary sites."""
    atoms = list(Composition(formula).elements)
    counts = [int(Composition(formula)[atom]) for atom in atoms]
    symbols = [
        str(atom) for atom, n in zip(atoms, counts, strict=True) for _ in range(n)
    ]
    sites = [[index / len(symbols)] * 3 for index in range(len(symbols))]
    return Structure(Lattice.cubic((VOLUME * len(symbols)) ** (1 / 3)), symbols, sites)


def store_materials(folder: Path) -> Artifact:
    """Store the materials of the study as an artifact."""
    structures = [build_structure(row[0]) for row in MATERIALS]
    frames = Frames.from_structures(structures, [f"m-{row[0]}" for row in MATERIALS])
    splits = np.array([row[2] for row in MATERIALS])
    file = folder / "materials.parquet"
    write_materials(
        Materials(
            replace(frames, splits=splits, functional="r2SCAN"),
            np.zeros(len(MATERIALS)),
        ),
        file,
    )
    return store_artifact(file, "materials")


def relax(row: StabilityRecord, steps: int) -> RelaxationRecord:
    """Build the relaxation record of a row of the hull."""
    structure = build_structure(row.formula)
    energy = row.predicted_energy_per_atom
    return RelaxationRecord(
        status=row.status,
        energy=None if energy is None else energy * len(structure),
        initial_energy=-1.0 * len(structure),
        structure=None
        if row.status is RelaxationStatus.ISOLATED_ATOM
        else structure.scale_lattice(1.1 * structure.volume),
        n_steps=steps,
        fmax=0.05,
        error=row.error,
    )


def store_shards(
    folder: Path, model: str, hull: LoadedStability, materials: Artifact
) -> list[ShardDoc]:
    """Store the relaxations behind a hull, every second material in one shard."""
    shards = []
    for shard in range(N_SHARDS):
        file = folder / "relaxations.parquet"
        rows = hull.rows.to_records()[shard::N_SHARDS]
        write_relaxations(
            file, {row.material_id: relax(row, 10 + shard) for row in rows}
        )
        plan = ShardPlan(
            model=model,
            checkpoint=make_artifact(f"models/{model}"),
            materials=materials,
            shard=shard,
            n_shards=N_SHARDS,
            parents={
                "dataset": "fingerprint-of-dataset",
                "model": f"fingerprint-of-fine_tuning/{model}",
            },
        )
        provenance = make_provenance(f"relaxation/{model}/{shard}").model_copy(
            update={"parents": plan.parents, "wall_time": 100.0 * (shard + 1)}
        )
        shards.append(
            ShardDoc(
                plan=plan,
                settings=RelaxationSettings(),
                n_materials=len(rows),
                records=store_artifact(file, "relaxations"),
                provenance=provenance,
            )
        )
    return shards


def store_rows(document: TaskDoc) -> TaskDoc:
    """Store the rows of a hull as an artifact; return the document as it is stored."""
    if not isinstance(document, LoadedStability):
        return document
    values = dict(document)
    with StagingFolder() as folder:
        write_stability(values.pop("rows"), folder / "stability.parquet")
        artifact = store_artifact(folder / "stability.parquet", "stability")
    return StabilityDoc(**values | {"records": artifact})


def store_document(
    store: JobStore,
    document: TaskDoc,
    owner: tuple[str, str],
    *,
    uuid: str,
    when: str = "2026-01-01T00:00:00",
) -> None:
    """Store a document as jobflow does, as a part of a study."""
    study, part = owner
    document = store_rows(document)
    stored: dict[str, Any] = {
        "uuid": uuid,
        "index": 1,
        "name": f"make {part}",
        "output": jsanitize(document, strict=True, enum_values=True, allow_bson=True),
        "completed_at": when,
        "metadata": {"study": study, "part": part},
        "hosts": [],
    }
    store.update(stored, key=["uuid", "index"], save={"data": ["rows"]})


def store_reference(store: JobStore, owner: tuple[str, str], uuid: str) -> None:
    """Store the output of a job that was replaced: a reference to the result."""
    study, part = owner
    stored: dict[str, Any] = {
        "uuid": f"uuid-of-{part}",
        "index": 2,
        "name": "store_inputs",
        "output": OutputReference(uuid).as_dict(),  # type: ignore[no-untyped-call]
        "completed_at": "2026-01-01T00:00:00",
        "metadata": {"study": study, "part": part},
        "hosts": [],
    }
    store.update(stored, key=["uuid", "index"])


def store_study(store: JobStore, folder: Path, name: str = "demo") -> None:
    """Store all documents and artifacts of the study."""
    materials = store_materials(folder)
    documents = make_documents()
    physics = {f"physics/{Model.SOURCE}": make_physics(Model.SOURCE)}
    for part, document in (documents | physics).items():
        if part == "preflight":
            continue
        _, _, model = part.partition("/")
        made = document
        if isinstance(document, LoadedStability):
            shards = store_shards(folder, model, document, materials)
            for number, shard in enumerate(shards):
                owner = (name, f"relaxation/{model}")
                uuid = f"uuid-of-shard/{model}/{number}"
                store_document(store, shard, owner, uuid=uuid)
        if isinstance(document, RelaxationDoc):
            parents = {
                f"shards {shard}": f"fingerprint-of-relaxation/{model}/{shard}"
                for shard in range(N_SHARDS)
            }
            provenance = document.provenance.model_copy(update={"parents": parents})
            made = document.model_copy(update={"provenance": provenance})
            store_reference(store, (name, part), f"uuid-of-merge/{model}")
            uuid = f"uuid-of-merge/{model}"
        else:
            uuid = f"uuid-of-{part}"
        store_document(store, made, (name, part), uuid=uuid)
    store_document(
        store, make_study(documents, name), (name, "study"), uuid=f"uuid-of-{name}"
    )
