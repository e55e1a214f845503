"""Flow of a whole study."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobflow import Job

from nextrung.makers.alignment import AlignmentMaker
from nextrung.makers.atom_refs import AtomRefMaker
from nextrung.makers.dataset import DatasetMaker
from nextrung.makers.density import DensityMaker
from nextrung.makers.evaluation import EvaluationMaker
from nextrung.makers.fine_tuning import (
    FineTuningMaker,
    FinishedMaker,
    ReReferenceMaker,
    SourceMaker,
)
from nextrung.makers.jobs.flow import make_flow
from nextrung.makers.jobs.stage_maker import RecordMaker, StageMaker
from nextrung.makers.physics import PhysicsMaker
from nextrung.makers.relaxation import RelaxationMaker
from nextrung.makers.repeats import Repeat, list_repeats
from nextrung.makers.scaling_law import ScalingLawMaker
from nextrung.makers.stability import StabilityMaker
from nextrung.makers.summary import SummaryMaker
from nextrung.schemas.atom_refs import AtomRefSettings
from nextrung.schemas.models import (
    Model,
    NamedRecipe,
    Rereference,
    Trained,
    find_recipe,
)
from nextrung.schemas.study import StudySettings

if TYPE_CHECKING:
    from jobflow import Flow

    from nextrung.schemas.fine_tuning import FineTuningSettings
    from nextrung.schemas.scaling_law import ScalingLawSettings

#: Kinds of atomic references that are fitted to labels.
FITTED = (Rereference.REFIT, Rereference.RESIDUAL)


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
            self._score(str(model), self._model(model), source=self.source)
        self.unchanged = {Model.SOURCE.value: self.source}
        for name, potential in settings.finished_names.items():
            maker = FinishedMaker(potential=potential, model=name)
            self.unchanged[name] = self._add(f"fine_tuning/{name}", maker)
            self._score(name, self.unchanged[name])
        if settings.scaling_law:
            self._scale(settings.scaling_law)
        self.splits = {settings.dataset.split.seed: (self.dataset, self.atom_refs)}
        for split in settings.split_seeds[1:]:
            self.splits[split] = self._split(split)
        models = {str(model): model for model in settings.models}
        for name in (*models, *settings.finished_names):
            for repeat in list_repeats(name, settings):
                if not repeat.first:
                    self._repeat(name, models.get(name), repeat)

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
                AtomRefMaker(settings=self._choose_references(kind)),
                dataset,
                self.source,
            )
            for kind in FITTED
        }

    def _choose_references(self, kind: Rereference) -> AtomRefSettings:
        """Choose the settings of a fit; least squares have no prior."""
        if kind is not Rereference.RESIDUAL:
            return AtomRefSettings(kind=kind)
        unseen = self.settings.unseen_elements
        return AtomRefSettings(kind=kind, unseen_elements=unseen)

    def _split(self, seed: int) -> tuple[Any, dict[Rereference, Any]]:
        """Add another split of the data, and the references fitted to it."""
        settings = self.settings.dataset
        split = settings.split.model_copy(update={"seed": seed})
        maker = DatasetMaker(settings=settings.model_copy(update={"split": split}))
        dataset = self._add(f"dataset/split={seed}", maker)
        return dataset, self._fit_atom_refs(dataset, f"/split={seed}")

    def _model(self, model: Model | NamedRecipe) -> Any:  # noqa: ANN401 - an untyped reference
        """Add a model of the study once; return the reference to its document."""
        part = f"fine_tuning/{model}"
        if part in self.parts:
            return self.parts[part].output
        data = (self.dataset, self.atom_refs)
        return self._make(part, model, data=data, training=self.settings.training)

    def _make(
        self,
        part: str,
        model: Model | NamedRecipe,
        *,
        data: tuple[Any, dict[Rereference, Any]],
        training: FineTuningSettings,
    ) -> Any:  # noqa: ANN401 - an untyped reference
        """Add the job that makes a model from a split of the data."""
        recipe, (dataset, atom_refs) = find_recipe(model), data
        maker: StageMaker = ReReferenceMaker(model=model)
        if recipe.trained is not Trained.NOTHING:
            maker = FineTuningMaker(model=model, settings=training)
        references = atom_refs[recipe.rereference]
        return self._add(part, maker, dataset, self.source, references)

    def _repeat(
        self, name: str, model: Model | NamedRecipe | None, repeat: Repeat
    ) -> None:
        """Add one model on another seed or split, and its benchmarks."""
        data, made = self.splits[repeat.split], self.unchanged.get(name)
        if model is not None and made is None:
            seed = {} if repeat.seed is None else {"seed": repeat.seed}
            training = self.settings.training.model_copy(update=seed)
            part = repeat.name(f"fine_tuning/{name}")
            made = self._make(part, model, data=data, training=training)
        self._evaluate(repeat.name(f"evaluation/{name}"), data[0], made)
        if self.settings.repeats.relaxation:
            self._relax(repeat.name(f"relaxation/{name}"), data[0], made)
            self._measure(repeat.name(f"density/{name}"), made)

    def _score(self, model: str, made: Any, *, source: Any = None) -> None:  # noqa: ANN401 - references
        """Add every benchmark of one model; forgetting where it has a source."""
        settings = self.settings
        self._evaluate(f"evaluation/{model}", self.dataset, made)
        relaxed = self._relax(f"relaxation/{model}", self.dataset, made)
        self._measure(f"density/{model}", made)
        if settings.physics:
            self._add(
                f"physics/{model}",
                PhysicsMaker(settings=settings.physics),
                made,
                source=source,
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

    def _measure(self, part: str, made: Any) -> None:  # noqa: ANN401 - a reference
        """Add the densities of experimental crystals relaxed by a model, if wanted."""
        if self.settings.density:
            self._add(part, DensityMaker(settings=self.settings.density), made)

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
