"""Flow of a whole study, and the job that summarises its results."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from jobflow import Job

from nextrung.adapters.files.artifacts import artifact_path
from nextrung.adapters.files.frames import read_rejections
from nextrung.makers.alignment import AlignmentMaker
from nextrung.makers.atom_refs import AtomRefMaker
from nextrung.makers.dataset import DatasetMaker
from nextrung.makers.density import DensityMaker
from nextrung.makers.evaluation import EvaluationMaker
from nextrung.makers.fine_tuning import FineTuningMaker, ReReferenceMaker, SourceMaker
from nextrung.makers.jobs.flow import make_flow
from nextrung.makers.jobs.stage_maker import RecordMaker, StageMaker
from nextrung.makers.jobs.task_job import provenance, task_job
from nextrung.makers.physics import PhysicsMaker
from nextrung.makers.relaxation import RelaxationMaker
from nextrung.makers.repeats import Repeat, list_repeats, summarise_comparison
from nextrung.makers.scaling_law import ScalingLawMaker
from nextrung.makers.stability import StabilityMaker
from nextrung.schemas.atom_refs import AtomRefSettings
from nextrung.schemas.base import Record
from nextrung.schemas.density import DensityErrors
from nextrung.schemas.labels.curation import Rejection, Rule
from nextrung.schemas.models import RECIPES, Model, Rereference, Trained
from nextrung.schemas.physics import PhysicsSummary
from nextrung.schemas.study import (
    AlignmentSummary,
    DatasetSummary,
    ModelSummary,
    StabilitySummary,
    StudyDoc,
    StudyResults,
    StudySettings,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobflow import Flow

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.dataset import DatasetDoc
    from nextrung.schemas.fine_tuning import FineTuningSettings
    from nextrung.schemas.scaling_law import ScalingLawSettings
    from nextrung.schemas.stability import StabilityDoc

#: Largest number of rejections in the results; the data set lists all.
MAX_LISTED_REJECTIONS = 1000

#: Kinds of atomic references that are fitted to labels.
FITTED = (Rereference.REFIT, Rereference.RESIDUAL)

_Summary = TypeVar("_Summary", bound=Record)


@dataclass(kw_only=True)
class SummaryMaker(StageMaker):
    """Summarise the results of all stages in one document.

    Parameters
    ----------
    name : str
        Name of the job.
    settings : StudySettings
        Settings of the whole study.
    """

    algorithm: ClassVar[int] = 1

    name: str = "gather results"
    settings: StudySettings = field(default_factory=lambda: StudySettings(name="study"))

    @task_job(output_schema=StudyDoc, load=False)
    def make(self, parts: dict[str, TaskDoc], jobs: dict[str, str]) -> StudyDoc:
        """Summarise the documents of a study.

        Parameters
        ----------
        parts : dict of str to TaskDoc
            Document of each stage, by ``stage`` or ``stage/model``.
        jobs : dict of str to str
            Job uuid of each document, by the same names.
        """
        dataset: Any = parts["dataset"]
        scaling: Any = parts.get("scaling_law")
        alignment: Any = parts.get("alignment")
        return StudyDoc(
            settings=self.settings,
            results=StudyResults(
                study=self.settings.name,
                labels=dataset.labels,
                source=self.settings.source,
                dataset=_summarise_dataset(dataset),
                models={
                    model.value: _summarise_model(model, parts)
                    for model in self.settings.models
                },
                alignment=alignment and _summarise(AlignmentSummary, alignment),
                scaling_law=scaling and scaling.laws,
                jobs=jobs,
                **summarise_comparison(self.settings, parts, jobs),
            ),
            provenance=provenance(),
        )


@dataclass
class StudyMaker(RecordMaker):
    """Make the flow of all stages of a study.

    Parameters
    ----------
    settings : StudySettings
        Settings of the study.
    name : str
        Name of the flow; the study's own by default.
    """

    settings: StudySettings
    name: str = field(default="", kw_only=True)

    def make(self) -> Flow:
        """Build the flow.

        Returns
        -------
        Flow
            Its output is the :class:`.StudyDoc`; the metadata of every job hold the
            name of the study and of its part.
        """
        built = _StudyFlowBuilder(self.settings)
        outputs = {name: part.output for name, part in built.parts.items()}
        uuids = {name: _output_uuid(part) for name, part in built.parts.items()}
        for name, part in built.parts.items():
            part.update_metadata({"part": name}, dynamic=True)
        summary = SummaryMaker(settings=self.settings).make(outputs, uuids)
        summary.update_metadata({"part": "study"})
        jobs = [*built.parts.values(), summary]
        flow = make_flow(jobs, summary.output, self.name or self.settings.name)
        flow.update_metadata({"study": self.settings.name}, dynamic=True)
        return flow


class _StudyFlowBuilder:
    """Jobs and flows of a study, by the names of their documents."""

    def __init__(self, settings: StudySettings) -> None:
        self.settings = settings
        self.parts: dict[str, Job | Flow] = {}
        self.dataset = self._add("dataset", DatasetMaker(settings=settings.dataset))
        self.source = self._add(
            f"fine_tuning/{Model.SOURCE}", SourceMaker(potential=settings.source)
        )
        self.atom_refs = self._fit_atom_refs(self.dataset)
        if settings.alignment:
            self._add(
                "alignment",
                AlignmentMaker(settings=settings.alignment),
                self.dataset,
                self.source,
                {kind.value: self.atom_refs[kind] for kind in FITTED},
            )
        for model in settings.models:
            self._score(model, self._model(model))
        if settings.scaling_law:
            self._scale(settings.scaling_law)
        self.splits = {settings.dataset.split.seed: (self.dataset, self.atom_refs)}
        for split in settings.split_seeds[1:]:
            self.splits[split] = self._split(split)
        for model in settings.models:
            for repeat in list_repeats(model, settings):
                if not repeat.first:
                    self._repeat(model, repeat)

    def _add(self, part: str, maker: Any, *inputs: Any, **named: Any) -> Any:  # noqa: ANN401 - jobflow references are untyped
        """Add a job or flow under the name of its document; return its output."""
        made = maker.make(*inputs, **named)
        _, *names = part.split("/")
        made.name = " ".join([made.name, *names])
        self.parts[part] = made
        return made.output

    def _fit_atom_refs(self, dataset: Any, suffix: str = "") -> dict[Rereference, Any]:  # noqa: ANN401 - a reference
        """Add the fits of the reference energies to the labels of a split."""
        return {Rereference.NONE: None} | {
            kind: self._add(
                f"atom_refs/{kind}{suffix}",
                AtomRefMaker(settings=AtomRefSettings(kind=kind)),
                dataset,
                self.source,
            )
            for kind in FITTED
        }

    def _split(self, seed: int) -> tuple[Any, dict[Rereference, Any]]:
        """Add another split of the data, and the references fitted to it."""
        settings = self.settings.dataset
        split = settings.split.model_copy(update={"seed": seed})
        maker = DatasetMaker(settings=settings.model_copy(update={"split": split}))
        dataset = self._add(f"dataset/split={seed}", maker)
        return dataset, self._fit_atom_refs(dataset, f"/split={seed}")

    def _model(self, model: Model) -> Any:  # noqa: ANN401 - an untyped reference
        """Add a model of the study once; return the reference to its document."""
        part = f"fine_tuning/{model}"
        if part in self.parts:
            return self.parts[part].output
        data = (self.dataset, self.atom_refs)
        return self._make(part, model, data=data, training=self.settings.training)

    def _make(
        self,
        part: str,
        model: Model,
        *,
        data: tuple[Any, dict[Rereference, Any]],
        training: FineTuningSettings,
    ) -> Any:  # noqa: ANN401 - an untyped reference
        """Add the job that makes a model from a split of the data."""
        recipe, (dataset, atom_refs) = RECIPES[model], data
        maker: StageMaker = ReReferenceMaker(model=model)
        if recipe.trained is not Trained.NOTHING:
            maker = FineTuningMaker(model=model, settings=training)
        references = atom_refs[recipe.rereference]
        return self._add(part, maker, dataset, self.source, references)

    def _repeat(self, model: Model, repeat: Repeat) -> None:
        """Add one model on another seed or split, and its benchmarks."""
        data, made = self.splits[repeat.split], self.source
        if model is not Model.SOURCE:
            seed = {} if repeat.seed is None else {"seed": repeat.seed}
            training = self.settings.training.model_copy(update=seed)
            part = repeat.name(f"fine_tuning/{model}")
            made = self._make(part, model, data=data, training=training)
        self._evaluate(repeat.name(f"evaluation/{model}"), data[0], made)
        if self.settings.repeats.relaxation:
            self._relax(repeat.name(f"relaxation/{model}"), data[0], made)

    def _score(self, model: Model, made: Any) -> None:  # noqa: ANN401 - a reference
        """Add every benchmark of one model."""
        settings = self.settings
        self._evaluate(f"evaluation/{model}", self.dataset, made)
        relaxed = self._relax(f"relaxation/{model}", self.dataset, made)
        if settings.density:
            self._add(f"density/{model}", DensityMaker(settings=settings.density), made)
        if settings.physics:
            self._add(
                f"physics/{model}",
                PhysicsMaker(settings=settings.physics),
                made,
                source=self.source,
                dataset=relaxed and self.dataset,
                relaxation=relaxed,
            )

    def _evaluate(self, part: str, dataset: Any, made: Any) -> None:  # noqa: ANN401 - references
        """Add the errors of a model on a split of the data."""
        maker = EvaluationMaker(settings=self.settings.evaluation)
        self._add(part, maker, dataset, made)

    def _relax(self, part: str, dataset: Any, made: Any) -> Any:  # noqa: ANN401 - references
        """Add the relaxations of a model and its decomposition energies, if wanted."""
        if not self.settings.relaxation:
            return None
        maker = RelaxationMaker(settings=self.settings.relaxation)
        relaxed = self._add(part, maker, dataset, made)
        if self.settings.stability:
            self._add(
                part.replace("relaxation", "stability", 1),
                StabilityMaker(settings=self.settings.stability),
                dataset,
                relaxed,
            )
        return relaxed

    def _scale(self, settings: ScalingLawSettings) -> None:
        """Add the trainings on subsets and their fit."""
        self._add(
            "scaling_law",
            ScalingLawMaker(settings=settings, training=self.settings.training),
            self.dataset,
            self.source,
            self.atom_refs,
            untrained=self._model(Model.SOURCE_REFIT),
        )


def _output_uuid(part: Job | Flow) -> str:
    """Return the uuid of the job that makes the output of a part."""
    uuid: str = part.uuid if isinstance(part, Job) else part.output.uuid
    return uuid


def _summarise(kind: type[_Summary], doc: TaskDoc, **computed: object) -> _Summary:
    """Copy the fields of a summary from a document, but for those that are given."""
    copied = {name: getattr(doc, name) for name in kind.model_fields.keys() - computed}
    return kind(**copied, **computed)


def _summarise_dataset(dataset: DatasetDoc) -> DatasetSummary:
    """Summarise a data set, with the first rejections other than duplicates."""
    listed = (
        rejection
        for rejection in read_rejections(artifact_path(dataset.rejections))
        if rejection.rule is not Rule.DUPLICATE
    )
    return _summarise(
        DatasetSummary,
        dataset,
        n_rejected={rule.value: count for rule, count in dataset.n_rejected.items()},
        rejections=list[Rejection](islice(listed, MAX_LISTED_REJECTIONS)),
    )


def _summarise_model(model: Model, parts: Mapping[str, Any]) -> ModelSummary:
    """Summarise the scores of one model."""
    made = parts[f"fine_tuning/{model}"]
    density = parts.get(f"density/{model}")
    physics = parts.get(f"physics/{model}")
    return _summarise(
        ModelSummary,
        made,
        metrics=parts[f"evaluation/{model}"].metrics,
        stability=_summarise_stability(parts.get(f"stability/{model}")),
        density=density and _summarise(DensityErrors, density),
        physics=physics and _summarise(PhysicsSummary, physics),
        checkpoint=made.checkpoint.path,
        checkpoint_sha256=made.checkpoint.sha256,
    )


def _summarise_stability(doc: StabilityDoc | None) -> StabilitySummary | None:
    """Summarise a stability document by the errors of Table 1 of the paper."""
    if doc is None:
        return None
    every, test = doc.metrics["all"], doc.metrics.get("test")
    return _summarise(
        StabilitySummary,
        doc,
        competitors=doc.settings.competitors,
        decomposition_energy_mae=test and test.decomposition_energy_mae,
        decomposition_energy_mae_all=every.decomposition_energy_mae,
        formation_energy_mae=every.formation_energy_mae,
        formation_energy_mae_test=test and test.formation_energy_mae,
        formation_energy_mae_target_references=every.formation_energy_mae_target_references,
        decomposition_energy_mae_compounds=test
        and test.decomposition_energy_mae_compounds,
        decomposition_energy_baseline_mae=test
        and test.decomposition_energy_baseline_mae,
        formation_energy_baseline_mae=every.formation_energy_baseline_mae,
        f1=every.f1,
    )
