"""Ids, elements and materials of a data set."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Element

from nextrung.schemas.base import InputError
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.curation import Rule
from nextrung.schemas.labels.materials import Materials
from nextrung.schemas.labels.sources import MAX_ATOMIC_NUMBER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from nextrung.schemas.labels.curation import Rejection
    from nextrung.schemas.labels.trajectory import Trajectory


def validate_elements(frames: Frames) -> None:
    """Validate that potentials cover the elements of frames.

    Parameters
    ----------
    frames : Frames
        Frames of any materials.

    Raises
    ------
    InputError
        If an element is heavier than plutonium.
    """
    heavy = np.flatnonzero(frames.atomic_numbers > MAX_ATOMIC_NUMBER)
    if len(heavy):
        number = int(frames.atomic_numbers[heavy[0]])
        frame_id = frames.frame_ids[frames.frame_of_site[heavy[0]]]
        raise InputError(
            f"frame {frame_id}: expected elements up to Pu (Z = {MAX_ATOMIC_NUMBER}), "
            f"got {Element.from_Z(number)} (Z = {number})"
        )


def validate_unique_names(names: NDArray[np.str_]) -> None:
    """Validate that frames have unique ids.

    Parameters
    ----------
    names : ndarray of str, shape (n_frames,)
        Ids of the frames.

    Raises
    ------
    InputError
        If two frames have the same id.
    """
    for name, count in Counter(names.tolist()).items():
        if count > 1:
            raise InputError(f"expected a name for every frame, got {name!r} twice")


class MaterialCollector:
    """Collects initial structures and relaxed energies of materials, run by run."""

    def __init__(self) -> None:
        self._indices: dict[str, int] = {}
        self._initial: list[Frames] = []
        self._final_indices: dict[str, int] = {}
        self._final: list[Frames] = []
        self._n_runs = 0
        self._energies: dict[str, tuple[bool, float]] = {}
        self._by_functional: dict[str, dict[str, float]] = {}

    def add_energies(
        self, runs: Sequence[Trajectory], rejections: Sequence[Sequence[Rejection]]
    ) -> None:
        """Add relaxed energies of any functional; the lowest of a material is kept.

        Parameters
        ----------
        runs : sequence of Trajectory
            Runs with uncorrected energies.
        rejections : sequence of sequence of Rejection
            Rejections of each run; runs rejected for anything but their functional are
            skipped.
        """
        for run, of_run in zip(runs, rejections, strict=True):
            known = math.isfinite(run.relaxed_energy)
            if known and {rejection.rule for rejection in of_run} <= {Rule.FUNCTIONAL}:
                energies = self._by_functional.setdefault(run.frames.functional, {})
                name = run.material_id
                lowest = energies.get(name, math.inf)
                energies[name] = min(run.relaxed_energy, lowest)

    def add(self, runs: Sequence[Trajectory]) -> None:
        """Add the first frame of new materials, last frames and relaxed energies.

        Parameters
        ----------
        runs : sequence of Trajectory
            Accepted runs; those of one material in order.

        Notes
        -----
        Where several tasks relaxed a material, its energy is that of the primary task;
        where no primary task is known, the lowest one.
        """
        initial = []
        for run in runs:
            name = run.material_id
            self._final_indices[name] = self._n_runs
            self._n_runs += 1
            if math.isfinite(run.relaxed_energy):
                rank = run.primary_task is None, run.relaxed_energy
                self._energies[name] = min(self._energies.get(name, rank), rank)
            if name not in self._indices:
                self._indices[name] = len(self._indices)
                initial.append(run.frames[:1])
        if initial:
            self._initial.append(Frames.concatenate(initial))
        if runs:
            self._final.append(Frames.concatenate([run.frames[-1:] for run in runs]))

    def final_structures(self, names: Iterable[str]) -> dict[str, Structure]:
        """List the last structure of the last run of materials.

        Parameters
        ----------
        names : iterable of str
            Materials.

        Returns
        -------
        dict of str to Structure
            Structures by material, in the order given.
        """
        listed = list(names)
        indices = [self._final_indices[name] for name in listed]
        structures = Frames.concatenate(self._final)[indices].to_structures()
        return dict(zip(listed, structures, strict=True))

    def collect(self, splits: Mapping[str, str]) -> Materials:
        """Build the materials of a data set.

        Parameters
        ----------
        splits : mapping of str to str
            Split of every material that has a kept frame.

        Returns
        -------
        Materials
            These materials, in that order, with the relaxed energy of the primary
            task, or else of the lowest run; NaN where no run has one.
        """
        names = np.array(list(splits))
        indices = [self._indices[name] for name in splits]
        frames = Frames.concatenate(self._initial)[indices]
        initial = replace(
            frames,
            frame_ids=names,
            splits=np.array(list(splits.values())),
            energies=np.full(len(frames), np.nan),
            forces=np.full_like(frames.forces, np.nan),
            stresses=np.full_like(frames.stresses, np.nan),
            magmoms=np.full_like(frames.magmoms, np.nan),
        )
        missing = False, math.nan
        energies = np.array([self._energies.get(name, missing)[1] for name in splits])
        return Materials(
            initial=initial,
            energies=energies * initial.n_atoms,
            by_functional={
                functional: np.array([known.get(name, np.nan) for name in splits])
                for functional, known in sorted(self._by_functional.items())
            },
        )


def list_elements(frames: Frames) -> dict[str, set[int]]:
    """List the elements of every material.

    Parameters
    ----------
    frames : Frames
        Frames of any materials.

    Returns
    -------
    dict of str to set of int
        Atomic numbers by material, in order of first occurrence.
    """
    elements: dict[str, set[int]] = {}
    for name, start, stop in zip(
        frames.material_ids.tolist(),
        frames.offsets[:-1].tolist(),
        frames.offsets[1:].tolist(),
        strict=True,
    ):
        elements.setdefault(name, set()).update(
            frames.atomic_numbers[start:stop].tolist()
        )
    return elements


def count_frames_by_element(frames: Frames) -> dict[str, int]:
    """Count the frames that contain each element.

    Parameters
    ----------
    frames : Frames
        Frames of any materials.

    Returns
    -------
    dict of str to int
        Number of frames by symbol, in order of atomic number.
    """
    contains = np.zeros((len(frames), len(Element) + 1), dtype=bool)
    contains[frames.frame_of_site, frames.atomic_numbers] = True
    counts = contains.sum(axis=0)
    numbers = np.flatnonzero(counts).tolist()
    return {Element.from_Z(z).symbol: int(counts[z]) for z in numbers}
