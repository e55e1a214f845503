"""Short trial trainings of every kind of model on a sample of frames."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from nextrung.potentials.atom_refs import move_atom_refs, prepare_start
from nextrung.potentials.interface import TrainableBackend
from nextrung.potentials.training.fine_tuning import fine_tune
from nextrung.potentials.training.frame_screening import find_uncovered, find_unusable
from nextrung.schemas.models import Rereference, find_recipe
from nextrung.schemas.preflight import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from nextrung.potentials.potential import Potential
    from nextrung.potentials.training.fine_tuning import FineTuningResult
    from nextrung.schemas.fine_tuning import FineTuningSettings
    from nextrung.schemas.frames import Frames
    from nextrung.schemas.models import Model, NamedRecipe


@dataclass(frozen=True, eq=False)
class Sample:
    """Frames of trial trainings, with predictions and references.

    Parameters
    ----------
    frames : Frames
        The usable frames.
    predicted : Frames
        The same frames with labels predicted by the source.
    atom_refs : mapping of Rereference to mapping of str to float
        References in eV/atom by kind of re-referencing.
    unusable : mapping of str to str
        Reason by the name of each frame that is left out.
    """

    frames: Frames
    predicted: Frames
    atom_refs: Mapping[Rereference, Mapping[str, float]]
    unusable: Mapping[str, str]

    @property
    def residuals(self) -> NDArray[np.float64]:
        """Label minus re-referenced source energy in eV/atom, shape (n_frames,)."""
        shifted, kept = (
            self.atom_refs[kind] for kind in (Rereference.RESIDUAL, Rereference.NONE)
        )
        shifts = np.array(
            [
                sum(
                    (shifted[symbol] - kept[symbol]) * amount
                    for symbol, amount in composition.get_el_amt_dict().items()
                )
                for composition in self.frames.compositions()
            ]
        )
        left = self.frames.energies - self.predicted.energies - shifts
        residuals: NDArray[np.float64] = left / self.frames.n_atoms
        return residuals


def predict_sample(source: Potential, sample: Frames, whole: Frames) -> Sample:
    """Predict a sample of frames and re-reference the source to their labels.

    Parameters
    ----------
    source : Potential
        The source potential.
    sample : Frames
        Frames with labels, in the splits ``train`` and ``val``.
    whole : Frames
        All frames with labels, for references that are fitted without predictions.

    Returns
    -------
    Sample
        Frames whose elements all occur in a training frame of the sample.
    """
    unusable = find_unusable(sample, source.backend, source.elements)
    usable = sample[~np.isin(sample.frame_ids, list(unusable))]
    train = usable.split("train")
    fitted = {
        Rereference.NONE: train,
        Rereference.REFIT: whole.split("train"),
        Rereference.RESIDUAL: train,
    }
    atom_refs = {
        kind: move_atom_refs(source, frames, kind)[1] for kind, frames in fitted.items()
    }
    uncovered = find_uncovered(usable, set(atom_refs[Rereference.RESIDUAL]))
    usable = usable[~np.isin(usable.frame_ids, list(uncovered))]
    predicted, _ = source.predict_frames(usable, "efs")
    return Sample(usable, predicted, atom_refs, unusable)


def try_models(
    source: Potential,
    sample: Sample,
    settings: FineTuningSettings,
    *,
    models: Sequence[Model | NamedRecipe],
    workdir: Path,
    on_trial: Callable[[int, int, str], None],
) -> list[Trial]:
    """Train models on a sample.

    Parameters
    ----------
    source : Potential
        The source potential.
    sample : Sample
        Frames and references.
    settings : FineTuningSettings
        Settings of the trainings.
    models : sequence of Model or NamedRecipe
        Models to train.
    workdir : Path
        Folder of checkpoints.
    on_trial : callable of (int, int, str)
        Called with the trials done, the number of trials, and the next model.

    Returns
    -------
    list of Trial
        One per model, all with the same frames in the same order.
    """
    trials = []
    for done, model in enumerate(models):
        on_trial(done, len(models), str(model))
        recipe = find_recipe(model)
        atom_refs = sample.atom_refs[recipe.rereference]
        result = fine_tune(
            prepare_start(source, recipe, atom_refs, seed=settings.seed),
            sample.frames,
            settings,
            recipe=recipe,
            workdir=workdir / str(model),
        )
        trials.append(_describe(str(model), result, len(sample.frames)))
    return trials


def _describe(model: str, result: FineTuningResult, n_frames: int) -> Trial:
    """Describe the errors, gradients and throughput of a training."""
    best = result.history[(result.best_epoch or 1) - 1].val
    norms: defaultdict[str, list[float]] = defaultdict(list)
    for record in result.gradients:
        norms[record.layer].append(record.norm)
    backend = result.potential.backend
    fastest = min(epoch.wall_time for epoch in result.history)
    return Trial(
        model=model,
        energy_mae=best.energy_mae,
        forces_mae=best.forces_mae,
        stress_mae=best.stress_mae,
        gradient_norms={layer: median(found) for layer, found in norms.items()},
        checked_layer=backend.checked_layer
        if isinstance(backend, TrainableBackend)
        else None,
        seconds_per_frame=fastest / n_frames,
    )
