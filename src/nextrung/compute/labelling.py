"""Which structures to label next, so that every element is known as soon as can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


def choose_structures(
    elements: Sequence[Collection[int]], count: int, seed: int
) -> list[int]:
    """Choose structures one by one, the rarest elements among the chosen first.

    Parameters
    ----------
    elements : sequence of collection of int
        Atomic numbers in each structure.
    count : int
        Structures to choose.
    seed : int
        Seed of the order among structures that are equally wanted.

    Returns
    -------
    list of int
        Indices in the order of choice: a smaller count chooses the first of them.

    Raises
    ------
    InputError
        If there are fewer structures.

    Notes
    -----
    Each time, the structure is taken that holds the element which the fewest chosen
    ones hold. A reference energy needs its element in the labels at all, and is the
    better the more often it is there.
    """
    if not 0 < count <= len(elements):
        raise InputError(f"expected 1 to {len(elements)} structures, got {count}")
    order = np.random.default_rng(seed).permutation(len(elements))
    waiting = [sorted(set(elements[place])) for place in order.tolist()]
    n_holders = np.zeros(max(map(max, waiting)) + 1)
    holds = np.zeros((len(waiting), len(n_holders)), dtype=bool)
    for place, held in enumerate(waiting):
        holds[place, held] = True
    chosen: list[int] = []
    for _ in range(count):
        rarity = np.where(holds, n_holders, np.inf).min(axis=1)
        rarity[chosen] = np.inf
        chosen.append(int(rarity.argmin()))
        n_holders[waiting[chosen[-1]]] += 1
    return [int(order[place]) for place in chosen]
