"""All tests of a potential, and its deviation from its source."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from nextrung.compute.physics.forgetting import perturb_crystals, score_forgetting
from nextrung.compute.physics.scores import MEASURES, check_value
from nextrung.potentials.physics.crystal_tests import run_test
from nextrung.schemas.physics import PhysicsTest
from nextrung.schemas.relaxation import RelaxationStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pymatgen.core import Structure

    from nextrung.potentials.potential import Potential
    from nextrung.schemas.physics import (
        ElasticCrystal,
        ForgettingErrors,
        ForgettingSettings,
        Measure,
        PhysicsRecord,
        PhysicsSettings,
    )


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
    return score_forgetting(
        potential.predict(perturbed, "efs"), source.predict(perturbed, "efs"), settings
    )


def _leaves_out(
    test: PhysicsTest, crystal: ElasticCrystal, settings: PhysicsSettings
) -> bool:
    """Check whether a test is not run for a crystal."""
    return (
        test is PhysicsTest.MOLECULAR_DYNAMICS
        and crystal.crystal_id not in settings.molecular_dynamics.crystals
    )
