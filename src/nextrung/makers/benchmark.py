"""Jobs that compare properties predicted by potentials with experiment."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from nextrung.adapters.files.artifacts import hash_file
from nextrung.adapters.files.crystals.benchmark_facts import (
    digest_benchmark,
    read_benchmark,
)
from nextrung.compute.benchmark import score_properties
from nextrung.makers.evaluation import score_frames
from nextrung.makers.jobs.flow import make_flow
from nextrung.makers.jobs.models import open_frames
from nextrung.makers.jobs.stage_maker import StageMaker
from nextrung.makers.jobs.task_job import provenance, report_progress, task_job
from nextrung.potentials.benchmark import run_benchmark
from nextrung.potentials.registry import find_files, load_potential
from nextrung.schemas.benchmark import BenchmarkDoc, BenchmarkSettings
from nextrung.schemas.evaluation import EvaluationSettings
from nextrung.settings import MachineSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobflow import Job

    from nextrung.makers.jobs.flow import TaskFlow
    from nextrung.schemas.dataset import DatasetDoc

#: Study that the jobs of benchmarks belong to, and name of the flow.
NAME = "benchmark"


@dataclass(kw_only=True)
class BenchmarkMaker(StageMaker):
    """Compare the properties that one potential predicts with experiment.

    Parameters
    ----------
    name : str
        Name of the job.
    potential : str
        Name of a potential, or a checkpoint file.
    settings : BenchmarkSettings
        Properties, crystals and relaxation.
    """

    algorithm: ClassVar[int] = 1

    name: str = "benchmark"
    potential: str = "chgnet-r2scan"
    settings: BenchmarkSettings = field(default_factory=BenchmarkSettings)

    def digest_files(self) -> str:
        """Hash the files of the potential, and the facts."""
        files = map(hash_file, find_files(self.potential))
        return " ".join([*files, digest_benchmark()])

    @task_job(output_schema=BenchmarkDoc, data="rows")
    def make(self, dataset: DatasetDoc | None = None) -> BenchmarkDoc:
        """Score the potential.

        Parameters
        ----------
        dataset : DatasetDoc, optional
            Labelled frames to score besides, all together whatever their split.
        """
        potential = load_potential(self.potential, MachineSettings().device)
        rows = run_benchmark(
            potential,
            read_benchmark(self.settings),
            self.settings,
            on_structure=report_progress,
        )
        frames = None
        if dataset is not None:
            everything = EvaluationSettings(splits=("all",))
            frames, _, _ = score_frames(open_frames(dataset), potential, everything)
        return BenchmarkDoc(
            model=self.potential,
            labels=potential.functional,
            settings=self.settings,
            properties=score_properties(rows),
            rows=rows,
            frames=frames,
            frame_labels=dataset and dataset.labels,
            provenance=provenance(),
        )


def make_benchmark_flow(
    potentials: Sequence[str],
    settings: BenchmarkSettings,
    dataset: Job | None = None,
) -> TaskFlow:
    """Make one job per potential.

    Parameters
    ----------
    potentials : sequence of str
        Names of potentials, or checkpoint files.
    settings : BenchmarkSettings
        Properties, crystals and relaxation.
    dataset : Job, optional
        Job of a data set, whose frames are scored besides.

    Returns
    -------
    TaskFlow
        The job of the data set, if any, and those of the potentials in their order;
        their rows are in the collection ``benchmarks`` under the study ``benchmark``.
    """
    jobs: list[Job] = []
    for potential in potentials:
        maker = BenchmarkMaker(potential=potential, settings=settings)
        job = maker.make(None if dataset is None else dataset.output)
        file = Path(potential)
        job.append_name(f" {file.name if file.is_absolute() else potential}")
        job.update_metadata({"part": f"{NAME}/{potential}"})
        jobs.append(job)
    outputs = [job.output for job in jobs]
    if dataset is not None:
        dataset.update_metadata({"part": "dataset"})
    flow = make_flow([*([] if dataset is None else [dataset]), *jobs], outputs, NAME)
    flow.update_metadata({"study": NAME}, dynamic=True)
    return flow
