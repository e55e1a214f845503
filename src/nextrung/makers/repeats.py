"""Repeats of a study on other seeds and splits, and the comparison of its models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobflow import CURRENT_JOB

from nextrung.adapters.files.stability_table import load_rows
from nextrung.compute.intervals import (
    BASELINE,
    SIGNIFICANCE,
    ModelComparison,
    choose_best,
    collect_errors,
    select_compared,
    summarise_repeats,
    tabulate_errors,
)
from nextrung.schemas.density import DensityDoc
from nextrung.schemas.evaluation import EvaluationDoc
from nextrung.schemas.models import Model, Trained
from nextrung.schemas.repeats import PROPERTIES, ModelDifference, RepeatErrors
from nextrung.schemas.stability import StabilityDoc

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nextrung.compute.intervals import Errors, ErrorsBySplit
    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.evaluation import PropertyErrors
    from nextrung.schemas.models import FinishedPotential
    from nextrung.schemas.repeats import BestModel
    from nextrung.schemas.study import StudySettings

#: Stages that score models, and their documents.
SCORED: Mapping[str, type[TaskDoc]] = {
    "evaluation": EvaluationDoc,
    "stability": StabilityDoc,
    "density": DensityDoc,
}


@dataclass(frozen=True)
class Repeat:
    """One training of a model, or one evaluation of a model without training.

    Parameters
    ----------
    seed : int or None
        Seed of the training; None without one.
    split : int
        Seed of the split of the data.
    first : bool
        Whether this is the repeat whose parts carry the name of the model alone.
    """

    seed: int | None
    split: int
    first: bool

    def name(self, part: str) -> str:
        """Name a part of this repeat, such as ``evaluation/scratch/seed=1,split=0``.

        Parameters
        ----------
        part : str
            Name of the part in the first repeat.
        """
        if self.first:
            return part
        seed = "" if self.seed is None else f"seed={self.seed},"
        return f"{part}/{seed}split={self.split}"


def list_repeats(model: str, settings: StudySettings) -> list[Repeat]:
    """List the repeats of a model.

    Parameters
    ----------
    model : str
        Model of the study, or name of a finished potential.
    settings : StudySettings
        Settings of the study.

    Returns
    -------
    list of Repeat
        Every seed on every split, the first repeat first; a model without training has
        one repeat per split.
    """
    recipe = settings.recipes.get(model)
    trained = recipe is not None and recipe.trained is not Trained.NOTHING
    first = (settings.training.seed, settings.dataset.split.seed)
    seeds: tuple[int | None, ...] = settings.training_seeds if trained else (None,)
    return [
        Repeat(seed, split, first=seed in {None, first[0]} and split == first[1])
        for split in settings.split_seeds
        for seed in seeds
    ]


def summarise_comparison(
    settings: StudySettings,
    parts: Mapping[str, Any],
    jobs: Mapping[str, str],
    *,
    finished: Mapping[str, FinishedPotential],
) -> dict[str, Any]:
    """Summarise the repeats of all models, and compare the models.

    Parameters
    ----------
    settings : StudySettings
        Settings of the study.
    parts : mapping of str to TaskDoc
        Document of each part, without its arrays.
    jobs : mapping of str to str
        Job uuid of each document; residuals of frames are loaded by it, those of one
        evaluation at a time.
    finished : mapping of str to FinishedPotential
        Finished potentials, which are compared where their functional allows it, and
        are never the best model.

    Returns
    -------
    dict
        Fields ``repeats``, ``best`` and ``differences`` of :class:`.StudyResults`.
    """
    names = [*settings.recipes, *finished]
    repeats = {name: list_repeats(name, settings) for name in names}
    summaries = {
        name: summarise_repeats(
            [_collect_means(name, repeat, parts) for repeat in repeats[name]]
        )
        for name in names
    }
    best = choose_best({n: s for n, s in summaries.items() if n not in finished})
    collected = _collect_errors(repeats, jobs)
    table = tabulate_errors(collected, "test")
    return {
        "repeats": summaries,
        "best": best,
        "differences": [
            difference
            for name, models in table.items()
            for difference in list_differences(
                name, select_compared(name, models, finished), best.get(name)
            )
        ],
    }


def _collect_errors(
    repeats: Mapping[str, list[Repeat]], jobs: Mapping[str, str]
) -> Iterator[tuple[str, tuple[int | None, int], ErrorsBySplit]]:
    """Collect the errors of all models and repeats, one document at a time."""
    for model, of_model in repeats.items():
        for repeat in of_model:
            for stage, kind in SCORED.items():
                uuid = jobs.get(repeat.name(f"{stage}/{model}"))
                if uuid is not None:
                    output = CURRENT_JOB.store.get_output(uuid, load=True)
                    errors = collect_errors(load_rows(kind.model_validate(output)))
                    yield model, (repeat.seed, repeat.split), errors


def list_differences(
    name: str,
    models: Mapping[str, Mapping[tuple[int | None, int], Errors]],
    best: BestModel | None,
) -> list[ModelDifference]:
    """Compare all models by one property with the references of the results.

    Parameters
    ----------
    name : str
        The property.
    models : mapping of str to mapping of tuple to Errors
        Test errors of each model by seeds of training and split.
    best : BestModel or None
        Model of the lowest validation error.

    Returns
    -------
    list of ModelDifference
        Differences of all models from the baseline, the source, scratch and the best,
        as far as they share five materials.
    """
    comparison = ModelComparison.of(models)
    chosen = [] if best is None else [best.model]
    references = (BASELINE, Model.SOURCE.value, Model.SCRATCH.value, *chosen)
    return [
        ModelDifference(
            property=name,
            model=model,
            reference=reference,
            difference=found.difference,
            low=(found.low - 1) * found.reference,
            high=(found.high - 1) * found.reference,
            ratio=found.ratio,
            ratio_low=found.low,
            ratio_high=found.high,
            p_value=found.p_value,
            p_adjusted=p_adjusted,
            significant=p_adjusted < SIGNIFICANCE,
            n_materials=found.n_materials,
            n_repeats=found.n_repeats,
        )
        for reference in dict.fromkeys(references)
        for model, (found, p_adjusted) in comparison.compare_all(reference).items()
    ]


def _collect_means(
    model: str, repeat: Repeat, parts: Mapping[str, Any]
) -> RepeatErrors:
    """Collect the mean errors of one repeat of a model, and those of the baseline."""
    metrics = parts[repeat.name(f"evaluation/{model}")].metrics
    test = _list_errors(metrics.get("test"), "mae")
    baseline = _list_errors(metrics.get("test"), "baseline_mae")
    stability = parts.get(repeat.name(f"stability/{model}"))
    if stability is not None:
        of_test, of_every = stability.metrics.get("test"), stability.metrics["all"]
        for kind, errors in (("mae", test), ("baseline_mae", baseline)):
            scores = {
                "decomposition_energy": getattr(
                    of_test, f"decomposition_energy_{kind}", None
                ),
                "formation_energy": getattr(of_every, f"formation_energy_{kind}"),
            }
            errors |= {name: mae for name, mae in scores.items() if mae is not None}
    density = parts.get(repeat.name(f"density/{model}"))
    if density is not None and density.mae is not None:
        test["density"] = density.mae
    return RepeatErrors(
        seed=repeat.seed,
        split=repeat.split,
        test=test,
        val=_list_errors(metrics.get("val"), "mae"),
        baseline=baseline,
    )


def _list_errors(errors: PropertyErrors | None, kind: str) -> dict[str, float]:
    """List the mean absolute errors of the properties that have labels."""
    maes = {name: getattr(errors, f"{name}_{kind}", None) for name in PROPERTIES}
    return {name: mae for name, mae in maes.items() if mae is not None}
