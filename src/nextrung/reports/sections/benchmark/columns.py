"""Quantities of a benchmark for readers, and names and colours of its models."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from nextrung.reports.html.model_style import Appearance
from nextrung.reports.html.quantities import (
    DENSITY,
    ENERGY,
    FORCES,
    STRESS,
    Quantity,
)
from nextrung.schemas.benchmark import BenchmarkProperty

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Colours of models, legible on white and on black.
_COLOURS = (
    "#3b86e0",
    "#ee8434",
    "#17a589",
    "#b068c9",
    "#dd4b63",
    "#c09a4e",
    "#8b929c",
    "#5fa62f",
)


@dataclass(frozen=True)
class BenchmarkColumn:
    """A quantity of a benchmark.

    Parameters
    ----------
    key : str
        Name of the quantity in the results.
    deviation : Quantity
        Title, unit and decimals of the mean absolute deviation.
    meaning : str
        What is averaged over what.
    value : Quantity
        Unit and decimals of the values.
    """

    key: str
    deviation: Quantity
    meaning: str
    value: Quantity


def _relative(value: Quantity, key: str, what: str) -> BenchmarkColumn:
    """Describe a quantity whose deviations are relative."""
    meaning = f"mean absolute relative deviation of {what}"
    return BenchmarkColumn(key, Quantity(value.title, "%", 2, 100), meaning, value)


#: Quantities that are compared with experiment.
PROPERTIES: Mapping[str, BenchmarkColumn] = {
    column.key: column
    for column in (
        _relative(
            Quantity("Lattice parameter", "Å", 3),
            BenchmarkProperty.LATTICE_PARAMETER,
            "lattice parameters of cubic crystals",
        ),
        _relative(DENSITY, BenchmarkProperty.DENSITY, "densities"),
        _relative(
            Quantity("Bulk modulus", "GPa", 1),
            BenchmarkProperty.BULK_MODULUS,
            "bulk moduli of cubic crystals",
        ),
        BenchmarkColumn(
            BenchmarkProperty.FORMATION_ENTHALPY,
            Quantity("Formation enthalpy", "meV/atom", 0, 1000),
            "mean absolute deviation of formation enthalpies from the elements as the "
            "model itself predicts them",
            Quantity("Formation enthalpy", "eV/atom", 3),
        ),
    )
}

#: Quantities that are compared with labels of frames.
FRAMES: Mapping[str, BenchmarkColumn] = {
    key: BenchmarkColumn(key, shown, meaning, shown)
    for key, shown, meaning in (
        (
            "frames_energy",
            replace(ENERGY, title="Frame energy"),
            "mean absolute error of energies over labelled frames",
        ),
        (
            "frames_forces",
            replace(FORCES, title="Frame forces"),
            "mean absolute error of force components over labelled frames",
        ),
        (
            "frames_stress",
            replace(STRESS, title="Frame stress"),
            "mean absolute error of stress components over labelled frames",
        ),
    )
}


def style_models(models: Sequence[str]) -> dict[str, Appearance]:
    """Choose short titles and colours of models.

    Parameters
    ----------
    models : sequence of str
        Names of potentials, and checkpoint files.

    Returns
    -------
    dict of str to Appearance
        A file has its name as title, with folders where names of files repeat.
    """
    names = {each: PurePath(each).name if "." in each else each for each in models}
    shown = list(names.values())
    return {
        model: Appearance(
            name if shown.count(name) == 1 else model, _COLOURS[index % len(_COLOURS)]
        )
        for index, (model, name) in enumerate(names.items())
    }
