"""Repeats of a study on other seeds and splits, and the comparison of its models."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from jobflow import CURRENT_JOB

from nextrung.compute.intervals import (
    choose_best,
    collect_errors,
    compare_models,
    summarise_repeats,
)
from nextrung.schemas.evaluation import EvaluationDoc
from nextrung.schemas.models import Trained
from nextrung.schemas.repeats import PROPERTIES, RepeatErrors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.compute.intervals import FrameErrors
    from nextrung.schemas.evaluation import PropertyErrors
    from nextrung.schemas.models import FinishedPotential
    from nextrung.schemas.study import StudySettings


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
    errors = {
        name: {
            (repeat.seed, repeat.split): _load_errors(
                jobs[repeat.name(f"evaluation/{name}")], finished.get(name)
            )
            for repeat in repeats[name]
        }
        for name in names
    }
    best = choose_best({n: s for n, s in summaries.items() if n not in finished})
    return {
        "repeats": summaries,
        "best": best,
        "differences": compare_models(errors, best),
    }


def _load_errors(uuid: str, finished: FinishedPotential | None) -> FrameErrors:
    """Load the test errors of an evaluation that are compared."""
    output = CURRENT_JOB.store.get_output(uuid, load=True)
    found = collect_errors(EvaluationDoc.model_validate(output).rows)
    if finished is None:
        return found
    errors = {k: each for k, each in found.errors.items() if finished.is_compared(k)}
    return replace(found, errors=errors)


def _collect_means(
    model: str, repeat: Repeat, parts: Mapping[str, Any]
) -> RepeatErrors:
    """Collect the mean errors of one repeat of a model."""
    metrics = parts[repeat.name(f"evaluation/{model}")].metrics
    test = _list_errors(metrics.get("test"))
    stability = parts.get(repeat.name(f"stability/{model}"))
    if stability is not None:
        scores = {
            "decomposition_energy": getattr(
                stability.metrics.get("test"), "decomposition_energy_mae", None
            ),
            "formation_energy": stability.metrics["all"].formation_energy_mae,
        }
        test |= {name: mae for name, mae in scores.items() if mae is not None}
    return RepeatErrors(
        seed=repeat.seed,
        split=repeat.split,
        test=test,
        val=_list_errors(metrics.get("val")),
    )


def _list_errors(errors: PropertyErrors | None) -> dict[str, float]:
    """List the mean absolute errors of the properties that have labels."""
    maes = {name: getattr(errors, f"{name}_mae", None) for name in PROPERTIES}
    return {name: mae for name, mae in maes.items() if mae is not None}
