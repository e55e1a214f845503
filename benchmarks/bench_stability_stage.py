"""Score the stability of 34,927 materials as the job of a study does, and its sizes.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/bench_stability_stage.py

Synthetic materials as in ``bench_study.py``, and relaxed energies with noise, 1 % of
them failed, in the files of the stages before. The job runs for two models, one after
another in this process, on an embedded store; the first compiles. Times are wall and
processor times of the job, its document and its files included. Bytes are those of the
database of the store, without compression of the file system, and of the artifacts
that the job wrote.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from bench_study import generate_dataset
from jobflow import Flow, run_locally

from nextrung.adapters.files.artifacts import store_artifact
from nextrung.adapters.files.frames import write_materials
from nextrung.adapters.files.relaxation_table import write_relaxations
from nextrung.adapters.stores.job_store import make_embedded_store
from nextrung.makers.stability import StabilityMaker
from nextrung.schemas.base import Artifact, Provenance
from nextrung.schemas.dataset import DatasetDoc
from nextrung.schemas.relaxation import (
    RelaxationDoc,
    RelaxationRecord,
    RelaxationSettings,
    RelaxationStatus,
)

if TYPE_CHECKING:
    from nextrung.schemas.labels.materials import Materials

#: Fraction of relaxations that fail, and noise of relaxed energies in eV/atom.
FAILED, NOISE = 0.01, 0.03


def describe_provenance(fingerprint: str) -> Provenance:
    """Describe the origin of a synthetic document."""
    return Provenance(
        fingerprint=fingerprint,
        versions={},
        host="benchmark",
        device="cpu",
        completed_at="2026-01-01T00:00:00",
        wall_time=0,
    )


def describe_dataset(materials: Materials, file: Path) -> DatasetDoc:
    """Write the materials, and describe them as the data-set stage does."""
    write_materials(materials, file)
    stored = store_artifact(file, "materials")
    return DatasetDoc(
        settings=None,
        labels="synthetic",
        functional="r2SCAN",
        n_materials=len(materials),
        n_frames=len(materials),
        n_seen=len(materials),
        n_frames_before_deduplication=len(materials),
        n_materials_by_split={},
        n_frames_by_split={},
        element_counts={},
        n_rejected={},
        frames=stored,
        rejections=stored,
        materials=stored,
        provenance=describe_provenance("dataset"),
    )


def relax(materials: Materials, seed: int) -> dict[str, RelaxationRecord]:
    """Draw relaxed energies around the labels."""
    rng = np.random.default_rng(seed)
    records = {}
    for name, energy, n_atoms in zip(
        materials.initial.material_ids.tolist(),
        materials.energies.tolist(),
        materials.initial.n_atoms.tolist(),
        strict=True,
    ):
        failed = rng.random() < FAILED
        relaxed = energy + n_atoms * NOISE * rng.normal()
        records[name] = RelaxationRecord(
            status=RelaxationStatus.ERROR if failed else RelaxationStatus.CONVERGED,
            energy=None if failed else relaxed,
            initial_energy=relaxed + 0.02 * n_atoms,
            structure=None,
            n_steps=10,
            fmax=None if failed else 0.05,
            error="made up" if failed else None,
        )
    return records


def describe_relaxation(
    model: str, records: dict[str, RelaxationRecord], file: Path
) -> RelaxationDoc:
    """Write relaxations, and describe them as the relaxation stage does."""
    write_relaxations(file, records)
    failed = sum(record.failed for record in records.values())
    stored: Artifact = store_artifact(file, "relaxations")
    return RelaxationDoc(
        model=model,
        settings=RelaxationSettings(),
        n_materials=len(records),
        n_failed=failed,
        statuses={"converged": len(records) - failed, "error": failed},
        n_steps=10 * len(records),
        relaxation_time=1,
        records=stored,
        provenance=describe_provenance(model),
    )


def count_bytes(folder: Path) -> int:
    """Count the bytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def main() -> None:
    """Run the job for each model, and print times and sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fraction", type=float, default=1.0)
    parser.add_argument("--models", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-stability-") as name:
        root = Path(name)
        os.environ["NEXTRUNG_ROOT"] = name
        materials = generate_dataset(options.fraction).materials
        dataset = describe_dataset(materials, root / "materials.parquet")
        store = make_embedded_store(root)
        print(f"nextrung {version('nextrung')}, {len(materials):,} materials")
        for number in range(options.models):
            relaxation = describe_relaxation(
                f"model-{number}", relax(materials, number), root / "relaxed.parquet"
            )
            before = {f: count_bytes(root / f) for f in ("store", "artifacts")}
            job = StabilityMaker().make(dataset, relaxation)
            wall, processor = time.perf_counter(), time.process_time()
            run_locally(Flow([job]), store=store, log=False, raise_immediately=True)
            wall = time.perf_counter() - wall
            processor = time.process_time() - processor
            grown = {f: count_bytes(root / f) - size for f, size in before.items()}
            print(
                f"{relaxation.model}: {wall:.2f} s, processor {processor:.2f} s, store "
                f"{grown['store'] / 1e6:+.2f} MB, artifacts "
                f"{grown['artifacts'] / 1e6:+.2f} MB"
            )
            metrics = store.get_output(job.uuid, load=False)["metrics"]["all"]
            print(f"  {metrics['decomposition_energy_mae']!r} eV/atom")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"peak memory {peak:.0f} MiB")


if __name__ == "__main__":
    main()
