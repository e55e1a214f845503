"""What a potential can be recommended for: labelled, trained, tested, and learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nextrung.reports.sections.verdicts.choices import (
    BASELINES,
    NAMES,
    Choice,
    compare_model,
)
from nextrung.reports.sections.verdicts.dynamics import find_failed_dynamics

if TYPE_CHECKING:
    from nextrung.reports.sections.verdicts.evidence import Evidence
    from nextrung.schemas.fine_tuning import FineTuningDoc
    from nextrung.schemas.physics import PhysicsDoc

#: Benchmarks that a use needs.
_USES = {
    "Energies of bulk crystals": ("energy",),
    "Forces in bulk crystals": ("forces",),
    "Relaxation of bulk crystals": ("forces", "stress"),
    "Magnetic moments": ("magmoms",),
    "Phase stability of relaxed crystals": ("decomposition_energy",),
}


class Fitness(NamedTuple):
    """Whether a potential can be recommended for one use.

    Parameters
    ----------
    use : str
        The use.
    reasons : tuple of str
        Why it is not recommended; empty where it is.
    findings : tuple of str
        Test errors with 95 % intervals, and differences from the baseline.
    """

    use: str
    reasons: tuple[str, ...]
    findings: tuple[str, ...]


def assess_fitness(
    tuned: FineTuningDoc, evidence: Evidence, physics: PhysicsDoc | None = None
) -> list[Fitness]:
    """Assess what a potential can be recommended for.

    Parameters
    ----------
    tuned : FineTuningDoc
        The potential.
    evidence : Evidence
        Its errors, and those of the other models of its study.
    physics : PhysicsDoc, optional
        Tests of its energy surface.

    Returns
    -------
    list of Fitness
        One per use. A use is recommended where every error it needs was labelled,
        trained and tested, and is shown to be lower than that of the baseline;
        molecular dynamics where, besides, its tests of physics passed.
    """
    keys = {key for needed in _USES.values() for key in needed}
    choices = {
        key: compare_model(evidence, key, tuned.model)
        if tuned.model in evidence.models(key)
        else None
        for key in keys
    }
    assessed = [
        Fitness(
            use,
            tuple(r for key in needed if (r := _object(tuned, key, choices[key]))),
            tuple(_describe(c) for key in needed if (c := choices[key]) is not None),
        )
        for use, needed in _USES.items()
    ]
    failed = find_failed_dynamics(physics)
    forces = next(fitness for fitness in assessed if "Forces" in fitness.use)
    dynamics = Fitness(
        "Molecular dynamics", (*forces.reasons, *failed), forces.findings
    )
    return [*assessed, dynamics]


def _object(tuned: FineTuningDoc, key: str, choice: Choice | None) -> str:
    """Give the reason why a benchmark is not met; empty where it is."""
    if choice is None:
        return f"{NAMES[key]} have no test labels"
    if not _is_trained(tuned, key):
        return f"{NAMES[key]} were not trained"
    if choice.baseline is None:
        return f"{NAMES[key]} have too few test materials, or no baseline"
    if not choice.beats_baseline:
        compared = choice.baseline.format()
        return f"not shown to be better than {BASELINES[key]}, {compared}"
    return ""


def _is_trained(tuned: FineTuningDoc, key: str) -> bool:
    """Check whether a property had labels and weight in the training, if any."""
    if tuned.settings is None or not tuned.history:
        return True  # the source's own training; its limits say so
    name = "energy" if key == "decomposition_energy" else key
    labelled = getattr(tuned.history[-1].train, f"{name}_mae") is not None
    return labelled and bool(getattr(tuned.settings.loss_weights, name))


def _describe(choice: Choice) -> str:
    """Describe a test error and its difference from the baseline."""
    text = f"{NAMES[choice.key]} {choice.format_error()}"
    if choice.baseline is None:
        return text
    compared = choice.baseline.format()
    return f"{text}, {compared} relative to {BASELINES[choice.key]}"
