"""Data of a VASP run in VASP's units, independent of the output file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from nextrung.adapters.sources.vasp.identity import identify_labels
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.sources import VaspEnergy
from nextrung.schemas.labels.trajectory import Trajectory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from nextrung.schemas.labels.identity import LabelIdentity
    from nextrung.schemas.labels.trajectory import ElectronicState

#: Factor from kBar, compression positive, to GPa, compression negative.
GPA_PER_KBAR = -0.1


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
    energy_without_smearing : float
        Energy extrapolated to zero smearing in eV, VASP's E0; NaN where it is missing.
    """

    lattice: NDArray[np.float64]
    frac_coords: NDArray[np.float64]
    energy: float
    forces: NDArray[np.float64] | None
    stress: NDArray[np.float64] | None
    magmoms: NDArray[np.float64] | None
    n_electronic_steps: int
    energy_without_smearing: float = np.nan


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
    states : frozenset of ElectronicState
        Why its energies are not those of the ground state; empty where they are.
    version : str
        Version of VASP; empty where it is unknown.
    potentials : mapping of str to str
        Title of the PAW data set by element.
    hashes : mapping of str to str
        Hash of the PAW data set with its kind, by element; empty where unknown.
    k_points : sequence of int
        Divisions of the k-point mesh along each reciprocal vector; empty where unknown.
    tags : mapping of str to object
        Tags of the run, of which smearing and projection are read.
    """

    atomic_numbers: Sequence[int]
    functional: str
    hubbard_us: Mapping[str, float]
    plane_wave_cutoff: float
    max_electronic_steps: int
    steps: Sequence[IonicStep]
    states: frozenset[ElectronicState] = frozenset()
    version: str = ""
    potentials: Mapping[str, str] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)
    k_points: Sequence[int] = ()
    tags: Mapping[str, object] = field(default_factory=dict)

    def to_trajectory(
        self,
        material_id: str,
        run_id: str,
        energy: VaspEnergy = VaspEnergy.FREE_ENERGY,
    ) -> Trajectory:
        """Convert to one frame per ionic step, in the units of this package.

        Parameters
        ----------
        material_id : str
            Name of the material.
        run_id : str
            Name of the run; frames are named by it and the number of their step.
        energy : VaspEnergy
            Energy that is the label.
        """
        n_atoms, n_steps = len(self.atomic_numbers), len(self.steps)
        energies = np.array(
            [
                step.energy
                if energy is VaspEnergy.FREE_ENERGY
                else step.energy_without_smearing
                for step in self.steps
            ]
        )
        frames = Frames(
            material_ids=np.full(n_steps, material_id),
            frame_ids=np.array([f"{run_id}#{index}" for index in range(n_steps)]),
            splits=np.full(n_steps, "", dtype="U5"),
            offsets=np.arange(n_steps + 1) * n_atoms,
            atomic_numbers=np.tile(np.array(self.atomic_numbers, np.int16), n_steps),
            lattices=np.array([step.lattice for step in self.steps]),
            frac_coords=np.concatenate([step.frac_coords for step in self.steps]),
            energies=energies,
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
            states=self.states,
            identity=self._identify(energy),
        )

    def _identify(self, energy: VaspEnergy) -> LabelIdentity:
        """Describe how the run was calculated."""
        return identify_labels(
            self.functional,
            self.tags,
            energy=energy.value,
            plane_wave_cutoff=self.plane_wave_cutoff,
            version=self.version,
            potentials=self.potentials,
            hashes=self.hashes,
            hubbard_us=self.hubbard_us,
            k_points=self.k_points,
            lattice=self.steps[0].lattice,
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
    states: frozenset[ElectronicState] = frozenset(),
    identity: LabelIdentity | None = None,
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
    states : frozenset of ElectronicState
        Why its energies are not those of the ground state; empty where they are.
    identity : LabelIdentity, optional
        How the frames were calculated.

    Returns
    -------
    Trajectory
        The run.
    """
    final = float(frames.energies[-1] / frames.n_atoms[-1])
    return Trajectory(
        frames=frames,
        converged=converged,
        hubbard_u=max(hubbard_us.values(), default=0.0),
        hubbard_us=hubbard_us,
        plane_wave_cutoff=plane_wave_cutoff,
        relaxed_energy=final if converged[-1] else np.nan,
        states=states,
        identity=identity,
    )
