"""All tests of a potential, and its deviation from its source."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from nextrung.compute.intervals import estimate_interval
from nextrung.compute.physics import fidelity
from nextrung.compute.physics.forgetting import (
    PROPERTIES,
    measure_deviations,
    perturb_crystals,
    score_forgetting,
)
from nextrung.compute.physics.scores import MEASURES, check_value
from nextrung.potentials.physics.crystal_tests import run_test
from nextrung.schemas.physics import PhysicsTest
from nextrung.schemas.relaxation import RelaxationStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pymatgen.core import Structure

    from nextrung.potentials.potential import Potential
    from nextrung.schemas.frames import Frames
    from nextrung.schemas.physics import (
        ElasticCrystal,
        FidelityErrors,
        ForgettingErrors,
        ForgettingSettings,
        Measure,
        PhysicsRecord,
        PhysicsSettings,
    )
    from nextrung.schemas.relaxation import RelaxationRecord


def require_physics(settings: PhysicsSettings) -> None:
    """Raise where a package is missing that a test needs.

    Parameters
    ----------
    settings : PhysicsSettings
        Tests to run.

    Raises
    ------
    InputError
        If phonopy is not installed and phonons are to be computed.
    """
    if PhysicsTest.PHONONS in settings.tests:
        import_module("nextrung.compute.physics.phonons")


def run_physics_tests(
    potential: Potential,
    crystals: Sequence[ElasticCrystal],
    settings: PhysicsSettings,
    *,
    on_crystal: Callable[[int], None] = lambda _done: None,
) -> list[PhysicsRecord]:
    """Relax crystals and run every test on them.

    Parameters
    ----------
    potential : Potential
        Potential to test.
    crystals : sequence of ElasticCrystal
        Crystals.
    settings : PhysicsSettings
        Tests, and the ranges in which they pass.
    on_crystal : callable
        Called with the number of finished crystals after each.

    Returns
    -------
    list of PhysicsRecord
        One per crystal and measure; a failure is a record with its reason.
    """
    require_physics(settings)
    relaxed = potential.relax(
        [crystal.structure for crystal in crystals], settings.relaxation
    )
    records: list[PhysicsRecord] = []
    for done, (crystal, relaxation) in enumerate(
        zip(crystals, relaxed, strict=True), 1
    ):
        for test in settings.tests:
            if _leaves_out(test, crystal, settings):
                continue
            values: Mapping[Measure, float | str]
            structure = relaxation.structure
            if relaxation.status is not RelaxationStatus.CONVERGED or structure is None:
                reason = relaxation.error or f"relaxation: {relaxation.status}"
                values = dict.fromkeys(MEASURES[test], reason)
            else:
                values = run_test(test, potential, structure, settings=settings)
            records += [
                check_value(crystal, measure, values[measure], settings=settings)
                for measure in MEASURES[test]
            ]
        on_crystal(done)
    return records


def compare_potentials(
    potential: Potential,
    source: Potential,
    crystals: Sequence[Structure],
    *,
    settings: ForgettingSettings,
) -> ForgettingErrors:
    """Compare a potential with its source on perturbed crystals.

    Parameters
    ----------
    potential : Potential
        Fine-tuned potential.
    source : Potential
        Potential that it was made from.
    crystals : sequence of Structure
        Crystals to perturb.
    settings : ForgettingSettings
        Perturbations.
    """
    perturbed = perturb_crystals(crystals, settings)
    predicted, expected = (
        each.predict(perturbed, "efs") for each in (potential, source)
    )
    errors = score_forgetting(predicted, expected, settings)
    deviations = measure_deviations(predicted, expected, settings)
    intervals = {
        f"{name}_interval": estimate_interval(
            [value for crystal in deviations for value in crystal[name].tolist()],
            [f"{i}" for i, crystal in enumerate(deviations) for _ in crystal[name]],
        )
        for name in PROPERTIES
    }
    return errors.model_copy(update=intervals)


def compare_with_labels(
    labels: Frames, records: Mapping[str, RelaxationRecord]
) -> dict[str, FidelityErrors]:
    """Compare relaxed structures with relaxed labels.

    Parameters
    ----------
    labels : Frames
        One relaxed frame per material.
    records : mapping of str to RelaxationRecord
        Relaxation of each material by a model.

    Returns
    -------
    dict of str to FidelityErrors
        Errors with intervals over materials, of all materials and of each split.
    """
    found = {}
    for part, deviations in fidelity.measure_deviations(labels, records).items():
        known = [each for each in deviations if each is not None]
        columns = {
            "volume_change": [each.volume_change for each in known],
            "volume_mae": [abs(each.volume_change) for each in known],
            "rmsd": [each.rmsd for each in known],
        }
        names = [f"{index}" for index in range(len(known))]
        intervals = {
            f"{name}_interval": estimate_interval(values, names)
            for name, values in columns.items()
        }
        errors = fidelity.score_fidelity(deviations)
        found[part] = errors.model_copy(update=intervals)
    return found


def _leaves_out(
    test: PhysicsTest, crystal: ElasticCrystal, settings: PhysicsSettings
) -> bool:
    """Check whether a test is not run for a crystal."""
    return (
        test is PhysicsTest.MOLECULAR_DYNAMICS
        and crystal.crystal_id not in settings.molecular_dynamics.crystals
    )
