"""Potential: predictions, relaxations and copies with other weights."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core import Element

from nextrung.potentials.batch_budget import limit_relaxation
from nextrung.potentials.calculator import PotentialCalculator
from nextrung.potentials.graphs.crystals import Crystals
from nextrung.potentials.graphs.validity import describe_priors
from nextrung.potentials.inputs import list_structures
from nextrung.potentials.interface import UNKNOWN_FUNCTIONAL
from nextrung.potentials.prediction import predict_crystals
from nextrung.schemas.base import InputError
from nextrung.schemas.prediction import Prediction
from nextrung.schemas.relaxation import RelaxationSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch
    from numpy.typing import NDArray

    from nextrung.potentials.inputs import Structures
    from nextrung.potentials.interface import Backend, BatchLimits, BatchPrediction
    from nextrung.schemas.frames import Frames
    from nextrung.schemas.relaxation import RelaxationRecord


class Potential:
    """A model with its atomic references.

    Parameters
    ----------
    backend : Backend
        The model.
    name : str
        Name of the model, or path of its checkpoint.
    elements : frozenset of str
        Elements that have an atomic reference energy; structures with others have
        forces, stresses and moments, but no energy.
    functional : str
        Functional of the energies.
    prior_errors : mapping of str to float, optional
        Standard error in eV/atom of the reference of each element that was in no
        fitted frame, and has that of a prior.
    """

    def __init__(
        self,
        backend: Backend,
        name: str,
        elements: frozenset[str],
        *,
        functional: str = UNKNOWN_FUNCTIONAL,
        prior_errors: Mapping[str, float] | None = None,
    ) -> None:
        self.backend = backend
        self.name = name
        self.elements = elements
        self.functional = functional
        self.prior_errors = dict(prior_errors or {})

    def __repr__(self) -> str:
        """Describe the potential by name, device and precision."""
        dtype = str(self.backend.dtype).removeprefix("torch.")
        return f"Potential({self.name!r}, device={self.device}, {dtype})"

    @property
    def device(self) -> torch.device:
        """Device of the predictions."""
        return self.backend.device

    @property
    def family(self) -> str:
        """Name of the architecture."""
        return self.backend.family

    @property
    def properties(self) -> str:
        """Letters of the properties that the potential predicts."""
        return self.backend.properties

    @property
    def limits(self) -> BatchLimits:
        """Largest costs of batches on the device."""
        return limit_relaxation(self.backend)

    @property
    def atom_refs(self) -> dict[str, float]:
        """Atomic reference energy of each covered element in eV/atom."""
        energies = self.backend.atom_refs or {}
        symbols = sorted(self.elements, key=lambda symbol: Element(symbol).Z)
        return {symbol: energies.get(symbol, 0.0) for symbol in symbols}

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
        return self.backend.estimate_costs(lattices, n_atoms)

    def predict(
        self, structures: Structures, properties: str = "efsm"
    ) -> list[Prediction]:
        """Predict properties of structures.

        Parameters
        ----------
        structures : Structure, ase.Atoms, or iterable of them
            One structure or any number of them.
        properties : str
            Letters of the wanted properties: ``e`` energy, ``f`` forces, ``s`` stress,
            ``m`` magnetic moments; ``e`` must be among them. A property that the
            architecture lacks is None.

        Returns
        -------
        list of Prediction
            One per structure, in the order given; a failure has its reason. One
            structure has a list of one prediction.

        Raises
        ------
        InputError
            If a letter is unknown, or the structures are not iterable.
        """
        listed = list_structures(structures)
        crystals = Crystals.of([item for item in listed if not isinstance(item, str)])
        prediction = self.predict_batch(crystals, properties)
        predicted = "".join(set(properties) & set(self.properties))
        notes = describe_priors(crystals, self.prior_errors)
        predictions = iter(
            _split_prediction(prediction, crystals, predicted, notes=notes)
        )
        return [
            Prediction(energy=None, error=item)
            if isinstance(item, str)
            else next(predictions)
            for item in listed
        ]

    def evaluate(
        self, structures: Structures, properties: str = "efsm"
    ) -> list[Prediction]:
        """Predict properties of structures; deprecated name of :meth:`predict`.

        Parameters
        ----------
        structures : Structure, ase.Atoms, or iterable of them
            One structure or any number of them.
        properties : str
            Letters of the wanted properties.

        Returns
        -------
        list of Prediction
            One per structure, in the order given.
        """
        message = "Potential.evaluate is now Potential.predict"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return self.predict(structures, properties)

    def predict_batch(
        self, crystals: Crystals, properties: str = "efs"
    ) -> BatchPrediction:
        """Predict properties of flat crystals.

        Parameters
        ----------
        crystals : Crystals
            Crystals, valid or not.
        properties : str
            Letters of the wanted properties, see :meth:`predict`.

        Returns
        -------
        BatchPrediction
            Properties in the order given, and the reasons of failures.
        """
        return predict_crystals(
            self.backend, crystals, properties, elements=self.elements
        )

    def predict_frames(
        self, frames: Frames, properties: str = "efsm"
    ) -> tuple[Frames, dict[int, str]]:
        """Predict the labels of frames.

        Parameters
        ----------
        frames : Frames
            Frames; their labels are ignored.
        properties : str
            Letters of the wanted labels, see :meth:`predict`.

        Returns
        -------
        frames : Frames
            The frames with predicted labels; NaN where failed or not wanted.
        errors : dict of int to str
            Reason by the index of each frame that failed or has no energy.
        """
        prediction = self.predict_batch(Crystals.from_frames(frames), properties)
        magmoms = prediction.magmoms
        if magmoms is None:
            magmoms = np.full(len(frames.atomic_numbers), np.nan)
        predicted = replace(
            frames,
            energies=prediction.energies,
            forces=prediction.forces.astype(np.float32),
            stresses=prediction.stresses.astype(np.float32),
            magmoms=magmoms.astype(np.float32),
        )
        return predicted, dict(
            sorted((prediction.errors | prediction.unreferenced).items())
        )

    def relax(
        self,
        structures: Structures,
        settings: RelaxationSettings | None = None,
        on_record: Callable[[int, RelaxationRecord], None] | None = None,
    ) -> list[RelaxationRecord]:
        """Relax structures.

        Parameters
        ----------
        structures : Structure, ase.Atoms, or iterable of them
            One initial structure or any number of them.
        settings : RelaxationSettings, optional
            Settings of the relaxation.
        on_record : callable, optional
            Called with the index and the record of each structure as it finishes.

        Returns
        -------
        list of RelaxationRecord
            One per structure, in the order given; a failure has its reason. One
            structure has a list of one record.
        """
        from nextrung.potentials.relaxation.engines import relax  # noqa: PLC0415

        chosen = RelaxationSettings() if settings is None else settings
        return relax(self, structures, chosen, on_record=on_record)

    def calculator(self) -> PotentialCalculator:
        """Make an ASE calculator of this potential.

        Returns
        -------
        PotentialCalculator
            Calculator of energy, forces, stress and magnetic moments.
        """
        return PotentialCalculator(self)

    def copy(self) -> Potential:
        """Copy the potential and its weights.

        Returns
        -------
        Potential
            An independent, equal potential.
        """
        return self._with_backend(self.backend.copy())

    def double(self) -> Potential:
        """Copy the potential to double precision.

        Returns
        -------
        Potential
            An independent potential in float64.
        """
        return self._with_backend(self.backend.double())

    def with_atom_refs(
        self,
        energies: Mapping[str, float],
        prior_errors: Mapping[str, float] | None = None,
    ) -> Potential:
        """Copy the potential with other atomic reference energies.

        Parameters
        ----------
        energies : mapping of str to float
            Reference energy of each element in eV/atom; others have none.
        prior_errors : mapping of str to float, optional
            Standard error in eV/atom of each of these that is of a prior.

        Returns
        -------
        Potential
            An independent potential.

        Raises
        ------
        InputError
            If an element is unknown to the model, or an energy is not finite.
        """
        _validate_atom_refs(energies, self.backend.known_elements)
        copied = self._with_backend(self.backend.with_atom_refs(energies))
        copied.elements = frozenset(energies)
        copied.prior_errors = {
            symbol: error
            for symbol, error in (prior_errors or {}).items()
            if symbol in energies
        }
        return copied

    def with_random_network(self, seed: int) -> Potential:
        """Copy the architecture and the atomic references, with random weights.

        Parameters
        ----------
        seed : int
            Seed of the weights.

        Returns
        -------
        Potential
            An untrained potential.
        """
        untrained = self._with_backend(self.backend.with_random_weights(seed))
        untrained.name = f"random-{seed}"
        return untrained

    def _with_backend(self, backend: Backend) -> Potential:
        """Build a potential of the same name, elements and functional."""
        return Potential(
            backend,
            self.name,
            self.elements,
            functional=self.functional,
            prior_errors=self.prior_errors,
        )

    def save(self, path: str | Path, **metadata: Any) -> None:  # noqa: ANN401
        """Write a checkpoint for the upstream package; it is replaced atomically.

        Parameters
        ----------
        path : str or Path
            File to write or replace.
        **metadata : object
            Numbers, strings, lists and dictionaries to store in the file.
        """
        content = {"name": self.name, "functional": self.functional, **metadata}
        if self.prior_errors:
            content["prior_errors"] = self.prior_errors
        self.backend.save(Path(path), self.elements, content)


def _split_prediction(
    prediction: BatchPrediction,
    crystals: Crystals,
    properties: str,
    *,
    notes: Mapping[int, str],
) -> list[Prediction]:
    """Split flat properties into those of each crystal."""
    sites = map(slice, crystals.offsets[:-1], crystals.offsets[1:])
    return [
        Prediction(
            energy=None
            if index in prediction.unreferenced
            else float(prediction.energies[index]),
            forces=prediction.forces[rows] if "f" in properties else None,
            stress=prediction.stresses[index] if "s" in properties else None,
            magmoms=None if prediction.magmoms is None else prediction.magmoms[rows],
            error=prediction.unreferenced.get(index),
            note=notes.get(index),
        )
        if index not in prediction.errors
        else Prediction(energy=None, error=prediction.errors[index])
        for index, rows in enumerate(sites)
    ]


def _validate_atom_refs(energies: Mapping[str, float], known: frozenset[str]) -> None:
    """Check that energies are finite, and those of known elements."""
    for symbol, energy in energies.items():
        if symbol not in known or not np.isfinite(energy):
            raise InputError(
                f"atom refs: expected a finite energy of one of the {len(known)} "
                f"elements that the potential knows, got {symbol}: {energy}"
            )
