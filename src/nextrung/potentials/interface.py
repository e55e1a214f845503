"""What a stage may ask of a potential, whatever its architecture."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import torch
    from ase import Atoms
    from ase.calculators.calculator import Calculator
    from numpy.typing import NDArray
    from pymatgen.core import Structure
    from torch import Tensor, nn

    from nextrung.potentials.graphs.crystals import Crystals, Selection
    from nextrung.schemas.prediction import Prediction

#: Dimensions of a matrix.
_MATRIX = 2
#: Functional of a checkpoint without metadata.
UNKNOWN_FUNCTIONAL = "unknown functional"


@dataclass(frozen=True, eq=False)
class BatchPrediction:
    """Predicted properties of crystals; NaN where a crystal failed.

    Parameters
    ----------
    energies : ndarray of float, shape (n_crystals,)
        Total energies in eV.
    forces : ndarray of float, shape (n_sites, 3)
        Forces in eV/Å; NaN if not wanted.
    stresses : ndarray of float, shape (n_crystals, 3, 3)
        Stresses in GPa, compression negative; NaN if not wanted.
    magmoms : ndarray of float, shape (n_sites,), or None
        Magnetic moments in μ_B; None if not wanted, or not predicted by this potential.
    errors : dict of int to str
        Reason by the index of each failed crystal.
    unreferenced : dict of int to str
        Reason by the index of each crystal with an element without atomic reference
        energy: its energy is NaN, its other properties are predicted.
    """

    energies: NDArray[np.float64]
    forces: NDArray[np.float64]
    stresses: NDArray[np.float64]
    magmoms: NDArray[np.float64] | None
    errors: dict[int, str]
    unreferenced: dict[int, str] = field(default_factory=dict)


class Predictor(Protocol):
    """A potential that predicts structures."""

    def predict(
        self, structures: Sequence[Structure | Atoms], properties: str = "efsm"
    ) -> list[Prediction]:
        """Predict properties of structures.

        Parameters
        ----------
        structures : sequence of (Structure or ase.Atoms)
            Structures.
        properties : str
            Letters of the wanted properties, ``e`` among them.

        Returns
        -------
        list of Prediction
            One per structure, in the order given; a failure has its reason.
        """
        ...


class Relaxable(Protocol):
    """A potential that can relax structures."""

    @property
    def device(self) -> torch.device:
        """Device of the predictions."""
        ...

    @property
    def properties(self) -> str:
        """Letters of the properties that it predicts."""
        ...

    @property
    def limits(self) -> BatchLimits:
        """Largest costs of batches."""
        ...

    @property
    def prior_errors(self) -> Mapping[str, float]:
        """Standard error in eV/atom of each atomic reference that is of a prior."""
        ...

    def estimate_costs(
        self, lattices: NDArray[np.float64], n_atoms: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Estimate the cost of one prediction of each crystal, before any search.

        Parameters
        ----------
        lattices : ndarray of float, shape (n_crystals, 3, 3)
            Lattice vectors as rows in Å.
        n_atoms : ndarray of int, shape (n_crystals,)
            Atoms of each crystal.
        """
        ...

    def predict_batch(self, crystals: Crystals, properties: str) -> BatchPrediction:
        """Predict energies, forces and stresses.

        Parameters
        ----------
        crystals : Crystals
            Crystals, valid or not.
        properties : str
            Always ``efs``.

        Returns
        -------
        BatchPrediction
            Properties, or the reason of a failure.
        """
        ...

    def calculator(self) -> Calculator:
        """Make an ASE calculator, which raises if a structure cannot be predicted."""
        ...


class Inputs(Protocol):
    """Crystals with their neighbor lists, on the CPU or the device; picklable."""

    @property
    def costs(self) -> NDArray[np.int64]:
        """Cost of a prediction of each crystal, shape (n_crystals,)."""
        ...

    def __getitem__(self, chosen: Selection) -> Self:
        """Select crystals by indices, mask or slice, in that order."""
        ...


class Batch(Protocol):
    """Input tensors of a network for some crystals."""

    @property
    def n_atoms(self) -> Tensor:
        """Atoms of each crystal, shape (n_crystals,)."""
        ...


