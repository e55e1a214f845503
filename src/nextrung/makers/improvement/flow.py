"""Flow of the improvement loop, which grows by one round at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from jobflow import CURRENT_JOB, JobOrder, OnMissing, Response

from nextrung.adapters.stores.job_store import find_finished
from nextrung.makers.atom_refs import AtomRefMaker
from nextrung.makers.dataset import DatasetMaker
from nextrung.makers.evaluation import EvaluationMaker
from nextrung.makers.fine_tuning import FineTuningMaker, ReReferenceMaker, SourceMaker
from nextrung.makers.improvement.labels import (
    LabelAdditionMaker,
    make_calculations,
    store_structures,
)
from nextrung.makers.improvement.pool import PoolMaker
from nextrung.makers.improvement.rounds import RoundMaker
from nextrung.makers.jobs.flow import make_flow
from nextrung.makers.jobs.stage_maker import RecordMaker, StageMaker
from nextrung.makers.jobs.task_job import task_job
from nextrung.schemas.atom_refs import AtomRefSettings
from nextrung.schemas.evaluation import EvaluationSettings
from nextrung.schemas.improvement import (
    ImprovementDoc,
    ImprovementSettings,
    LabelAdditionSettings,
    PotentialLabels,
)
from nextrung.schemas.models import Model, Rereference, Trained, find_recipe
from nextrung.schemas.study import StudySettings

if TYPE_CHECKING:
    from collections.abc import Collection

    from jobflow import Flow, Job

    from nextrung.schemas.base import Artifact
    from nextrung.schemas.dataset import DatasetDoc
    from nextrung.schemas.fine_tuning import FineTuningDoc
    from nextrung.schemas.improvement import GpawLabels, PoolDoc, VaspLabels


@dataclass(kw_only=True)
class RoundPlanMaker(StageMaker):
    """Plan the next round of a loop, unless it has ended.

    Parameters
    ----------
    name : str
        Name of the job.
    settings : ImprovementSettings
        Settings of the loop.
    study : StudySettings
        The study.
    """

    algorithm: ClassVar[int] = 1

    name: str = "plan round"
    settings: ImprovementSettings = field(default_factory=ImprovementSettings)
    study: StudySettings = field(default_factory=lambda: StudySettings(name="study"))

    @task_job(load=False)
    def make(
        self,
        improvement: ImprovementDoc,
        dataset: DatasetDoc,
        *,
        source: FineTuningDoc,
        pool: PoolDoc,
    ) -> Response[Flow] | ImprovementDoc:
        """Replace this job by the jobs of the next round, the plan after it included.

        Parameters
        ----------
        improvement : ImprovementDoc
            Rounds so far.
        dataset : DatasetDoc
            Data set of the last of them.
        source : FineTuningDoc
            The source potential.
        pool : PoolDoc
            Structures that can be chosen.

        Returns
        -------
        Response or ImprovementDoc
            The next round; the rounds where the loop has ended.
        """
        if improvement.batch is None:
            return improvement
        number = len(improvement.rounds)
        engine = self.settings.engine
        files = store_structures(engine, improvement.batch)
        uuids: dict[str, str] = {}
        if not isinstance(engine, PotentialLabels):
            uuids = {name: _name_job(engine, file) for name, file in files.items()}
        addition = LabelAdditionMaker(
            settings=LabelAdditionSettings(engine=engine, dataset=self.study.dataset)
        ).make(dataset, improvement.batch, uuids)
        addition.name += f" of round {number}"
        # a calculation that failed is a row, and does not end the loop
        addition.config.on_missing_references = OnMissing.NONE
        builder = RoundBuilder(self.settings, self.study, source, pool)
        scored = builder.make(addition.output, improvement, number)
        grown = make_flow([addition, *scored], scored[-1].output, f"round {number}")
        if isinstance(engine, PotentialLabels):
            return Response(replace=grown)
        missing = _find_missing([addition.uuid, *uuids.values()])
        waiting = {uuids[name]: name for name in files if uuids[name] in missing}
        if not waiting or addition.uuid not in missing:
            return Response(replace=grown)
        materials = {
            each.frame_id: each.material_id for each in improvement.rounds[-1].chosen
        }
        calculations = make_calculations(
            engine, {name: files[name] for name in waiting.values()}, materials
        )
        both = [calculations, grown]
        return Response(
            replace=make_flow(both, grown.output, grown.name, order=JobOrder.LINEAR)
        )


@dataclass(kw_only=True)
class ImprovementMaker(RecordMaker):
    """Label structures of a pool in rounds, until a target error is reached.

    Parameters
    ----------
    name : str
        Name of the flow.
    settings : ImprovementSettings
        Settings of the loop.
    study : StudySettings
        The study: data set, source, recipes and training.
    """

    name: str = "improve"
    settings: ImprovementSettings = field(default_factory=ImprovementSettings)
    study: StudySettings = field(default_factory=lambda: StudySettings(name="study"))

    def make(self, pool: Artifact) -> Flow:
        """Make the jobs of round 0 and the plan of all others.

        Parameters
        ----------
        pool : Artifact
            Structures to choose from, Parquet.

        Returns
        -------
        Flow
            Its output is the last :class:`.ImprovementDoc`.
        """
        dataset = DatasetMaker(settings=self.study.dataset).make()
        dataset.update_metadata({"part": "dataset"})
        source = SourceMaker(potential=self.study.source).make()
        source.update_metadata({"part": f"fine_tuning/{Model.SOURCE}"})
        candidates = PoolMaker(settings=self.study.dataset.split).make(
            pool, dataset.output
        )
        builder = RoundBuilder(
            self.settings, self.study, source.output, candidates.output
        )
        scored = builder.make(dataset.output)
        jobs = [dataset, source, candidates, *scored]
        flow = make_flow(jobs, scored[-1].output, f"{self.name} {self.study.name}")
        flow.update_metadata({"study": self.study.name}, dynamic=True)
        return flow


@dataclass(frozen=True)
class RoundBuilder:
    """Jobs of a round.

    Parameters
    ----------
    settings : ImprovementSettings
        Settings of the loop.
    study : StudySettings
        The study.
    source : FineTuningDoc
        The source potential, or a reference to it.
    pool : PoolDoc
        Structures that can be chosen, or a reference to them.
    """

    settings: ImprovementSettings
    study: StudySettings
    source: FineTuningDoc
    pool: PoolDoc

    def make(
        self,
        dataset: DatasetDoc,
        previous: ImprovementDoc | None = None,
        number: int = 0,
    ) -> list[Job]:
        """Make references, trainings, errors, choice and the plan of the next round.

        Parameters
        ----------
        dataset : DatasetDoc
            Data set of the round, or a reference to it.
        previous : ImprovementDoc, optional
            Rounds so far.
        number : int
            Number of the round.

        Returns
        -------
        list of Job
            Jobs, the plan of the next round last.
        """
        fits = self._fit(dataset)
        references = fits[0].output if fits else None
        models = [
            maker.make(dataset, self.source, references)
            for maker in self._list_members()
        ]
        scored = EvaluationSettings(splits=(self.settings.split,))
        evaluations = [
            EvaluationMaker(settings=scored).make(dataset, model.output)
            for model in models
        ]
        choice = RoundMaker(study=self.study.name, settings=self.settings).make(
            self.pool,
            dataset,
            models=[model.output for model in models],
            evaluations=[evaluation.output for evaluation in evaluations],
            previous=previous,
        )
        plan = RoundPlanMaker(settings=self.settings, study=self.study).make(
            choice.output, dataset, source=self.source, pool=self.pool
        )
        for jobs in (models, evaluations):
            for member, job in enumerate(jobs, start=1):
                job.name += f" {self.settings.model} {member} of {len(jobs)}"
        for job in (*fits, *models, *evaluations):
            job.name += f" of round {number}"
        for job in (choice, plan):
            job.name += f" {number}"
        return [*fits, *models, *evaluations, choice, plan]

    def _fit(self, dataset: DatasetDoc) -> list[Job]:
        """Make the job that fits the references, where the recipe moves them."""
        kind = find_recipe(self.settings.model).rereference
        if kind is Rereference.NONE:
            return []
        maker = AtomRefMaker(settings=AtomRefSettings(kind=kind))
        return [maker.make(dataset, self.source)]

    def _list_members(self) -> list[StageMaker]:
        """List the Makers of the committee: one per seed, or one without training."""
        model = self.settings.model
        if find_recipe(model).trained is Trained.NOTHING:
            return [ReReferenceMaker(model=model)]
        return [
            FineTuningMaker(
                model=model,
                settings=self.study.training.model_copy(update={"seed": seed}),
            )
            for seed in self.settings.seeds
        ]


def _name_job(engine: GpawLabels | VaspLabels, file: Artifact) -> str:
    """Return the uuid of the calculation of a structure."""
    (uuid,) = make_calculations(engine, {"structure": file}).job_uuids
    return str(uuid)


def _find_missing(uuids: Collection[str]) -> set[str]:
    """Find the jobs that have stored no document."""
    return set(uuids) - find_finished(CURRENT_JOB.store, uuids).keys()
