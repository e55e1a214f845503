"""Data of a VASP run in VASP's units, independent of the output file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from emmet.core.vasp.calc_types.utils import run_type

from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.trajectory import Trajectory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

#: Factor from kBar, compression positive, to GPa, compression negative.
GPA_PER_KBAR = -0.1

#: VASP's defaults of the tags that define a hybrid functional.
HYBRID_DEFAULTS = {"AEXX": 0.25, "AGGAX": 0.75, "AGGAC": 1.0, "ALDAC": 1.0}

#: Name of the dispersion correction by VASP's IVDW.
DISPERSIONS = {1: "D2", 10: "D2", 11: "D3", 12: "D3(BJ)", 13: "D4", 20: "TS"}


@dataclass(frozen=True, eq=False)
class IonicStep:
    """One structure of a run with VASP's labels.

    Parameters
    ----------
    lattice : ndarray of float, shape (3, 3)
        Lattice vectors as rows in Å.
    frac_coords : ndarray of float, shape (n_atoms, 3)
        Fractional coordinates.
    energy : float
        Free energy in eV, VASP's TOTEN or ``e_fr_energy``.
    forces : ndarray of float, shape (n_atoms, 3), or None
        Forces in eV/Å.
    stress : ndarray of float, shape (3, 3), or None
        Stress in kBar, compression positive.
    magmoms : ndarray of float, shape (n_atoms,), or None
        Moments within the PAW spheres in μ_B.
    n_electronic_steps : int
        Electronic steps done.
    """

    lattice: NDArray[np.float64]
    frac_coords: NDArray[np.float64]
    energy: float
    forces: NDArray[np.float64] | None
    stress: NDArray[np.float64] | None
    magmoms: NDArray[np.float64] | None
    n_electronic_steps: int


@dataclass(frozen=True, eq=False)
class VaspRun:
    """A finished run.

    Parameters
    ----------
    atomic_numbers : sequence of int
        Atomic number of each site.
    functional : str
        Functional from the tags of the run.
    hubbard_us : mapping of str to float
        Hubbard U in eV by element.
    plane_wave_cutoff : float
        Plane-wave cutoff in eV.
    max_electronic_steps : int
        Maximum number of electronic steps, NELM.
    steps : sequence of IonicStep
        Ionic steps, in order.
    """

    atomic_numbers: Sequence[int]
    functional: str
    hubbard_us: Mapping[str, float]
    plane_wave_cutoff: float
    max_electronic_steps: int
    steps: Sequence[IonicStep]

    def to_trajectory(self, material_id: str, run_id: str) -> Trajectory:
        """Convert to one frame per ionic step, in the units of this package.

        Parameters
        ----------
        material_id : str
            Name of the material.
        run_id : str
            Name of the run; frames are named by it and the number of their step.
        """
        n_atoms, n_steps = len(self.atomic_numbers), len(self.steps)
        frames = Frames(
            material_ids=np.full(n_steps, material_id),
            frame_ids=np.array([f"{run_id}#{index}" for index in range(n_steps)]),
            splits=np.full(n_steps, "", dtype="U5"),
            offsets=np.arange(n_steps + 1) * n_atoms,
            atomic_numbers=np.tile(np.array(self.atomic_numbers, np.int16), n_steps),
            lattices=np.array([step.lattice for step in self.steps]),
            frac_coords=np.concatenate([step.frac_coords for step in self.steps]),
            energies=np.array([step.energy for step in self.steps]),
            forces=self._labels("forces", (n_atoms, 3)).reshape(-1, 3),
            stresses=GPA_PER_KBAR * self._labels("stress", (3, 3)),
            magmoms=self._labels("magmoms", (n_atoms,)).reshape(-1),
            functional=self.functional,
        )
        n_done = np.array([step.n_electronic_steps for step in self.steps])
        return make_trajectory(
            frames,
            n_done < self.max_electronic_steps,
            hubbard_us={name: u for name, u in self.hubbard_us.items() if u},
            plane_wave_cutoff=self.plane_wave_cutoff,
        )

    def _labels(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Stack a label of all steps; NaN where a step lacks it."""
        labels = np.full((len(self.steps), *shape), np.nan, dtype=np.float32)
        for index, step in enumerate(self.steps):
            if (label := getattr(step, name)) is not None:
                labels[index] = label
        return labels


def make_trajectory(
    frames: Frames,
    converged: NDArray[np.bool_],
    *,
    hubbard_us: Mapping[str, float],
    plane_wave_cutoff: float = np.nan,
) -> Trajectory:
    """Build the trajectory of a run whose last frame, if converged, is relaxed.

    Parameters
    ----------
    frames : Frames
        Frames of the run.
    converged : ndarray of bool, shape (n_frames,)
        Whether the electronic steps of each frame converged.
    hubbard_us : mapping of str to float
        Nonzero Hubbard U in eV, by element.
    plane_wave_cutoff : float
        Plane-wave cutoff in eV.
    """
    final = float(frames.energies[-1] / frames.n_atoms[-1])
    return Trajectory(
        frames=frames,
        converged=converged,
        hubbard_u=max(hubbard_us.values(), default=0.0),
        hubbard_us=hubbard_us,
        plane_wave_cutoff=plane_wave_cutoff,
        relaxed_energy=final if converged[-1] else np.nan,
    )


def name_functional(tags: Mapping[str, Any], potcar_exchange: str = "PE") -> str:
    """Name the functional of a run from its tags.

    Parameters
    ----------
    tags : mapping
        INCAR tags; a Hubbard U is not part of the name.
    potcar_exchange : str
        ``LEXCH`` of the pseudopotentials, VASP's default.

    Returns
    -------
    str
        Name as in emmet, such as ``PBE``, ``r2SCAN`` or ``HSE06``, with the dispersion
        correction if any, such as ``PBE-D3``.
    """
    known = {"GGA": "--"} | dict(tags)
    known["METAGGA"] = {"R2SCA": "R2SCAN"}.get(
        str(known.get("METAGGA", "")).strip().upper(), known.get("METAGGA")
    )
    if known["GGA"] == "--":
        known["GGA"] = potcar_exchange
    if known.get("LHFCALC"):
        known = HYBRID_DEFAULTS | known
    known.pop("LDAU", None)
    name = run_type(known).value
    dispersion = int(known.get("IVDW", 0))
    if not dispersion:
        return name
    return f"{name}-{DISPERSIONS.get(dispersion, f'IVDW{dispersion}')}"
