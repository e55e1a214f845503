"""The neighbor searches against each other and against pymatgen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from nextrung.potentials.graphs import periodic_images
from nextrung.potentials.graphs.crystals import Crystals
from nextrung.potentials.graphs.neighbors import find_pairs
from nextrung.potentials.graphs.skin import NeighborSkin

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.potentials.graphs.periodic_images import ImagePairs


SKEWED = Structure(
    Lattice([[3.1, 0, 0], [1.7, 4.2, 0], [-2.2, 1.1, 3.6]]),
    ["Fe", "O"],
    [[0.1, 0.2, 0.3], [0.55, 0.8, 0.6]],
)


def list_directed(structure: Structure) -> set[tuple[int, ...]]:
    """Edges as pymatgen's own method lists them."""
    first, second, images, _ = structure.get_neighbor_list(6.0)
    rows = np.column_stack([first, second, images]).astype(int)
    return set(map(tuple, rows.tolist()))


def list_both_directions(structure: Structure) -> set[tuple[int, ...]]:
    """Edges found here, each pair in both directions."""
    pairs = find_pairs(Crystals.of([structure]))
    forth = np.column_stack([pairs.ends.T, pairs.images])
    back = np.column_stack([pairs.ends.T.flip(1), -pairs.images])
    both = np.concatenate([forth, back]).astype(int)
    assert len(set(map(tuple, both.tolist()))) == len(both)
    return set(map(tuple, both.tolist()))


def test_each_pair_of_pymatgen_is_found_once() -> None:
    assert list_both_directions(SKEWED) == list_directed(SKEWED)


def test_images_refer_to_coordinates_that_are_not_wrapped() -> None:
    moved = Structure(
        SKEWED.lattice,
        SKEWED.species,
        SKEWED.frac_coords + np.array([[3, -2, 0], [0, 5, 7]]),
    )
    pairs = find_pairs(Crystals.of([moved]))
    first, second = moved.cart_coords[pairs.ends]
    vectors = first - second - pairs.images.numpy() @ moved.lattice.matrix
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), pairs.lengths)
    assert len(first) == len(list_directed(SKEWED)) / 2


def test_left_handed_cells_have_the_same_pairs() -> None:
    swapped = Structure(
        Lattice(SKEWED.lattice.matrix[[1, 0, 2]]),
        SKEWED.species,
        SKEWED.frac_coords[:, [1, 0, 2]],
    )
    pairs = find_pairs(Crystals.of([SKEWED, swapped]))
    assert pairs.n_pairs[0] == pairs.n_pairs[1]


@pytest.mark.parametrize("edge", [1.4, 2.9, 3.0, 5.9])
def test_a_single_atom_has_pairs_with_its_images(edge: float) -> None:
    cubic = Structure(Lattice.cubic(edge), ["Fe"], [[0.3, 0.3, 0.3]])
    reach = np.arange(-5, 6)
    grid = np.stack(np.meshgrid(reach, reach, reach), -1).reshape(-1, 3)
    lengths = np.linalg.norm(grid, axis=1) * edge
    n_neighbours = np.count_nonzero((lengths > 0) & (lengths <= 6.0))
    n_short = np.count_nonzero((lengths > 0) & (lengths < 3.0))
    pairs = find_pairs(Crystals.of([cubic]))
    assert 2 * pairs.n_pairs[0] == n_neighbours
    assert pairs.n_angles[0] == n_short * (n_short - 1)
    assert pairs.costs[0] == n_neighbours + pairs.n_angles[0]


@pytest.mark.parametrize("chosen", [[1], [0, 1], [1, 2], [2, 0], [0, 1, 2]])
def test_pairs_of_selected_crystals_are_those_of_the_crystals_alone(
    chosen: list[int],
) -> None:
    """Of neighbors in the list, which are not copied, and of others."""
    iron = Structure(Lattice.cubic(2.8), ["Fe"], [[0, 0, 0]])
    crystals = Crystals.of([iron, SKEWED, iron])
    found = find_pairs(crystals)[chosen]
    alone = find_pairs(crystals[chosen])
    for name in ("offsets", "ends", "images", "lengths", "n_angles"):
        np.testing.assert_array_equal(getattr(found, name), getattr(alone, name))
    assert found.isolated.tolist() == [-1] * len(chosen)


def test_no_crystals_have_no_pairs() -> None:
    assert find_pairs(Crystals.of([])).n_pairs.size == 0


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
    """Compare the search over images to that of linked cells."""
    crystals = Crystals.of(structures)
    expected = find_pairs(crystals)
    own, lengths = search(crystals)
    np.testing.assert_array_equal(own.n_pairs, expected.n_pairs)
    assert own.counts.tolist() == own.n_pairs.tolist()
    starts = torch.from_numpy(np.repeat(crystals.offsets[:-1], own.n_pairs))
    np.testing.assert_allclose(
        sort_rows(own.ends + starts, own.images, lengths),
        sort_rows(expected.ends + starts, expected.images, expected.lengths),
        atol=1e-10,
    )


def search(crystals: Crystals) -> tuple[ImagePairs, torch.Tensor]:
    """Search over images: pairs and their lengths."""
    skin, keys = NeighborSkin(0.0), np.arange(len(crystals))
    sites, found = skin.search(crystals, keys, cutoff=CUTOFF, device=CPU)
    bonds = sites.list_bonds(found.ends, found.images, found.counts)
    return found, torch.linalg.vector_norm(bonds.vectors, dim=1)


def test_a_search_over_images_finds_the_pairs_of_linked_cells(
    structures: list[Structure],
) -> None:
    compare([*ODD, *structures])


@pytest.mark.parametrize("limit", [1, 500])
def test_a_search_over_images_does_not_depend_on_its_batches(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(periodic_images, "_MAX_CANDIDATES", limit)
    compare(ODD)


def test_a_search_over_images_of_no_crystals_finds_no_pairs() -> None:
    found, lengths = search(Crystals.of([]))
    assert found.ends.shape == (2, 0)
    assert found.images.shape == (0, 3)
    assert lengths.shape == found.counts.shape == found.n_pairs.shape == (0,)
