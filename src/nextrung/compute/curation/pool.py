"""Structures of a pool that must not be labelled for training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Element

from nextrung.compute.curation.split_groups import group_materials
from nextrung.schemas.base import InputError
from nextrung.schemas.dataset import SplitUnit

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from nextrung.schemas.dataset import SplitSettings
    from nextrung.schemas.frames import Frames

#: Splits that are never trained on.
HELD_OUT = ("val", "test")


def find_held_out(
    pool: Frames, dataset: Frames, settings: SplitSettings
) -> dict[int, str]:
    """Find the structures of a pool that are of held-out materials.

    Parameters
    ----------
    pool : Frames
        Structures to choose from.
    dataset : Frames
        Labelled frames in their splits.
    settings : SplitSettings
        Unit of the split, and when two structures are the same crystal.

    Returns
    -------
    dict of int to str
        Why a structure is left out, by its index: it has the name of a held-out
        material, is the same crystal as one of its frames, is in the same unit of the
        split, or is of a material of which another structure is.
    """
    held_out = dataset[np.isin(dataset.splits, HELD_OUT)]
    names = set(held_out.material_ids.tolist())
    structures = pool.to_structures()
    materials = pool.material_ids.tolist()
    reasons = {
        index: f"its material {name} is held out"
        for index, name in enumerate(materials)
        if name in names
    }
    for index, other in _find_twins(structures, held_out, settings).items():
        reasons.setdefault(index, f"held-out material {other} is in the same group")
    of_material = {materials[index]: reason for index, reason in reasons.items()}
    return {
        index: reasons.get(index, of_material[name])
        for index, name in enumerate(materials)
        if name in of_material
    }


def _find_twins(
    structures: list[Structure], held_out: Frames, settings: SplitSettings
) -> dict[int, str]:
    """Find a held-out material in the group of each structure, if there is one.

    Where the unit of the split is a material by its name, it is a crystal here: names
    of a pool are those of its files.
    """
    if settings.unit is SplitUnit.MATERIAL:
        settings = settings.model_copy(update={"unit": SplitUnit.CRYSTAL})
    named: dict[str, Structure] = {
        f"pool {index}": structure for index, structure in enumerate(structures)
    }
    frames = held_out.to_structures()
    material_of = {
        f"held out {index}": name
        for index, name in enumerate(held_out.material_ids.tolist())
    }
    named |= dict(zip(material_of, frames, strict=True))
    groups = group_materials(named, settings)
    held = {groups[name]: material for name, material in material_of.items()}
    return {
        index: held[groups[f"pool {index}"]]
        for index in range(len(structures))
        if groups[f"pool {index}"] in held
    }


def validate_pool_elements(pool: Frames, dataset: Frames) -> None:
    """Check that a pool has no element that the data set lacks.

    Parameters
    ----------
    pool : Frames
        Structures to choose from.
    dataset : Frames
        Labelled frames.

    Raises
    ------
    InputError
        If an element is in no frame of the data set: its labels cannot lower an error
        of the held-out frames.
    """
    missing = np.setdiff1d(pool.atomic_numbers, dataset.atomic_numbers)
    if missing.size:
        symbols = ", ".join(Element.from_Z(int(number)).symbol for number in missing)
        frame = pool.frame_of_site[np.isin(pool.atomic_numbers, missing)][0]
        raise InputError(
            f"--pool: expected elements of the data set of the study, got {symbols} "
            f"in {pool.frame_ids[frame]}"
        )


def find_labelled(pool: Frames, dataset: Frames) -> dict[int, str]:
    """Find the structures of a pool whose names are those of labelled frames.

    Parameters
    ----------
    pool : Frames
        Structures to choose from.
    dataset : Frames
        Labelled frames; those of a calculation end in ``#`` and a number.

    Returns
    -------
    dict of int to str
        Why a structure is left out, by its index.
    """
    known = {name.rpartition("#")[0] or name for name in dataset.frame_ids.tolist()}
    known |= set(dataset.frame_ids.tolist())
    return {
        index: "a frame of its name is labelled already"
        for index, name in enumerate(pool.frame_ids.tolist())
        if name in known
    }
