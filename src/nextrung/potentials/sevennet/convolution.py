"""Tensor-product convolution of SevenNet on pairs of atoms.

A directed edge and its reverse have the same length, hence the same radial weights, and
spherical harmonics that differ by the sign (-1)^l: both are computed once per pair. The
harmonics are contracted with the Wigner 3j symbols first, so that the message of an
edge is a small matrix times the features of the sending atom. Features have their
components before their channels here: all products run along contiguous channels.

References
----------
Y. Park et al., J. Chem. Theory Comput. 20, 4857 (2024).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from e3nn.o3 import wigner_3j
from torch import Tensor

from nextrung.potentials.sevennet.messages import sum_messages, sum_messages_once

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from e3nn.o3 import Irreps
    from sevenn.nn.convolution import IrrepsConvolution

    from nextrung.potentials.graphs.segment_ops import Segments


@dataclass(frozen=True, eq=False)
class Edges:
    """Directed edges of a batch: each pair and, next to it, its reverse.

    Parameters
    ----------
    senders, receivers : Segments
        Sending and receiving atom of each of the ``2 n_pairs`` edges.
    basis : Tensor of float, shape (n_pairs, n_radial)
        Radial basis of each pair.
    harmonics : Tensor of float, shape (2 n_pairs, n_harmonics)
        Spherical harmonics of each edge.
    """

    senders: Segments
    receivers: Segments
    basis: Tensor
    harmonics: Tensor


@dataclass(frozen=True, eq=False)
class _Block:
    """Paths of the tensor product that start at one block of the features.

    ``paths`` are their positions in the list of all paths, ``slots`` those of their
    outputs, and ``rows`` their numbers of components. ``couplings`` has the shape
    (n_harmonics, n_rows * n_in), ``path_of_row`` the shape (n_rows,).
    """

    mul: int
    paths: tuple[int, ...]
    slots: tuple[int, ...]
    rows: tuple[int, ...]
    couplings: Tensor
    path_of_row: Tensor
    moved: dict[Any, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def constants(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return the couplings and the paths of the rows on the device of a tensor."""
        key = (like.device, like.dtype)
        if key not in self.moved:
            couplings = self.couplings.to(like)
            self.moved[key] = (couplings, self.path_of_row.to(like.device))
        return self.moved[key]


class Convolution:
    """Plan of one convolution layer of a model.

    Parameters
    ----------
    layer : IrrepsConvolution
        Layer of sevenn, whose weights are read at each call.
    """

    def __init__(self, layer: IrrepsConvolution) -> None:
        arguments: Mapping[str, Any] = layer.convolution_kwargs
        self._layer = layer
        self._inputs: Irreps = arguments["irreps_in1"]
        self._outputs: Irreps = arguments["irreps_out"]
        self._filters: Irreps = arguments["irreps_in2"]
        instructions = layer.convolution.instructions
        self._sizes = [self._inputs[path.i_in1].mul for path in instructions]
        self._blocks = [
            self._plan(index, instructions) for index in range(len(self._inputs))
        ]

    def _plan(self, index: int, instructions: Sequence[Any]) -> _Block:
        """Plan the paths of one block of the features."""
        paths = [i for i, path in enumerate(instructions) if path.i_in1 == index]
        chosen = [instructions[i] for i in paths]
        rows = [self._outputs[path.i_out].ir.dim for path in chosen]
        none = torch.zeros(self._filters.dim, 0, self._inputs[index].ir.dim)
        couplings = torch.cat([none, *map(self._couple, chosen)], dim=1)
        return _Block(
            mul=self._inputs[index].mul,
            paths=tuple(paths),
            slots=tuple(path.i_out for path in chosen),
            rows=tuple(rows),
            couplings=couplings.flatten(1),
            path_of_row=torch.arange(len(rows)).repeat_interleave(
                torch.tensor(rows, dtype=torch.int64)
            ),
        )

    def _couple(self, path: Any) -> Tensor:  # noqa: ANN401
        """Compute the coupling of a path, shape (n_harmonics, n_out, n_in)."""
        sender, harmonic = self._inputs[path.i_in1].ir, self._filters[path.i_in2].ir
        symbols = wigner_3j(
            sender.l, harmonic.l, self._outputs[path.i_out].ir.l, dtype=torch.float64
        )
        n_out, n_in = symbols.shape[2], symbols.shape[0]
        coupling: Tensor = symbols.new_zeros(self._filters.dim, n_out, n_in)
        rows = self._filters.slices()[path.i_in2]
        coupling[rows] = symbols.permute(1, 2, 0) * path.path_weight
        return coupling

    def apply(self, features: Tensor, edges: Edges, *, create_graph: bool) -> Tensor:
        """Sum the messages to each atom.

        Parameters
        ----------
        features : Tensor of float, shape (n_atoms, n_features)
            Features in the layout of e3nn.
        edges : Edges
            Edges of the batch.
        create_graph : bool
            Whether the sums will be differentiated twice.

        Returns
        -------
        Tensor of float, shape (n_atoms, n_messages)
            Sums over the edges, in the layout of e3nn.
        """
        widths = [block.dim for block in self._inputs]
        sent = edges.senders.gather(_channels_last(features, self._inputs))
        all_weights: Tensor = self._layer.weight_nn(edges.basis)
        weights = all_weights.split_with_sizes(self._sizes, dim=1)
        add_up = sum_messages if create_graph else sum_messages_once
        slots = [features] * len(self._outputs)
        for index, values in enumerate(sent.split_with_sizes(widths, dim=1)):
            block, n_edges = self._blocks[index], len(values)
            if not block.paths:
                continue
            couplings, path_of_row = block.constants(features)
            sums = add_up(
                values.reshape(n_edges, -1, block.mul),
                (edges.harmonics @ couplings).view(n_edges, sum(block.rows), -1),
                torch.stack([weights[path] for path in block.paths], dim=1),
                path_of_row=path_of_row,
                receivers=edges.receivers,
            )
            for slot, total in zip(
                block.slots, sums.split_with_sizes(block.rows, dim=1), strict=True
            ):
                slots[slot] = total
        summed = torch.cat([total.mT.flatten(1) for total in slots], dim=1)
        denominator: Tensor = self._layer.denominator
        return summed / denominator


def _channels_last(features: Tensor, irreps: Irreps) -> Tensor:
    """Put the components of each block before its channels."""
    blocks = features.split_with_sizes([block.dim for block in irreps], dim=1)
    return torch.cat(
        [
            values.view(-1, block.mul, block.ir.dim).mT.flatten(1)
            for values, block in zip(blocks, irreps, strict=True)
        ],
        dim=1,
    )
