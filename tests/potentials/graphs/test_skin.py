"""Pairs that are kept between predictions, against those of a fresh search."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure
from tests.potentials.accelerators import DEVICE, accelerator
from tests.potentials.conftest import perturb

from nextrung.potentials.graphs import skin as skin_module
from nextrung.potentials.graphs.crystals import Crystals
from nextrung.potentials.graphs.graphs import build_graphs
from nextrung.potentials.graphs.neighbors import find_pairs
from nextrung.potentials.graphs.periodic_images import search_images
from nextrung.potentials.graphs.skin import NeighborSkin
from nextrung.potentials.relaxation.batched import relax_batched
from nextrung.schemas.relaxation import RelaxationSettings

if TYPE_CHECKING:
    from nextrung.potentials.graphs.periodic_images import ImageBoxes, ImagePairs
    from nextrung.potentials.potential import Potential

SALT = Structure(Lattice.cubic(4.2), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
IRON = Structure(Lattice([[2, 0, 0], [0.4, 3, 0], [0, 0.2, 9]]), ["Fe"], [[0.9, 0, 0]])
SLAB = Structure(
    Lattice.orthorhombic(3.0, 3.2, 15.0),
    ["O", "Ti", "O"],
    [[0.0, 0.0, 0.02], [0.5, 0.5, 0.1], [0.0, 0.5, 0.98]],
)


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of crystals of each search."""
    numbers: list[int] = []

    def count(sites: Any, boxes: ImageBoxes, cutoff: float) -> ImagePairs:  # noqa: ANN401
        numbers.append(int((boxes.n_images > 0).sum()))
        return search_images(sites, boxes, cutoff)

    monkeypatch.setattr(skin_module, "search_images", count)
    return numbers


def list_graph(crystals: Crystals) -> list[torch.Tensor]:
    """The pairs, vectors and angles of crystals on the accelerator."""
    with accelerator():
        pairs = find_pairs(crystals, device=DEVICE)
        graphs = build_graphs(crystals, DEVICE, torch.float64, pairs=pairs)
        there = [
            *(pairs.ends, pairs.images, graphs.vectors),
            *(graphs.messages.first.index, graphs.angles.first.index),
        ]
        return [
            torch.from_numpy(pairs.offsets),
            torch.from_numpy(pairs.n_angles),
            *(tensor.cpu() for tensor in there),
        ]


def assert_equal_to_fresh(
    skin: NeighborSkin, crystals: Crystals, keys: list[int]
) -> None:
    """Every bit, and the order of the pairs."""
    kept = list_graph(skin.track(crystals, np.array(keys)))
    for own, fresh in zip(kept, list_graph(crystals), strict=True):
        torch.testing.assert_close(own, fresh, rtol=0, atol=0)


def test_pairs_and_angles_of_64_relaxations_are_those_of_fresh_searches(
    prototypes: list[Structure],
    target: Potential,
    searched: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(1)
    small = [perturb(prototypes[index], rng) for index in range(64)]
    steps: list[Any] = []
    predict = target.predict_batch

    def record(crystals: Any, properties: str) -> Any:  # noqa: ANN401
        steps.append(crystals)
        return predict(crystals, properties)

    monkeypatch.setattr(target, "predict_batch", record)
    settings = RelaxationSettings(fmax=0.05, max_steps=10)
    list(relax_batched(target, enumerate(small), settings, max_batch_cost=20_000))
    skin = NeighborSkin()
    for step in steps:
        plain = Crystals(
            step.offsets, step.atomic_numbers, step.lattices, step.frac_coords
        )
        assert_equal_to_fresh(skin, plain, step.keys.tolist())
    n_evaluations = sum(map(len, steps))
    assert sum(searched) - n_evaluations < 0.4 * n_evaluations


@pytest.mark.parametrize("scale", [0.003, 0.05, 0.2, 1.0])
def test_crystals_that_moved_far_are_searched_again(
    scale: float, searched: list[int]
) -> None:
    """Sites, cells and both; small moves need no search, large ones always do."""
    rng = np.random.default_rng(0)
    crystals, skin = Crystals.of([SALT, IRON, SLAB]), NeighborSkin()
    assert_equal_to_fresh(skin, crystals, [0, 1, 2])
    for _ in range(12):
        moves = rng.normal(scale=scale, size=crystals.frac_coords.shape)
        strains = rng.normal(scale=0.03 * scale, size=crystals.lattices.shape)
        moved = crystals.frac_coords + moves @ np.linalg.inv(SALT.lattice.matrix)
        lattices = crystals.lattices @ (np.eye(3) + strains)
        changed = replace(crystals, frac_coords=moved, lattices=lattices)
        assert_equal_to_fresh(skin, changed, [0, 1, 2])
    again = sum(searched) - 13 * 3 - 3
    assert again == 0 if scale == 0.003 else again > 0


def test_crystals_come_and_go(searched: list[int]) -> None:
    """Only new ones are searched, and those whose key had another size before."""
    skin, crystals = NeighborSkin(), Crystals.of([SALT, IRON, SLAB])
    for chosen, keys, n_searched in [
        ([0, 1], [7, 3], 2),
        ([1, 0], [3, 7], 0),
        ([2, 1], [5, 3], 1),
        ([1], [3], 0),
        ([0, 2, 1], [3, 5, 7], 3),
        ([0, 2, 1], [3, 5, 7], 0),
    ]:
        searched.clear()
        assert_equal_to_fresh(skin, crystals[chosen], keys)
        assert sum(searched) == n_searched + len(chosen)
    assert_equal_to_fresh(skin, crystals[[]], [])


def test_selected_crystals_keep_their_keys() -> None:
    tracked = NeighborSkin().track(Crystals.of([SALT, IRON, SLAB]), np.array([4, 5, 6]))
    chosen = tracked[np.array([2, 0])]
    assert chosen.keys.tolist() == [6, 4]
    assert chosen.skin is tracked.skin
    assert chosen.n_atoms.tolist() == [3, 2]
