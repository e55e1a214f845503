"""Split of materials into training, validation and test sets."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from nextrung.schemas.dataset import SplitSettings


def split_materials(
    elements: Mapping[str, Collection[int]], settings: SplitSettings
) -> dict[str, str]:
    """Assign every material to a split.

    Parameters
    ----------
    elements : mapping of str to collection of int
        Atomic numbers of the elements of each material.
    settings : SplitSettings
        Fractions and seed.

    Returns
    -------
    dict of str to str
        ``train``, ``val`` or ``test`` by material, in the order given; the split does
        not depend on the order.

    Raises
    ------
    InputError
        If there are too few materials for a fraction, or too few to keep every element
        in training.

    Notes
    -----
    Validation and test sets have ``int(fraction * n_materials)`` materials, as in Huang
    et al. (2025), and training has the rest. Where every element must be in training,
    materials are drawn for test and validation in random order, skipping those that are
    the last in training with one of their elements.
    """
    names = sorted(elements)
    n_held_out = {
        name: _size(share, len(names), name)
        for name, share in (("test", settings.test), ("val", settings.val))
    }
    order = np.random.default_rng(settings.seed).permutation(len(names))
    n_holders = Counter(number for held in elements.values() for number in set(held))
    splits = dict.fromkeys(elements, "train")
    waiting = iter(order.tolist())
    for split, size in n_held_out.items():
        for _ in range(size):
            for index in waiting:
                held = set(elements[names[index]])
                if not settings.keep_elements_in_train or _release(held, n_holders):
                    splits[names[index]] = split
                    break
            else:
                raise InputError(
                    f"the {split} split cannot be filled: too few of the {len(names)} "
                    "materials can be spared without losing an element from training"
                )
    return splits


def _release(held: Collection[int], n_holders: Counter[int]) -> bool:
    """Take a material out of training, unless an element would be lost."""
    if any(n_holders[number] == 1 for number in held):
        return False
    n_holders.subtract(held)
    return True


def _size(share: float, n_materials: int, name: str) -> int:
    """Compute the number of materials of a split; validate that it is not zero."""
    size = int(share * n_materials)
    if share > 0 and size == 0:
        raise InputError(
            f"the {name} split is empty: {share:g} of {n_materials} materials is less "
            "than one"
        )
    return size
