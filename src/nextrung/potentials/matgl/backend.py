"""Potentials of matgl."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from pymatgen.core import Element

from nextrung.potentials.interface import (
    UNKNOWN_FUNCTIONAL,
    BatchLimits,
    LoadedModel,
    ModuleBackend,
    Outputs,
)
from nextrung.potentials.matgl.files import build_network, read_matgl, write_matgl
from nextrung.potentials.matgl.graphs import build_graph
from nextrung.potentials.neighbor_model import NeighborModel
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from matgl.apps.pes import Potential

    from nextrung.potentials.graphs.neighbors import NeighborLists


#: Rows of a table by atomic number, 0 among them.
_N_NUMBERS = 119
#: Limits in directed edges. TensorNet of 64 channels is fastest with 800 to 1,700 edges
#: on a CPU core, and takes 70 kB for each.
_EDGE_LIMITS = BatchLimits(
    prediction={"cpu": 1_500, "cuda": 1_000_000},
    relaxation={"cpu": 1_500, "cuda": 1_000_000},
    training={},
    bytes_per_cost=70_000,
)
#: Limits in edges and pairs of edges. M3GNet is fastest with 13,000 and more.
_ANGLE_LIMITS = BatchLimits(
    prediction={"cpu": 16_000, "cuda": 4_000_000},
    relaxation={"cpu": 16_000, "cuda": 4_000_000},
    training={},
    bytes_per_cost=10_000,
)


class MatglBackend(NeighborModel, ModuleBackend):
    """A potential of matgl.

    Parameters
    ----------
    module : matgl.apps.pes.Potential
        The potential, frozen and in evaluation mode; its references are taken out of
        it, to be added in float64.
    has_atom_refs : bool
        Whether energies that the file holds as ``element_refs`` are references the
        model was trained with, not energies added to one without.

    Raises
    ------
    InputError
        If the potential needs global states or has references by state.
    """

    family: ClassVar[str] = "matgl"
    suffix: ClassVar[str] = ".tar"
    properties = "efs"

    def __init__(self, module: Potential, *, has_atom_refs: bool = True) -> None:
        super().__init__(module)
        network = module.model
        if getattr(network, "include_state", False):
            raise InputError("a potential of matgl with global states is not supported")
        self.elements: tuple[str, ...] = tuple(network.element_types)
        self.offsets: torch.Tensor | None = None
        if module.element_refs is not None:
            offsets = module.element_refs.property_offset.detach().cpu().double()
            if offsets.shape != (len(self.elements),):
                raise InputError(
                    f"expected a reference energy for each of {len(self.elements)} "
                    f"elements of matgl, got shape {tuple(offsets.shape)}"
                )
            self.offsets = offsets
        module.element_refs = None
        self.cutoff = float(network.cutoff)
        self.angle_cutoff = float(getattr(network, "threebody_cutoff", None) or 0.0)
        self.limits = _ANGLE_LIMITS if self.angle_cutoff else _EDGE_LIMITS
        self.has_atom_refs = has_atom_refs and self.offsets is not None
        self._types = torch.zeros(_N_NUMBERS, dtype=torch.int64)
        for index, symbol in enumerate(self.elements):
            self._types[Element(symbol).Z] = index

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        device: torch.device = self.module.data_mean.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of the weights."""
        dtype: torch.dtype = self.module.data_mean.dtype
        return dtype

    @property
    def known_elements(self) -> frozenset[str]:
        """Elements that the network has an input for."""
        return frozenset(self.elements)

    @property
    def atom_refs(self) -> dict[str, float] | None:
        """References of the known elements in eV/atom; None if it has none."""
        if not self.has_atom_refs or self.offsets is None:
            return None
        return dict(zip(self.elements, self.offsets.tolist(), strict=True))

    def with_atom_refs(self, energies: Mapping[str, float]) -> Self:
        """Copy the model with other references, or added energies if it has none.

        Parameters
        ----------
        energies : mapping of str to float
            Energy of known elements in eV/atom; all others become 0.

        Returns
        -------
        MatglBackend
            An independent model.
        """
        offsets = torch.zeros(len(self.elements), dtype=torch.float64)
        for symbol, energy in energies.items():
            offsets[self.elements.index(symbol)] = energy
        if not self.has_atom_refs and self.offsets is not None:
            chosen = [symbol in energies for symbol in self.elements]
            offsets += self.offsets * torch.tensor(chosen)
        copied = self.copy()
        copied.offsets = offsets
        return copied

    def with_random_weights(self, seed: int) -> Self:
        """Copy the architecture and the references, with random weights.

        Parameters
        ----------
        seed : int
            Seed of the weights.
        """
        copied = self.copy()
        arguments = self.module._init_args["model"]  # noqa: SLF001 - matgl's own format
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = build_network(arguments)
        network.eval().requires_grad_(requires_grad=False)
        copied.module.model = network.to(self.device, self.dtype)
        return copied

    def save(
        self, path: Path, elements: frozenset[str], metadata: Mapping[str, Any]
    ) -> None:
        """Write an archive if the path ends with ``.tar``, else a folder of matgl.

        Parameters
        ----------
        path : Path
            File to write or replace, or folder to write into.
        elements : frozenset of str
            Elements that have an atomic reference energy.
        metadata : mapping of str to object
            Numbers, strings, lists and dictionaries to store beside.
        """
        from matgl.layers import AtomRef  # noqa: PLC0415 - seconds, and only here

        module = copy.deepcopy(self.module).cpu().float()
        module._init_args = {**module._init_args, "element_refs": self.offsets}  # noqa: SLF001
        if self.offsets is not None:
            module.element_refs = AtomRef(property_offset=self.offsets)
        stored = {
            **metadata,
            "elements": sorted(elements),
            "has_atom_refs": self.has_atom_refs,
        }
        write_matgl(module, path, stored)

    def compute(self, inputs: NeighborLists, properties: str) -> Outputs:  # type: ignore[override]
        """Compute properties of a batch, without gradients by the weights.

        Parameters
        ----------
        inputs : NeighborLists
            Crystals and their pairs.
        properties : str
            Letters of the wanted properties.
        """
        graph, lattices = build_graph(
            inputs, types=self._types, device=self.device, dtype=self.dtype
        )
        module, n_crystals = self.module, len(inputs.costs)
        module.calc_stresses = "s" in properties
        module.calc_forces = "f" in properties or module.calc_stresses
        charges = lattices.new_zeros(n_crystals)
        options = {"total_charge": charges} if module.calc_charge else {}
        energies, forces, stresses = module(graph, lattices, **options)[:3]
        module.model.feature_dict = {}  # all layers of the batch, not to be copied
        energies = energies.detach().double().reshape(n_crystals)
        if self.offsets is not None:
            per_atom = self.offsets.to(energies.device)[graph.node_type]
            energies = energies.index_add(0, graph.batch, per_atom)
        return Outputs(
            energies=energies,
            forces=forces.detach() if "f" in properties else None,
            stresses=stresses.detach().view(-1, 3, 3) if "s" in properties else None,
            magmoms=None,
        )


def load_matgl(path: Path, device: str) -> LoadedModel:
    """Load a potential of matgl.

    Parameters
    ----------
    path : Path
        Folder that matgl wrote, or archive that this package wrote.
    device : str
        Device of torch.

    Returns
    -------
    LoadedModel
        The model and its metadata.

    Raises
    ------
    InputError
        If the files hold no potential of matgl that is supported.
    """
    potential, metadata = read_matgl(path)
    has_atom_refs = metadata.pop("has_atom_refs", True)
    try:
        backend = MatglBackend(potential.to(device), has_atom_refs=has_atom_refs)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    elements = frozenset(metadata.pop("elements", backend.elements))
    metadata.setdefault("functional", UNKNOWN_FUNCTIONAL)
    return LoadedModel(backend, elements, metadata)
