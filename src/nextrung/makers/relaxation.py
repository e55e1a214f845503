"""Jobs that relax all materials of a study: plan, shards, merge."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from jobflow import Response

from nextrung.adapters.files.artifacts import artifact_path, store_artifact
from nextrung.adapters.files.frames import read_materials
from nextrung.adapters.files.relaxation_log import RelaxationLog, crash_marker
from nextrung.adapters.files.relaxation_table import (
    join_relaxations,
    read_outcomes,
    write_relaxations,
)
from nextrung.adapters.files.restart_file import RestartFile
from nextrung.checked_files import count_damaged
from nextrung.compute.relaxation import count_shards, count_statuses, cut_shards
from nextrung.makers.jobs.flow import make_flow
from nextrung.makers.jobs.models import relax_with
from nextrung.makers.jobs.stage_maker import StageMaker
from nextrung.makers.jobs.stored_documents import keep_shards
from nextrung.makers.jobs.task_job import (
    provenance,
    report_progress,
    task_job,
    work_folder,
)
from nextrung.potentials.relaxation.parallel import (
    relax_in_isolation,
    relax_in_processes,
)
from nextrung.potentials.relaxation.restart import Restarts
from nextrung.schemas.base import InputError
from nextrung.schemas.relaxation import (
    RelaxationDoc,
    RelaxationSettings,
    ShardDoc,
    ShardPlan,
)
from nextrung.schemas.study import StudyRelaxationSettings
from nextrung.settings import MachineSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jobflow import Flow

    from nextrung.potentials.relaxation.restart import RestartPoint
    from nextrung.schemas.base import Artifact
    from nextrung.schemas.dataset import DatasetDoc
    from nextrung.schemas.fine_tuning import FineTuningDoc
    from nextrung.schemas.frames import Frames
    from nextrung.schemas.relaxation import RelaxationRecord


class Throughput:
    """Progress and throughput of the relaxations of a shard.

    Parameters
    ----------
    n_structures : int
        Structures to relax.
    finished : iterable of RelaxationRecord
        Relaxations that were finished before.
    """

    def __init__(
        self, n_structures: int, finished: Iterable[RelaxationRecord] = ()
    ) -> None:
        failed = [record.failed for record in finished]
        self._n_structures = n_structures
        self._n_before = self._n_done = len(failed)
        self._n_failed = sum(failed)
        self._started = time.perf_counter()

    def add(self, record: RelaxationRecord) -> None:
        """Count a finished relaxation.

        Parameters
        ----------
        record : RelaxationRecord
            The relaxation.
        """
        self._n_done += 1
        self._n_failed += record.failed

    def report(self) -> None:
        """Report the number of finished relaxations and :meth:`describe`."""
        report_progress(self._n_done, self._n_structures, self.describe())

    def describe(self) -> str:
        """Format the numbers of failures and of structures left, and the throughput."""
        seconds = max(time.perf_counter() - self._started, 1e-9)
        rate = (self._n_done - self._n_before) / seconds
        left = self._n_structures - self._n_done
        return f"{self._n_failed:,} failed, {left:,} left, {rate:.3g} structures/s"


@dataclass(kw_only=True)
class ShardMaker(StageMaker):
    """Relax one shard of the materials; an interrupted job resumes.

    Parameters
    ----------
    name : str
        Name of the job.
    settings : RelaxationSettings
        Settings of each relaxation.
    """

    algorithm: ClassVar[int] = 1

    name: str = "relax shard"
    settings: RelaxationSettings = field(default_factory=RelaxationSettings)

    @task_job(output_schema=ShardDoc)
    def make(self, plan: ShardPlan) -> ShardDoc:
        """Relax the materials of one shard from their initial structures.

        Parameters
        ----------
        plan : ShardPlan
            Materials, model, and number of the shard.
        """
        initial = read_materials(artifact_path(plan.materials)).initial
        shard = initial[cut_shards(initial.n_atoms, plan.n_shards)[plan.shard]]
        names = shard.material_ids.tolist()
        header = _log_header(plan, self.settings, names)
        log = RelaxationLog(work_folder() / "relaxations.jsonl", header)
        restart_file = RestartFile(work_folder() / "restart.npz", header)
        self._relax(shard, plan, log=log, restart_file=restart_file)
        return ShardDoc(
            plan=plan,
            settings=self.settings,
            n_materials=len(shard),
            n_damaged=log.n_damaged + count_damaged(work_folder()),
            records=_store({name: log.finished[name] for name in names}),
            provenance=provenance(),
        )

    def _relax(
        self,
        shard: Frames,
        plan: ShardPlan,
        *,
        log: RelaxationLog,
        restart_file: RestartFile,
    ) -> None:
        """Relax the materials that are not in the log of this job yet.

        After an attempt that crashed, possibly because of one of the structures, all
        are relaxed in other processes, so that none can crash this one.
        """
        names = shard.material_ids.tolist()
        waiting = [i for i, name in enumerate(names) if name not in log.finished]
        waiting_names = [names[i] for i in waiting]
        throughput = Throughput(len(names), log.finished.values())
        throughput.report()

        def keep(index: int, record: RelaxationRecord) -> None:
            log.record(waiting_names[index], record)
            throughput.add(record)
            throughput.report()

        def save(points: Mapping[int, RestartPoint]) -> None:
            named = {waiting_names[index]: point for index, point in points.items()}
            restart_file.update(named, log.finished)

        points = enumerate(map(restart_file.points.get, waiting_names))
        restarts = Restarts({i: point for i, point in points if point}, save)
        structures = shard[waiting].to_structures()
        with crash_marker(work_folder() / "attempt") as crashed:
            relax_with(
                plan.checkpoint,
                structures,
                self.settings,
                on_record=keep,
                relaxer=relax_in_isolation if crashed else relax_in_processes,
                restarts=restarts,
            )


@dataclass(kw_only=True)
class MergeMaker(StageMaker):
    """Join the shards of one model; a missing material is an error.

    Parameters
    ----------
    name : str
        Name of the job.
    """

    algorithm: ClassVar[int] = 1

    name: str = "merge shards"

    @task_job(output_schema=RelaxationDoc)
    def make(self, shards: list[ShardDoc]) -> RelaxationDoc:
        """Join shards into one table in the order of the materials.

        Parameters
        ----------
        shards : list of ShardDoc
            All shards of the model.
        """
        _validate_same_plan(shards)
        plan = shards[0].plan
        initial = read_materials(artifact_path(plan.materials)).initial
        names = initial.material_ids.tolist()
        parts = [artifact_path(shard.records) for shard in shards]
        found = {
            outcome.material_id: outcome.record
            for part in parts
            for outcome in read_outcomes(part)
        }
        _validate_complete(names, found, shards)
        records = [found[name] for name in names]
        file = work_folder() / "relaxations.parquet"
        join_relaxations(parts, names, file)
        return RelaxationDoc(
            model=plan.model,
            settings=shards[0].settings,
            n_materials=len(records),
            n_failed=sum(record.failed for record in records),
            statuses=count_statuses(records),
            n_steps=sum(record.n_steps for record in records),
            relaxation_time=sum(shard.provenance.wall_time for shard in shards),
            n_damaged=sum(shard.n_damaged for shard in shards),
            records=store_artifact(file, "relaxations"),
            provenance=provenance(),
        )


@dataclass(kw_only=True)
class RelaxationMaker(StageMaker):
    """Plan the relaxations of all materials of a study with one model.

    Parameters
    ----------
    name : str
        Name of the job.
    settings : StudyRelaxationSettings
        Settings of each relaxation, and materials per shard: a relaxation of which
        shards are stored keeps its number of shards.
    """

    algorithm: ClassVar[int] = 1

    name: str = "plan relaxations"
    settings: StudyRelaxationSettings = field(default_factory=StudyRelaxationSettings)

    @task_job()
    def make(self, dataset: DatasetDoc, model: FineTuningDoc) -> Response[Flow]:
        """Replace this job by one job per shard and a job that merges them.

        Parameters
        ----------
        dataset : DatasetDoc
            The materials.
        model : FineTuningDoc
            The model to relax them with.
        """
        maker = ShardMaker(settings=self.settings.of_each)
        first = ShardPlan(
            model=model.model,
            checkpoint=model.checkpoint,
            materials=dataset.materials,
            shard=0,
            n_shards=_choose_shards(dataset.n_materials, self.settings),
            parents={
                "dataset": dataset.provenance.fingerprint,
                "model": model.provenance.fingerprint,
            },
        )
        n_shards = keep_shards(first, maker)
        shards = [
            maker.make(first.model_copy(update={"shard": shard, "n_shards": n_shards}))
            for shard in range(n_shards)
        ]
        for number, shard in enumerate(shards, start=1):
            shard.append_name(f" {number} of {n_shards} {model.model}")
        merge = MergeMaker().make([shard.output for shard in shards])
        merge.append_name(f" {model.model}")
        name = f"relax {model.model}"
        return Response(replace=make_flow([*shards, merge], merge.output, name))


def _choose_shards(n_materials: int, settings: StudyRelaxationSettings) -> int:
    """Choose the number of shards for the machine, or else for the study."""
    of_machine = MachineSettings().materials_per_shard
    return count_shards(n_materials, of_machine or settings.materials_per_shard)


def _log_header(
    plan: ShardPlan, settings: RelaxationSettings, names: list[str]
) -> dict[str, str]:
    """Return what identifies the relaxations of a shard, for the head of its log."""
    return {
        "model": plan.model,
        "checkpoint": plan.checkpoint.sha256,
        "materials": plan.materials.sha256,
        "shard": f"{plan.shard + 1} of {plan.n_shards}",
        "settings": settings.model_dump_json(),
        "ids": hashlib.sha256("\n".join(names).encode()).hexdigest(),
    }


def _validate_same_plan(shards: list[ShardDoc]) -> None:
    """Raise where shards are of different models, materials or settings."""
    first = shards[0]
    for shard in shards[1:]:
        plan = shard.plan.model_copy(update={"shard": first.plan.shard})
        if (shard.settings, plan) != (first.settings, first.plan):
            raise InputError(
                f"expected shards of one relaxation, got shard {shard.plan.shard + 1} "
                f"of {shard.plan.model} beside shard {first.plan.shard + 1} of "
                f"{first.plan.model}"
            )


def _validate_complete(
    names: list[str], found: Mapping[str, RelaxationRecord], shards: list[ShardDoc]
) -> None:
    """Raise where the shards lack materials, and name them."""
    missing = [name for name in names if name not in found]
    if not missing:
        return
    there = {shard.plan.shard for shard in shards}
    absent = [n + 1 for n in range(shards[0].plan.n_shards) if n not in there]
    where = f"; shards {', '.join(map(str, absent))} are absent" if absent else ""
    raise InputError(
        f"expected relaxations of {len(names)} materials, got none of "
        f"{', '.join(missing[:5])} ({len(missing)} missing{where})"
    )


def _store(records: Mapping[str, RelaxationRecord]) -> Artifact:
    """Store relaxations as an artifact."""
    file = work_folder() / "relaxations.parquet"
    write_relaxations(file, records)
    return store_artifact(file, "relaxations")
