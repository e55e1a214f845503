"""The graphs against those of chgnet's own converter."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from chgnet.graph import CrystalGraphConverter
from pymatgen.core import Lattice, Structure

from nextrung.potentials.graphs.crystals import Crystals
from nextrung.potentials.graphs.graphs import GraphBatch, build_graphs
from nextrung.potentials.graphs.neighbors import find_pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONVERT = CrystalGraphConverter(
    atom_graph_cutoff=6, bond_graph_cutoff=3, on_isolated_atoms="ignore"
)
TINY = [Structure(Lattice.cubic(a), ["Cs"], [[0, 0, 0]]) for a in (1.6, 2.9, 4.5, 5.9)]
GRAPHENE = Structure(
    Lattice.hexagonal(2.46, 6.7), ["C", "C"], [[0, 0, 0.25], [1 / 3, 2 / 3, 0.25]]
)
ELONGATED = Structure(
    Lattice.orthorhombic(2.9, 3.1, 61.0), ["Ti", "O"], [[0, 0, 0.1], [0.5, 0.5, 0.12]]
)
UNWRAPPED = Structure(
    Lattice.from_parameters(3.5, 4.0, 5.2, 62, 118, 75),
    ["Li", "O", "Fe"],
    [[-1.2, 2.3, 0.1], [3.4, -0.4, 1.6], [0.5, 0.5, -2.4]],
)
ODD = [*TINY, GRAPHENE, ELONGATED, UNWRAPPED]


def as_keys(columns: NDArray[np.float64]) -> Counter[tuple[int, ...]]:
    """Count rows of indices and vectors, to 1e-5 and off any round number."""
    return Counter(map(tuple, np.floor(columns * 1e5 + 0.3183).astype(int).tolist()))


def chgnet_rows(structure: Structure) -> tuple[Counter[tuple[int, ...]], ...]:
    """Directed edges and angles by chgnet, described by atoms and vectors."""
    graph = CONVERT(structure)
    first, second = graph.atom_graph.numpy().reshape(-1, 2).T
    coords, cell = structure.cart_coords, structure.lattice.matrix
    vectors = coords[first] - coords[second] - graph.neighbor_image.numpy() @ cell
    angles = graph.bond_graph.numpy().reshape(-1, 5)
    edges = np.column_stack([first, second, vectors])
    rows = np.column_stack([angles[:, 0], vectors[angles[:, 2]], vectors[angles[:, 4]]])
    return as_keys(edges), as_keys(rows)


def own_rows(graphs: GraphBatch) -> tuple[Counter[tuple[int, ...]], ...]:
    """Messages and angles of a batch, described the same way."""
    vectors = torch.cat([graphs.vectors, -graphs.vectors])
    ends = torch.stack(
        [graphs.messages.first.index, graphs.messages.second.index], dim=1
    )
    directed = graphs.directed
    bonds = graphs.vectors[directed.bonds.index] * directed.signs
    first, second = graphs.angles.first.index, graphs.angles.second.index
    atoms = directed.atoms.index[first][:, None]
    assert directed.atoms.index[second].equal(atoms[:, 0])
    angles = torch.cat([atoms, bonds[first], bonds[second]], dim=1)
    return as_keys(torch.cat([ends, vectors], 1).numpy()), as_keys(angles.numpy())


def build_one(structure: Structure) -> GraphBatch:
    return build_graphs(Crystals.of([structure]), dtype=torch.float64)


def test_graphs_of_all_prototypes_are_those_of_chgnet(
    prototypes: list[Structure],
) -> None:
    chosen = [structure for structure in prototypes if len(structure) <= 30]
    assert len(chosen) > 200
    different = [
        structure.formula
        for structure in chosen
        if own_rows(build_one(structure)) != chgnet_rows(structure)
    ]
    assert different == []


@pytest.mark.parametrize("structure", ODD, ids=lambda s: s.formula + str(s.lattice.a))
def test_graphs_of_odd_cells_are_those_of_chgnet(structure: Structure) -> None:
    assert own_rows(build_one(structure)) == chgnet_rows(structure)


def test_a_bond_of_exactly_the_cutoff_has_no_angles() -> None:
    """chgnet lists such angles on one side; their weight is zero."""
    cubic = Structure(Lattice.cubic(3.0), ["Fe"], [[0, 0, 0]])
    assert build_one(cubic).n_angles == 0
    assert build_one(cubic).n_short == 0


def test_a_batch_has_the_graphs_of_its_crystals() -> None:
    batch = build_graphs(Crystals.of(ODD), dtype=torch.float64)
    alone = [build_one(structure) for structure in ODD]
    assert batch.n_bonds == sum(graphs.n_bonds for graphs in alone)
    assert batch.n_short == sum(graphs.n_short for graphs in alone)
    assert batch.n_angles == sum(graphs.n_angles for graphs in alone)
    assert batch.n_atoms.tolist() == [len(structure) for structure in ODD]
    together = sum((own_rows(graphs)[1] for graphs in alone), Counter())
    vectors_only = Counter(key[1:] for key in together.elements())
    batched = Counter(key[1:] for key in own_rows(batch)[1].elements())
    assert batched == vectors_only


def test_bonds_connect_atoms_of_one_crystal() -> None:
    batch = build_graphs(Crystals.of(ODD))
    ends = batch.messages.first.index.view(2, -1)
    owners = batch.owners.index
    assert owners[ends[0]].equal(owners[ends[1]])
    volumes = [structure.volume for structure in ODD]
    assert batch.volumes.tolist() == pytest.approx(volumes)


def test_bonds_with_angles_come_first() -> None:
    batch = build_graphs(Crystals.of(ODD))
    lengths = torch.linalg.vector_norm(batch.vectors, dim=1)
    assert lengths[: batch.n_short].max() < 3.0
    assert lengths[batch.n_short :].min() >= 3.0
    assert len(batch) == len(ODD)


def test_pairs_of_a_larger_cutoff_give_the_same_graphs() -> None:
    crystals = Crystals.of([UNWRAPPED])
    wide = find_pairs(crystals, 7.0)
    kept = build_graphs(crystals, dtype=torch.float64, pairs=wide)
    assert own_rows(kept) == own_rows(build_one(UNWRAPPED))


def test_segments_sort_their_rows_by_source() -> None:
    batch = build_graphs(Crystals.of(ODD))
    all_segments = [batch.owners, batch.directed.bonds, batch.directed.atoms]
    for pair in (batch.messages, batch.angles):
        all_segments += [pair.first, pair.second]
    for segments in all_segments:
        assert segments.index[segments.order].diff().min() >= 0
        assert segments.order.sort().values.equal(torch.arange(len(segments.order)))
        counts = torch.bincount(segments.index, minlength=len(segments.starts) - 1)
        assert segments.starts.diff().equal(counts)
