"""The search on any device against the linked cells of pymatgen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from nextrung.potentials.graphs import periodic_images
from nextrung.potentials.graphs.crystals import Crystals
from nextrung.potentials.graphs.neighbors import find_pairs
from nextrung.potentials.graphs.periodic_images import search_images

if TYPE_CHECKING:
    from numpy.typing import NDArray

CPU = torch.device("cpu")
CUTOFF = 6.0
ODD = [
    Structure(Lattice.cubic(1.7), ["H"], [[0.2, 0.4, 0.9]]),
    Structure(Lattice.cubic(7.0), ["Cs"], [[0, 0, 0]]),
    Structure(
        Lattice([[3.1, 0, 0], [8.7, 4.2, 0], [-9.2, 1.1, 3.6]]),
        ["Fe", "O"],
        [[0.1, 0.2, 0.3], [0.55, 0.8, 0.6]],
    ),
    Structure(
        Lattice([[0, 4.1, 0], [3.3, 0, 0], [0, 0, 40.0]]),
        ["Ti", "O", "O"],
        [[0, 0, 0.99], [0.5, 0.5, 0.01], [0.5, 0.5, 0.04]],
    ),
]


def sort_rows(
    ends: torch.Tensor, images: torch.Tensor, lengths: torch.Tensor
) -> NDArray[np.float64]:
    """Sort pairs by their sites and images."""
    rows = np.column_stack([ends.T.numpy(), images.numpy(), lengths.numpy()])
    return rows[np.lexsort(rows.T[4::-1])]


def compare(structures: list[Structure]) -> None:
    crystals = Crystals.of(structures)
    expected = find_pairs(crystals)
    starts = torch.from_numpy(np.repeat(crystals.offsets[:-1], expected.n_pairs))
    own = search_images(crystals, CUTOFF, CPU)
    np.testing.assert_array_equal(own[3], expected.n_pairs)
    np.testing.assert_allclose(
        sort_rows(*own[:3]),
        sort_rows(expected.ends + starts, expected.images, expected.lengths),
        atol=1e-10,
    )


def wrap(structures: list[Structure]) -> list[Structure]:
    return [Structure(s.lattice, s.species, s.frac_coords % 1) for s in structures]


def test_pairs_are_those_of_linked_cells(structures: list[Structure]) -> None:
    compare(wrap([*ODD, *structures]))


@pytest.mark.parametrize("limit", [1, 500])
def test_trying_candidates_in_runs_changes_nothing(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(periodic_images, "_MAX_CANDIDATES", limit)
    compare(ODD)


def test_no_crystals_have_no_pairs() -> None:
    ends, images, lengths, n_pairs = search_images(Crystals.of([]), CUTOFF, CPU)
    assert ends.shape == (2, 0)
    assert images.shape == (0, 3)
    assert lengths.shape == (0,)
    assert n_pairs.shape == (0,)
