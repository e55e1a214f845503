"""Whether a potential passed the tests that molecular dynamics needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nextrung.schemas.physics import Measure

if TYPE_CHECKING:
    from nextrung.schemas.physics import PhysicsCounts

#: Measures that every crystal has to pass, with what they are called.
NEEDED: Final = {
    Measure.ENERGY_DRIFT: "the drift of the energy in dynamics",
    Measure.LOWEST_FREQUENCY: "phonons without imaginary modes",
    Measure.CRYSTAL_REPULSION: "the repulsion of compressed crystals",
    Measure.DIMER_REPULSION: "the repulsion of pairs of atoms",
}


def find_failed_dynamics(physics: PhysicsCounts | None) -> list[str]:
    """List why a potential is not recommended for molecular dynamics.

    Parameters
    ----------
    physics : PhysicsCounts, optional
        Its tests of the potential energy surface, if there are any.

    Returns
    -------
    list of str
        One sentence per measure that was not tested, or that a crystal failed; empty
        where all passed.
    """
    if physics is None:
        return ["no dynamics were run (physics in the study file)"]
    tested = {summary.measure: summary for summary in physics.measures}
    reasons = []
    for measure, title in NEEDED.items():
        summary = tested.get(measure)
        if summary is None or not summary.n_crystals:
            reasons.append(f"{title} was not tested")
        elif summary.n_passed < summary.n_crystals:
            reasons.append(
                f"{title} passed for {summary.n_passed} of {summary.n_crystals} "
                "crystals"
            )
    return reasons
