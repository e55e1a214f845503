"""What a data set holds: its names, elements and materials."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Element

from nextrung.schemas.base import InputError
from nextrung.schemas.frames import Frames
from nextrung.schemas.materials import Materials

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nextrung.schemas.trajectory import Trajectory

#: Heaviest element a potential has a place for.
MAX_ATOMIC_NUMBER = 94


def refuse_heavy_elements(frames: Frames) -> None:
    """Refuse frames that no potential can have learnt.

    Parameters
    ----------
    frames : Frames
        Frames to look through.

    Raises
    ------
    InputError
        If an element lies beyond plutonium.
    """
    heavy = np.flatnonzero(frames.atomic_numbers > MAX_ATOMIC_NUMBER)
    if len(heavy):
        number = int(frames.atomic_numbers[heavy[0]])
        frame_id = frames.frame_ids[frames.frame_of_site[heavy[0]]]
        raise InputError(
            f"frame {frame_id}: expected elements up to Pu (Z = {MAX_ATOMIC_NUMBER}), "
            f"met {Element.from_Z(number)} (Z = {number})"
        )


def refuse_repeated_names(frames: Frames) -> None:
    """Refuse frames that cannot be told apart.

    Parameters
    ----------
    frames : Frames
        Frames to look through.

    Raises
    ------
    InputError
        If two frames have one name.
    """
    names, counts = np.unique(frames.frame_ids, return_counts=True)
    if (counts > 1).any():
        repeated = str(names[counts > 1][0])
        raise InputError(f"expected a name for every frame, met {repeated!r} twice")


def collect_materials(runs: Sequence[Trajectory], frames: Frames) -> Materials:
    """Collect initial structure and relaxed energy of the materials of frames.

    Parameters
    ----------
    runs : sequence of Trajectory
        Runs that are wanted; those of one material in their order.
    frames : Frames
        The kept frames, in their splits.

    Returns
    -------
    Materials
        Materials in the order in which their frames come, each with the relaxed energy
        of its last run.
    """
    first: dict[str, Trajectory] = {}
    last: dict[str, Trajectory] = {}
    for run in runs:
        first.setdefault(run.material_id, run)
        last[run.material_id] = run
    splits = dict(zip(frames.material_ids.tolist(), frames.splits, strict=True))
    initial = Frames.from_structures(
        [first[name].frames[:1].to_structures()[0] for name in splits],
        list(splits),
        functional=frames.functional,
    )
    energies = np.array([last[name].relaxed_energy for name in splits])
    return Materials(
        initial=initial.with_splits(np.array(list(splits.values()))),
        energies=energies * initial.n_atoms,
    )


def count_frames_by_element(frames: Frames) -> dict[str, int]:
    """Count the frames that hold each element.

    Parameters
    ----------
    frames : Frames
        Frames of any materials.

    Returns
    -------
    dict of str to int
        Number of frames by symbol, in order of atomic number.
    """
    pairs = np.unique(
        np.stack([frames.atomic_numbers.astype(np.int64), frames.frame_of_site]), axis=1
    )
    counts = Counter(pairs[0].tolist())
    return {Element.from_Z(number).symbol: n for number, n in sorted(counts.items())}
