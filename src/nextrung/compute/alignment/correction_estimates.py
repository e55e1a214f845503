"""MP2020 corrections of the Materials Project, estimated from structures alone.

The scheme is that of pymatgen. Whether a calculation has a Hubbard U is inferred from
its composition: as in the Materials Project, in oxides and fluorides of some metals.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from nextrung.schemas.alignment import AlignmentCorrections

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from pymatgen.core import Structure
    from pymatgen.entries.compatibility import MaterialsProject2020Compatibility

    from nextrung.schemas.frames import Frames

#: Hubbard U of the Materials Project in eV, in oxides and fluorides.
HUBBARD_U: Mapping[str, float] = {
    "Co": 3.32, "Cr": 3.7, "Fe": 5.3, "Mn": 3.9, "Mo": 4.38, "Ni": 6.2, "V": 3.25,
    "W": 6.2,
}  # fmt: skip
#: Anions whose compounds have a Hubbard U.
ANIONS_WITH_U = ("F", "O")

#: Functional of the energies of the Materials Project without its corrections, and what
#: the name of the functional says of a potential whose energies include them.
_MIXED, _CORRECTED = "GGA/GGA+U", "MP2020-corrected"


def locate_corrections(functional: str) -> AlignmentCorrections:
    """Determine by the functional of a source potential which energies are corrected.

    Parameters
    ----------
    functional : str
        Functional of its energies, such as ``GGA/GGA+U (MP2020-corrected)``.

    Returns
    -------
    AlignmentCorrections
        ``in_source``; ``missing_in_source`` of GGA/GGA+U energies that do not say they
        are corrected; ``none`` of any other functional.
    """
    if not functional.startswith(_MIXED):
        return AlignmentCorrections.NONE
    if _CORRECTED in functional:
        return AlignmentCorrections.IN_SOURCE
    return AlignmentCorrections.MISSING_IN_SOURCE


def estimate_corrections(frames: Frames) -> NDArray[np.float64]:
    """Estimate the correction of each frame from the first frame of its material.

    Parameters
    ----------
    frames : Frames
        Frames of any materials.

    Returns
    -------
    ndarray of float, shape (n_frames,)
        Energy correction in eV/atom.
    """
    if not len(frames):
        return np.zeros(0)
    from pymatgen.entries.compatibility import (  # noqa: PLC0415 - loads for a second
        MaterialsProject2020Compatibility,
    )

    _, first, material = np.unique(
        frames.material_ids, return_index=True, return_inverse=True
    )
    scheme = MaterialsProject2020Compatibility(check_potcar=False)
    structures = frames[first].to_structures()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # unknown oxidation states
        corrections = np.array([_correct(scheme, found) for found in structures])
    return corrections[material]


def _correct(scheme: MaterialsProject2020Compatibility, structure: Structure) -> float:
    """Compute the correction of one structure in eV/atom."""
    from pymatgen.entries.computed_entries import (  # noqa: PLC0415 - loads for a second
        ComputedStructureEntry,
    )

    symbols = set(structure.composition.get_el_amt_dict())
    has_u = symbols.intersection(HUBBARD_U) and symbols.intersection(ANIONS_WITH_U)
    parameters = {
        "run_type": "GGA+U" if has_u else "GGA",
        "hubbards": {s: HUBBARD_U.get(s, 0.0) for s in symbols} if has_u else {},
    }
    entry = ComputedStructureEntry(structure, 0.0, parameters=parameters)
    corrected = scheme.process_entry(entry, inplace=False)
    return float(corrected.correction) / len(structure) if corrected else 0.0
