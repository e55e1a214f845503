"""Identity of VASP labels: settings of a run that move its energies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from nextrung.schemas.labels.identity import LabelIdentity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

#: Tags that describe the smearing.
SMEARING = ("ISMEAR", "SIGMA")


def name_element(title: str) -> str:
    """Name the element of a PAW data set.

    Parameters
    ----------
    title : str
        Title such as ``PAW_PBE Na_pv 19Sep2006``.
    """
    return re.split(r"[^A-Za-z]", title.split()[1])[0]


def identify_labels(  # noqa: PLR0913
    functional: str,
    tags: Mapping[str, Any],
    *,
    energy: str,
    plane_wave_cutoff: float,
    version: str = "",
    potentials: Mapping[str, str],
    hashes: Mapping[str, str],
    hubbard_us: Mapping[str, float],
    k_points: Sequence[int],
    lattice: NDArray[np.float64],
) -> LabelIdentity:
    """Describe how a run was calculated.

    Parameters
    ----------
    functional : str
        Functional of the labels.
    tags : mapping
        Tags of the run, of which smearing and projection are read.
    energy : str
        Energy that is the label.
    plane_wave_cutoff : float
        Plane-wave cutoff in eV; NaN where unknown.
    version : str
        Version of VASP; empty where unknown.
    potentials : mapping of str to str
        Title of the PAW data set by element.
    hashes : mapping of str to str
        Hash of the PAW data set by element, with its kind: ``sha256:79d9...``.
    hubbard_us : mapping of str to float
        Hubbard U in eV by element.
    k_points : sequence of int
        Divisions of the k-point mesh; empty where unknown.
    lattice : ndarray of float, shape (3, 3)
        Lattice vectors as rows in Å.

    Returns
    -------
    LabelIdentity
        The identity.
    """
    spacing = None
    if len(k_points) == len(lattice) and all(k_points):
        reciprocal = 2 * np.pi * np.linalg.inv(lattice).T
        lengths = np.linalg.norm(reciprocal, axis=1)
        spacing = round(float((lengths / np.array(k_points)).max()), 3)
    smearing = [f"{key} {float(str(tags[key])):g}" for key in SMEARING if key in tags]
    return LabelIdentity(
        code="VASP",
        version=version,
        functional=functional,
        potentials=dict(potentials),
        potential_hashes=dict(hashes),
        hubbard_us={name: u for name, u in hubbard_us.items() if u},
        plane_wave_cutoff=None if np.isnan(plane_wave_cutoff) else plane_wave_cutoff,
        k_spacing=spacing,
        smearing=", ".join(smearing),
        projection=_name_projection(tags.get("LREAL")),
        energy=energy,
    )


def _name_projection(value: Any) -> str:  # noqa: ANN401 - VASP's text or a bool
    """Name the space of the projection; empty where it is unknown."""
    text = "" if value is None else str(value).strip(" .").upper()
    if not text:
        return ""
    return "real" if text[:1] in {"A", "O", "T"} else "reciprocal"
