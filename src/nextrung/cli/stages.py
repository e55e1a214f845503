"""Stages as jobs of a run folder, for commands that are given ``--root``."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

from jobflow import Flow

from nextrung.adapters.files.artifacts import artifact_path, store_artifact
from nextrung.adapters.files.frames import write_frames
from nextrung.adapters.files.relaxation_table import read_relaxations
from nextrung.cli.inputs import validate_potential
from nextrung.cli.running import (
    console,
    describe_counts,
    describe_files,
    open_run,
    run_flow,
)
from nextrung.makers.atom_refs import AtomRefMaker
from nextrung.makers.dataset import DatasetMaker, FramesFileMaker
from nextrung.makers.density import DensityMaker
from nextrung.makers.evaluation import EvaluationMaker
from nextrung.makers.fine_tuning import FineTuningMaker, SourceMaker
from nextrung.makers.physics import PhysicsMaker
from nextrung.makers.relaxation import RelaxationMaker
from nextrung.schemas.atom_refs import AtomRefDoc, AtomRefSettings
from nextrung.schemas.base import InputError
from nextrung.schemas.dataset import DatasetDoc
from nextrung.schemas.density import DensityDoc
from nextrung.schemas.evaluation import EvaluationDoc
from nextrung.schemas.fine_tuning import FineTuningDoc
from nextrung.schemas.frames import Frames
from nextrung.schemas.models import RECIPES, Model, Rereference
from nextrung.schemas.physics import PhysicsDoc
from nextrung.schemas.relaxation import RelaxationDoc
from nextrung.schemas.study import StudyRelaxationSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobflow import Job
    from pymatgen.core import Structure

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.dataset import DatasetSettings
    from nextrung.schemas.density import DensitySettings
    from nextrung.schemas.evaluation import EvaluationSettings
    from nextrung.schemas.fine_tuning import FineTuningSettings
    from nextrung.schemas.physics import PhysicsSettings
    from nextrung.schemas.relaxation import RelaxationRecord, RelaxationSettings

_Doc = TypeVar("_Doc", bound="TaskDoc")


class StageRun:
    """Stages run as jobs in a run folder."""

    def __init__(self, root: Path, potential: str) -> None:
        validate_potential(potential)
        self.store = open_run(root, root.name)
        self.source = _load(potential)

    def evaluate(
        self, labels: Path | DatasetSettings, settings: EvaluationSettings
    ) -> EvaluationDoc:
        """Score the potential on labelled frames."""
        dataset = (
            read_frames_file(labels)
            if isinstance(labels, Path)
            else DatasetMaker(settings=labels).make()
        )
        job = EvaluationMaker(settings=settings).make(
            dataset.output, self.source.output
        )
        scored = self._run([dataset, self.source, job], EvaluationDoc)
        read = DatasetDoc.model_validate(self.store.get_output(dataset.uuid))
        describe_files(read.files)
        describe_counts(read.n_seen, read.n_frames, read.n_rejected)
        return scored

    def relax(
        self, structures: Mapping[str, Structure], settings: RelaxationSettings
    ) -> dict[str, RelaxationRecord]:
        """Relax structures in shards, each by the worker processes of this machine."""
        frames = Frames.from_structures([*structures.values()], [*structures])
        with TemporaryDirectory() as folder:
            file = Path(folder) / "frames.parquet"
            write_frames(frames, file)
            path = artifact_path(store_artifact(file, "frames"))
        dataset = read_frames_file(path)
        shards = StudyRelaxationSettings.model_validate(settings.model_dump())
        job = RelaxationMaker(settings=shards).make(dataset.output, self.source.output)
        done = self._run([dataset, self.source, job], RelaxationDoc)
        return read_relaxations(artifact_path(done.records))

    def score_densities(self, settings: DensitySettings) -> DensityDoc:
        """Compare densities with experiment."""
        job = DensityMaker(settings=settings).make(self.source.output)
        return self._run([self.source, job], DensityDoc)

    def test_physics(self, settings: PhysicsSettings, source: str | None) -> PhysicsDoc:
        """Test the potential energy surface, and its deviation from a source."""
        jobs = [self.source]
        if source is not None:
            jobs.append(_load(source))
        maker = PhysicsMaker(settings=settings)
        output = jobs[-1].output if source is not None else None
        job = maker.make(self.source.output, source=output)
        return self._run([*jobs, job], PhysicsDoc)

    def fit_atom_refs(self, frames_file: Path, settings: AtomRefSettings) -> AtomRefDoc:
        """Fit atomic reference energies."""
        dataset = read_frames_file(frames_file)
        job = self._fit(dataset, settings)
        return self._run([dataset, self.source, job], AtomRefDoc)

    def fine_tune(
        self, frames_file: Path, method: Model, settings: FineTuningSettings
    ) -> FineTuningDoc:
        """Re-reference and train the potential."""
        dataset = read_frames_file(frames_file)
        jobs = [dataset, self.source]
        references = None
        if (kind := RECIPES[method].rereference) is not Rereference.NONE:
            jobs.append(self._fit(dataset, AtomRefSettings(kind=kind)))
            references = jobs[-1].output
        maker = FineTuningMaker(model=method, settings=settings)
        job = maker.make(dataset.output, self.source.output, references)
        return self._run([*jobs, job], FineTuningDoc)

    def _fit(self, dataset: Job, settings: AtomRefSettings) -> Job:
        """Make the job that fits references."""
        maker = AtomRefMaker(settings=settings)
        return maker.make(dataset.output, self.source.output)

    def _run(self, jobs: list[Job], schema: type[_Doc]) -> _Doc:
        """Run jobs; return the document of the last one."""
        run_flow(Flow(jobs), self.store)
        console.print(f"job: {jobs[-1].uuid}", soft_wrap=True)
        return schema.model_validate(self.store.get_output(jobs[-1].uuid, load=True))


def _load(potential: str) -> Job:
    """Make the job that stores a potential."""
    file = Path(potential)
    name = str(file.resolve()) if file.is_file() else potential
    return SourceMaker(potential=name).make()


def read_frames_file(path: Path) -> Job:
    """Make the job that takes a frames file as a data set."""
    if not path.is_file():
        raise InputError(f"expected a frames file, got no {path}")
    return FramesFileMaker(path=str(path.resolve())).make()
