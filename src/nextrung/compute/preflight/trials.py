"""Checks of each transferred model of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.schemas.models import Model, Trained, find_recipe
from nextrung.schemas.preflight import Check, CheckOutcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nextrung.schemas.models import NamedRecipe, Rereference
    from nextrung.schemas.preflight import PreflightSettings, Trial


def list_transferred(
    models: Iterable[Model | NamedRecipe],
) -> list[Model | NamedRecipe]:
    """List the models that are trained from the weights of the source.

    Parameters
    ----------
    models : iterable of Model or NamedRecipe
        Models of a study.
    """
    recipes = [(model, find_recipe(model)) for model in models]
    return [
        model
        for model, recipe in recipes
        if recipe.pretrained and recipe.trained is not Trained.NOTHING
    ]


def check_alignment(
    model: Model | NamedRecipe,
    correlations: Mapping[Rereference, float | None],
    settings: PreflightSettings,
) -> Check:
    """Check whether the references of a model align source and target energies.

    Parameters
    ----------
    model : Model or NamedRecipe
        Transferred model.
    correlations : mapping of Rereference to float or None
        Pearson correlation, over frames that no reference was fitted to, of the
        energies above the atomic references, by kind of re-referencing.
    settings : PreflightSettings
        Minimum correlation.

    Returns
    -------
    Check
        Failed below the minimum; a warning where energies do not vary.
    """
    kind = find_recipe(model).rereference
    value = correlations[kind]
    name = "aligned references"
    if value is None:
        finding = "undefined: validation energies do not vary"
        outcome = CheckOutcome.WARNING
    else:
        finding = f"correlation {value:.3f} over validation frames"
        passed = value >= settings.min_correlation
        outcome = CheckOutcome.PASSED if passed else CheckOutcome.FAILED
        if not passed:
            finding += f", below {settings.min_correlation:g}"
    return Check(name=name, model=str(model), outcome=outcome, finding=finding)


def compare_gradients(trials: Sequence[Trial]) -> dict[str, float]:
    """Divide gradient norms of transferred models by those of scratch.

    Parameters
    ----------
    trials : sequence of Trial
        Short trainings, including one from scratch.

    Returns
    -------
    dict of str to float
        Ratio at the first readout layer, by model; its gradient is large where
        references are misaligned.
    """
    norms = {
        trial.model: trial.gradient_norms.get(trial.checked_layer or "")
        for trial in trials
    }
    scratch = norms.pop(Model.SCRATCH, None)
    if not scratch:
        return {}
    return {model: norm / scratch for model, norm in norms.items() if norm is not None}


def check_gradients(
    model: str, trials: Sequence[Trial], settings: PreflightSettings
) -> Check:
    """Check whether the gradients of a model are those of aligned references.

    Parameters
    ----------
    model : str
        Transferred model.
    trials : sequence of Trial
        Short trainings, including one from scratch.
    settings : PreflightSettings
        Maximum gradient ratio.

    Returns
    -------
    Check
        Failed above the maximum; a warning without gradients.
    """
    ratio = compare_gradients(trials).get(model)
    if ratio is None:
        outcome, finding = CheckOutcome.WARNING, "no gradient was recorded"
    else:
        finding = f"{ratio:.1f}× those of a start from scratch, first readout layer"
        outcome = CheckOutcome.PASSED
        if ratio > settings.max_gradient_ratio:
            outcome = CheckOutcome.FAILED
            finding += f"; above {settings.max_gradient_ratio:g}×: misaligned"
    return Check(name="gradients", model=model, outcome=outcome, finding=finding)


def check_trial(model: str, trials: Sequence[Trial]) -> Check:
    """Check whether a model is better than scratch after short trainings.

    Parameters
    ----------
    model : str
        Transferred model.
    trials : sequence of Trial
        Short trainings, including those of the model and from scratch.

    Returns
    -------
    Check
        Passed where it is better on energies and forces, a warning where on one of
        them, failed otherwise.
    """
    found = {trial.model: trial for trial in trials}
    mine, scratch = found[model], found[Model.SCRATCH]
    pairs = (
        ("energies", "meV/atom", mine.energy_mae, scratch.energy_mae),
        ("forces", "meV/Å", mine.forces_mae, scratch.forces_mae),
    )
    known = [
        (name, unit, own, other)
        for name, unit, own, other in pairs
        if own is not None and other is not None
    ]
    better = [own < other for _, _, own, other in known]
    outcome = CheckOutcome.WARNING if any(better) else CheckOutcome.FAILED
    if better and all(better):
        outcome = CheckOutcome.PASSED
    listed = ", ".join(
        f"{name} {1000 * own:.1f} against {1000 * other:.1f} {unit}"
        for name, unit, own, other in known
    )
    return Check(
        name="transfer against scratch", model=model, outcome=outcome, finding=listed
    )
