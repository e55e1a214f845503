"""Division of materials into shards of similar cost."""

from __future__ import annotations

import heapq
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from nextrung.schemas.relaxation import RelaxationRecord


def count_shards(n_materials: int, materials_per_shard: int) -> int:
    """Compute the number of shards that materials are divided into.

    Parameters
    ----------
    n_materials : int
        Number of materials to relax.
    materials_per_shard : int
        Approximate number of materials per shard.

    Returns
    -------
    int
        Number of shards, at least one.
    """
    return max(1, -(-n_materials // materials_per_shard))


def cut_shards(n_atoms: NDArray[np.int64], n_shards: int) -> list[NDArray[np.int64]]:
    """Divide materials into shards of similar numbers of atoms.

    The largest remaining material goes to the shard with the fewest atoms, so that the
    shards depend only on the numbers of atoms.

    Parameters
    ----------
    n_atoms : ndarray of int, shape (n_materials,)
        Atoms of each material.
    n_shards : int
        Number of shards.

    Returns
    -------
    list of ndarray of int
        Indices of the materials of each shard, ascending.
    """
    members: list[list[int]] = [[] for _ in range(n_shards)]
    loads = [(0, 0, shard) for shard in range(n_shards)]
    for material in np.argsort(-n_atoms, kind="stable"):
        load, count, shard = heapq.heappop(loads)
        members[shard].append(int(material))
        heapq.heappush(loads, (load + int(n_atoms[material]), count + 1, shard))
    return [np.sort(np.array(shard, dtype=np.int64)) for shard in members]


def count_statuses(records: Iterable[RelaxationRecord]) -> dict[str, int]:
    """Count relaxations by status.

    Parameters
    ----------
    records : iterable of RelaxationRecord
        Relaxations of any materials.

    Returns
    -------
    dict of str to int
        Number of relaxations by status; absent statuses did not occur.
    """
    return dict(Counter(record.status.value for record in records))
