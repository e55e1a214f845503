"""Choice of structures to label, so that every element is labelled early."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


def choose_structures(
    elements: Sequence[Collection[int]], count: int, seed: int
) -> list[int]:
    """Choose structures one by one, those with the least chosen elements first.

    Parameters
    ----------
    elements : sequence of collection of int
        Atomic numbers of the elements of each structure.
    count : int
        Number of structures to choose.
    seed : int
        Random seed of the order among equal structures.

    Returns
    -------
    list of int
        Indices in order of choice; a smaller count gives the first of them.

    Raises
    ------
    InputError
        If there are fewer structures than requested.

    Notes
    -----
    Each step takes the structure with the element that the fewest chosen structures
    contain: an element needs labels to have an atomic reference energy, and more labels
    make it more accurate.
    """
    if not 0 < count <= len(elements):
        raise InputError(f"expected 1 to {len(elements)} structures, got {count}")
    order = np.random.default_rng(seed).permutation(len(elements))
    candidates = [sorted(set(elements[index])) for index in order.tolist()]
    n_chosen = np.zeros(max(map(max, candidates)) + 1)
    contains = np.zeros((len(candidates), len(n_chosen)), dtype=bool)
    for candidate, numbers in enumerate(candidates):
        contains[candidate, numbers] = True
    chosen: list[int] = []
    for _ in range(count):
        rarity = np.where(contains, n_chosen, np.inf).min(axis=1)
        rarity[chosen] = np.inf
        chosen.append(int(rarity.argmin()))
        n_chosen[candidates[chosen[-1]]] += 1
    return [int(order[candidate]) for candidate in chosen]
