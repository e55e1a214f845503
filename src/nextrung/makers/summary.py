"""Job that summarises the results of a study."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from nextrung.adapters.files.artifacts import artifact_path
from nextrung.adapters.files.frames import read_rejections
from nextrung.makers.jobs.stage_maker import StageMaker
from nextrung.makers.jobs.task_job import provenance, task_job
from nextrung.makers.repeats import summarise_comparison
from nextrung.schemas.base import Record
from nextrung.schemas.density import DensityErrors
from nextrung.schemas.labels.curation import Rejection, Rule
from nextrung.schemas.models import FinishedPotential, is_same_functional
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

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.dataset import DatasetDoc
    from nextrung.schemas.stability import StabilityDoc

#: Largest number of rejections in the results; the data set lists all.
MAX_LISTED_REJECTIONS = 1000

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
        finished = _describe_finished(self.settings, parts)
        return StudyDoc(
            settings=self.settings,
            results=StudyResults(
                study=self.settings.name,
                labels=dataset.labels,
                source=self.settings.source,
                dataset=_summarise_dataset(dataset),
                models={
                    name: _summarise_model(name, parts)
                    for name in (*self.settings.recipes, *finished)
                },
                finished=finished,
                alignment=alignment and _summarise(AlignmentSummary, alignment),
                scaling_law=scaling and scaling.laws,
                jobs=jobs,
                **summarise_comparison(self.settings, parts, jobs, finished=finished),
            ),
            provenance=provenance(),
        )


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


def _describe_finished(
    settings: StudySettings, parts: Mapping[str, Any]
) -> dict[str, FinishedPotential]:
    """Describe the finished potentials and whether they have the labels' functional."""
    found = {}
    for name, potential in settings.finished_names.items():
        functional = parts[f"fine_tuning/{name}"].functional
        found[name] = FinishedPotential(
            potential=potential,
            functional=functional,
            same_functional=is_same_functional(functional, parts["dataset"].functional),
        )
    return found


def _summarise_model(model: str, parts: Mapping[str, Any]) -> ModelSummary:
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
