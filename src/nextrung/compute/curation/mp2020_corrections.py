"""MP2020 corrections for mixing energies of GGA and GGA+U."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymatgen.entries.compatibility import MaterialsProject2020Compatibility

    from nextrung.schemas.labels.trajectory import Trajectory


def find_mp2020_correction(run: Trajectory) -> float | None:
    """Compute the MP2020 correction of a run with PBE or PBE+U.

    Parameters
    ----------
    run : Trajectory
        Frames of one material; bonds in the last one distinguish oxide and peroxide.

    Returns
    -------
    float or None
        Correction in eV/atom; None where there is none, as Hubbard U differs from the
        Materials Project or is not known by element.

    References
    ----------
    Wang et al., Sci. Rep. 11, 15496 (2021), doi:10.1038/s41598-021-94550-5.
    """
    from pymatgen.entries.computed_entries import (  # noqa: PLC0415 - loads for a second
        ComputedStructureEntry,
    )

    if run.hubbard_u and not run.hubbard_us:
        return None
    (structure,) = run.frames[-1:].to_structures()
    parameters = {
        "run_type": "GGA+U" if run.hubbard_us else "GGA",
        "is_hubbard": bool(run.hubbard_us),
        "hubbards": dict(run.hubbard_us),
    }
    energy = float(run.frames.energies[-1])
    entry = ComputedStructureEntry(structure, energy, parameters=parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # guessed oxidation states
        corrected = _load_scheme().process_entry(entry)
    return None if corrected is None else float(corrected.correction / len(structure))


@cache
def _load_scheme() -> MaterialsProject2020Compatibility:
    """Load the table of corrections, once."""
    from pymatgen.entries.compatibility import (  # noqa: PLC0415 - loads for a second
        MaterialsProject2020Compatibility,
    )

    return MaterialsProject2020Compatibility(check_potcar=False)


def correct(run: Trajectory, correction: float) -> Trajectory:
    """Add a correction to the energies of a run.

    Parameters
    ----------
    run : Trajectory
        Frames of one material.
    correction : float
        Correction in eV/atom.

    Returns
    -------
    Trajectory
        The run with corrected energies, that of the relaxed structure included.
    """
    frames = run.frames
    energies = frames.energies + correction * frames.n_atoms
    return replace(
        run,
        frames=replace(frames, energies=energies),
        relaxed_energy=run.relaxed_energy + correction,
    )