@dataclass(frozen=True, eq=False)
class Outputs:
    """Properties of a batch of crystals.

    Parameters
    ----------
    energies : Tensor of float64, shape (n_crystals,)
        Total energies in eV, atomic references included.
    forces : Tensor of float, shape (n_atoms, 3), or None
        Forces in eV/Å.
    stresses : Tensor of float, shape (n_crystals, 3, 3), or None
        Stresses in GPa, compression negative.
    magmoms : Tensor of float, shape (n_atoms,), or None
        Magnetic moments in μ_B.
    errors : mapping of int to str
        Reason by index of each crystal that the model could not compute.
    """

    energies: Tensor
    forces: Tensor | None
    stresses: Tensor | None
    magmoms: Tensor | None
    errors: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class BatchLimits:
    """Cost of a batch that fits the caches of a CPU core, or fills a GPU.

    Parameters
    ----------
    prediction : mapping of str to float
        Cost of a prediction by type of device, ``cpu`` and ``cuda``.
    relaxation : mapping of str to float
        Estimated cost above which no structure is added to a relaxation.
    training : mapping of str to float
        Cost of a micro-batch of a training.
    bytes_per_cost : float
        GPU memory of a prediction per unit of cost.
    """

    prediction: Mapping[str, float]
    relaxation: Mapping[str, float]
    training: Mapping[str, float]
    bytes_per_cost: float


class Backend(ABC):
    """A model of one architecture, with its weights.

    Attributes
    ----------
    family : str
        Name of the architecture.
    properties : str
        Letters of the properties that it predicts, see :meth:`Potential.predict`.
    limits : BatchLimits
        Largest costs of batches.
    suffix : str
        End of the name of its checkpoints.
    """

    family: ClassVar[str]
    properties: str
    limits: BatchLimits
    suffix: ClassVar[str]

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Device of the predictions."""

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype:
        """Floating-point type of the weights."""

    @property
    @abstractmethod
    def known_elements(self) -> frozenset[str]:
        """Elements that the model has an input for."""

    @property
    @abstractmethod
    def atom_refs(self) -> Mapping[str, float] | None:
        """Atomic reference energy of each known element in eV/atom; None: it has none.

        An element that was in no training frame has a number all the same.
        """

    @abstractmethod
    def with_atom_refs(self, energies: Mapping[str, float]) -> Self:
        """Copy the model with other atomic reference energies.

        Parameters
        ----------
        energies : mapping of str to float
            Energy of known elements in eV/atom; all others become 0.
        """

    @abstractmethod
    def copy(self) -> Self:
        """Copy the model and its weights."""

    @abstractmethod
    def double(self) -> Self:
        """Copy the model to double precision."""

    @abstractmethod
    def with_random_weights(self, seed: int) -> Self:
        """Copy the architecture and the atomic references, with random weights.

        Parameters
        ----------
        seed : int
            Seed of the weights.
        """

    @abstractmethod
    def save(
        self, path: Path, elements: frozenset[str], metadata: Mapping[str, Any]
    ) -> None:
        """Write a checkpoint for the upstream package; it is replaced atomically.

        Parameters
        ----------
        path : Path
            File to write or replace.
        elements : frozenset of str
            Elements that have an atomic reference energy.
        metadata : mapping of str to object
            Numbers, strings, lists and dictionaries to store beside.
        """

    @abstractmethod
    def estimate_costs(
        self, lattices: NDArray[np.float64], n_atoms: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Estimate the cost of one prediction of each crystal, before any search.

        Parameters
        ----------
        lattices : ndarray of float, shape (n_crystals, 3, 3)
            Lattice vectors as rows in Å.
        n_atoms : ndarray of int, shape (n_crystals,)
            Atoms of each crystal.

        Returns
        -------
        ndarray of float, shape (n_crystals,)
            Costs, in the unit of :attr:`Inputs.costs`, at a uniform density.
        """

    @abstractmethod
    def prepare(self, crystals: Crystals, device: torch.device) -> Inputs:
        """Search the neighbors of crystals.

        Parameters
        ----------
        crystals : Crystals
            Crystals of known elements with valid cells.
        device : torch.device
            Device of the search and of its results.
        """

    @abstractmethod
    def check(self, inputs: Inputs) -> dict[int, str]:
        """List the crystals that cannot be predicted.

        Parameters
        ----------
        inputs : Inputs
            Crystals with neighbor lists.

        Returns
        -------
        dict of int to str
            Reason by index of a crystal, such as an isolated or overlapping atom.
        """

    @abstractmethod
    def compute(self, inputs: Inputs, properties: str) -> Outputs:
        """Compute properties of a batch, without gradients.

        Parameters
        ----------
        inputs : Inputs
            Crystals that pass :meth:`check`, at least one.
        properties : str
            Letters of the wanted properties, all of them among :attr:`properties`.

        Returns
        -------
        Outputs
            The wanted properties; None for others.
        """


