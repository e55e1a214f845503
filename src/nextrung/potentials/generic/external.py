"""Base of models made by a factory: what they have in common, and what they lack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self

from pymatgen.core import Element

from nextrung.potentials.generic.files import ShiftedFile, write_shifted
from nextrung.potentials.generic.shifted import ShiftedBackend
from nextrung.potentials.interface import Backend
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nextrung.potentials.generic.factories import Factory
    from nextrung.potentials.generic.inputs import CrystalInputs

#: All elements: a model that lacks one says so for each crystal.
ALL_ELEMENTS = frozenset(Element.from_Z(number).symbol for number in range(1, 119))


class ExternalBackend(Backend):
    """A model made by a factory, whose weights and references are not known.

    Parameters
    ----------
    factory : Factory
        Factory of the model.
    """

    suffix: ClassVar[str] = ".json"

    def __init__(self, factory: Factory) -> None:
        self.factory = factory

    @property
    def known_elements(self) -> frozenset[str]:
        """All elements: which of them the model knows, it says for each crystal."""
        return ALL_ELEMENTS

    @property
    def atom_refs(self) -> None:
        """None: references of the model are not known."""
        return

    def with_atom_refs(  # type: ignore[override]
        self, energies: Mapping[str, float]
    ) -> ShiftedBackend:
        """Add energies, as there are no references to be replaced.

        Parameters
        ----------
        energies : mapping of str to float
            Energy of each element in eV/atom.

        Returns
        -------
        ShiftedBackend
            An independent model with added energies.
        """
        return ShiftedBackend(self.copy(), str(self.factory), energies)

    def with_random_weights(self, seed: int) -> NoReturn:  # noqa: ARG002
        """Raise: the weights are not known.

        Parameters
        ----------
        seed : int
            Not used.

        Raises
        ------
        InputError
            Always.
        """
        raise InputError(
            f"{self.factory}: expected an architecture of this package to start from "
            f"random weights, got a model of {self.family}"
        )

    def copy(self) -> Self:
        """Make the model again.

        Returns
        -------
        ExternalBackend
            An independent model.
        """
        return type(self)(self.factory)

    def save(
        self,
        path: Path,
        elements: frozenset[str],
        metadata: Mapping[str, Any],
    ) -> None:
        """Write a file that names the factory.

        Parameters
        ----------
        path : Path
            File to write or replace.
        elements : frozenset of str
            Elements to which the model is applied.
        metadata : mapping of str to object
            Metadata of the file.
        """
        content = ShiftedFile(
            base=str(self.factory),
            elements=frozenset(elements),
            metadata=dict(metadata),
        )
        write_shifted(content, path)

    def check(self, inputs: CrystalInputs) -> dict[int, str]:  # type: ignore[override]  # noqa: ARG002
        """Return no reason: the model says by itself what it cannot compute.

        Parameters
        ----------
        inputs : CrystalInputs
            Crystals.
        """
        return {}
