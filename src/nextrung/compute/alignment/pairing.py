"""Pairs of energies of two functionals."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nextrung.schemas.alignment import Pairing
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Hashable

    from nextrung.schemas.frames import Frames


def pair_frames(
    target: Frames, source: Frames, pairing: Pairing
) -> tuple[Frames, Frames]:
    """Pair the energies of two functionals.

    Parameters
    ----------
    target, source : Frames
        Frames with energies of each functional.
    pairing : Pairing
        Whether to pair frames of the same id, or the lowest-energy frames of the same
        material and reduced formula.

    Returns
    -------
    target : Frames
        Frames to compare: all, or the lowest of each material and formula.
    source : Frames
        The same frames with the source functional's energy per atom of their partner;
        NaN without a partner.

    Raises
    ------
    InputError
        If no frame has a partner.
    """
    chosen = target
    if pairing is Pairing.MATERIALS:
        chosen = target[np.sort(list(_find_lowest(target).values()))]
        partners = _find_lowest(source)
        keys: list[Hashable] = list(_name_materials(chosen))
    else:
        partners = {name: i for i, name in enumerate(source.frame_ids.tolist())}
        keys = chosen.frame_ids.tolist()
    per_atom = source.energies / source.n_atoms
    found = [per_atom[partners[key]] if key in partners else np.nan for key in keys]
    if not np.isfinite(found).any():
        raise InputError(
            f"alignment: expected {pairing} of both functionals, got none that "
            f"{len(target)} target and {len(source)} source frames share, such as "
            f"{keys[0] if keys else 'none'}"
        )
    return chosen, replace(chosen, energies=np.array(found) * chosen.n_atoms)


def _name_materials(frames: Frames) -> list[tuple[str, str]]:
    """List the material and reduced formula of every frame."""
    formulas = [composition.reduced_formula for composition in frames.compositions()]
    return list(zip(frames.material_ids.tolist(), formulas, strict=True))


def _find_lowest(frames: Frames) -> dict[Hashable, int]:
    """Find the frame of the lowest energy per atom of each material and formula."""
    per_atom = frames.energies / frames.n_atoms
    lowest: dict[Hashable, int] = {}
    for index, name in enumerate(_name_materials(frames)):
        if not np.isfinite(per_atom[index]):
            continue
        if name not in lowest or per_atom[index] < per_atom[lowest[name]]:
            lowest[name] = index
    return lowest