class ModuleBackend(Backend):
    """A model that is one torch module.

    Parameters
    ----------
    module : torch.nn.Module
        The network, frozen and in evaluation mode.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module: Any = module

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        device: torch.device = next(self.module.parameters()).device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of the weights."""
        dtype: torch.dtype = next(self.module.parameters()).dtype
        return dtype

    def copy(self) -> Self:
        """Copy the model and its weights."""
        return copy.deepcopy(self)

    def double(self) -> Self:
        """Copy the model to double precision."""
        copied = self.copy()
        copied.module.double()
        return copied


class TrainableBackend(ModuleBackend):
    """A model that can be fine-tuned.

    Attributes
    ----------
    tracked_layers : mapping of str to str
        Parameters whose gradients are recorded in the first epoch, by name of a layer.
    checked_layer : str
        The one of them whose gradient is large where references are misaligned: the
        first layer of the readout.
    """

    tracked_layers: Mapping[str, str]
    checked_layer: str

    @abstractmethod
    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """List all parameters by their part.

        Returns
        -------
        dict of str to list of Parameter
            ``references``, ``readout`` (the output layers), ``last_block`` (the last
            interaction) and ``body`` (all others).
        """

    def linear_maps(self) -> dict[str, tuple[tuple[int, int], ...]]:
        """List the weights that are linear maps, which adapters change.

        Returns
        -------
        dict of str to tuple of (int, int)
            Shapes of the matrices that a weight consists of, row by row, by its name:
            one of a dense layer, one per irreducible representation of an equivariant
            layer.
        """
        references = set(map(id, self.parameter_groups()["references"]))
        maps = {
            name: _list_matrices(self.module.get_submodule(name.rpartition(".")[0]))
            for name, weight in self.module.named_parameters()
            if name.endswith(".weight") and id(weight) not in references
        }
        return {name: shapes for name, shapes in maps.items() if shapes}

    @abstractmethod
    def for_training(self) -> Self:
        """Copy the model in training mode, with gradients for all its parameters."""

    @abstractmethod
    def build(self, inputs: Inputs, device: torch.device, dtype: torch.dtype) -> Batch:
        """Build the input tensors of a batch.

        Parameters
        ----------
        inputs : Inputs
            Crystals that pass :meth:`check`.
        device : torch.device
            Device of the tensors.
        dtype : torch.dtype
            Their floating-point type.
        """

    @abstractmethod
    def evaluate(self, batch: Batch, properties: str) -> Outputs:
        """Compute properties without gradients by the parameters.

        Parameters
        ----------
        batch : Batch
            Input tensors on the device of the network and of its type.
        properties : str
            Letters of the wanted properties.
        """

    @abstractmethod
    def differentiate(self, batch: Batch, properties: str) -> Outputs:
        """Compute properties that depend on the parameters that require gradients.

        Parameters
        ----------
        batch : Batch
            Input tensors on the device of the network and of its type.
        properties : str
            Letters of the wanted properties.
        """

    def compute(self, inputs: Inputs, properties: str) -> Outputs:
        """Compute properties of a batch, without gradients.

        Parameters
        ----------
        inputs : Inputs
            Crystals that pass :meth:`check`, at least one.
        properties : str
            Letters of the wanted properties.
        """
        return self.evaluate(self.build(inputs, self.device, self.dtype), properties)


def _list_matrices(layer: Any) -> tuple[tuple[int, int], ...]:  # noqa: ANN401
    """List the shapes of the matrices in the weight of a layer; none of others.

    An equivariant linear layer has them one after the other in a vector, in the order
    of its ``instructions``.
    """
    weight, kind = layer.weight, type(layer).__name__
    if kind == "Embedding":
        return ()
    if weight.dim() == _MATRIX:
        return (tuple(weight.shape),)
    shapes = [tuple(each.path_shape) for each in getattr(layer, "instructions", ())]
    shapes = [shape for shape in shapes if len(shape) == _MATRIX]
    covered = sum(n_rows * n_columns for n_rows, n_columns in shapes)
    return tuple(shapes) if kind == "Linear" and covered == weight.numel() else ()


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model and the metadata of its file.

    Parameters
    ----------
    backend : Backend
        The model.
    elements : frozenset of str
        Elements that have an atomic reference energy.
    metadata : dict of str to object
        Metadata of the file; ``functional`` is that of the energies.
    """

    backend: Backend
    elements: frozenset[str]
    metadata: dict[str, Any]
