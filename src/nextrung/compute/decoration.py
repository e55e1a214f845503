"""Generated crystals: known prototypes decorated with other, similar elements."""

from __future__ import annotations

import gzip
import json
import warnings
from contextlib import suppress
from importlib.resources import files
from itertools import combinations, permutations, zip_longest
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Element, Structure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Difference of mean Mendeleev number distances at which the more similar of two
#: decorations is drawn e times as often.
DISSIMILARITY_SCALE = 5.0


def list_prototypes(max_atoms: int) -> dict[str, Structure]:
    """List the AFLOW prototypes of pymatgen.

    Parameters
    ----------
    max_atoms : int
        Maximum number of atoms in the primitive cell.

    Returns
    -------
    dict of str to Structure
        Structure of each prototype, by AFLOW label and reported formula, such as
        ``AB_cF8_225_a_b-NaCl``.
    """
    # pymatgen.analysis.prototypes parses the references of each crystal, for seconds.
    file = files("pymatgen.analysis") / "prototypes" / "aflow_prototypes.json.gz"
    prototypes = {}
    for entry in json.loads(gzip.decompress(file.read_bytes())):
        structure = Structure.from_dict(entry["snl"])
        if len(structure) <= max_atoms:
            formula = structure.composition.reduced_formula
            prototypes[f"{entry['tags']['aflow']}-{formula}"] = structure
    return prototypes


def draw_compounds(
    prototypes: Mapping[str, Structure],
    elements: Sequence[str],
    n_compounds: int,
    *,
    rng: np.random.Generator,
) -> dict[str, Structure]:
    """Draw compounds of a chemical system.

    Parameters
    ----------
    prototypes : mapping of str to Structure
        Prototypes by name.
    elements : sequence of str
        Symbols of the elements of the chemical system.
    n_compounds : int
        Number of crystals to draw; fewer are returned where there are fewer.
    rng : numpy.random.Generator
        Random number generator.

    Returns
    -------
    dict of str to Structure
        Crystals by name, one from each set of elements before the next round.
    """
    subsets = [
        subset
        for size in range(2, len(elements) + 1)
        for subset in combinations(sorted(elements), size)
    ]
    queues = [_shuffle_by_similarity(prototypes, subset, rng) for subset in subsets]
    turns = (name for turn in zip_longest(*queues) for name in turn if name is not None)
    chosen = [name for name, _ in zip(turns, range(n_compounds), strict=False)]
    decorated = {name: found for queue in queues for name, found in queue.items()}
    return {name: decorated[name] for name in chosen}


def draw_crystals(
    prototypes: Mapping[str, Structure],
    elements: Sequence[str],
    n_crystals: int,
    *,
    rng: np.random.Generator,
) -> dict[str, Structure]:
    """Draw crystals of any chemical system: random prototypes, similar elements.

    Parameters
    ----------
    prototypes : mapping of str to Structure
        Prototypes by name.
    elements : sequence of str
        Symbols of the elements to draw from, at least as many as a prototype has.
    n_crystals : int
        Number of draws; fewer crystals are returned where one is drawn twice.
    rng : numpy.random.Generator
        Random number generator.

    Returns
    -------
    dict of str to Structure
        Crystals by name, scaled to the volume that pymatgen predicts.
    """
    known = [Element(symbol) for symbol in elements]
    numbers = np.array([element.mendeleev_no for element in known])
    labels = [n for n, p in prototypes.items() if len(p.composition) <= len(known)]
    crystals = {}
    for label in rng.choice(labels, n_crystals).tolist():
        decorated = prototypes[label].copy()
        free, pairs = np.full(len(known), fill_value=True), {}
        for old in sorted(decorated.composition.elements):
            weights = free * np.exp(
                -np.abs(numbers - old.mendeleev_no) / DISSIMILARITY_SCALE
            )
            chosen = int(rng.choice(len(known), p=weights / weights.sum()))
            free[chosen], pairs[old] = False, known[chosen]
        decorated.replace_species(pairs)
        name = f"{decorated.composition.reduced_formula}-{label}"
        crystals[name] = scale_to_atoms(decorated)
    return crystals


def draw_polymorphs(
    prototypes: Mapping[str, Structure],
    element: str,
    n_polymorphs: int,
    *,
    rng: np.random.Generator,
) -> dict[str, Structure]:
    """Draw crystals of one element.

    Parameters
    ----------
    prototypes : mapping of str to Structure
        Prototypes by name.
    element : str
        Symbol of the element.
    n_polymorphs : int
        Number of crystals to draw; fewer are returned where there are fewer.
    rng : numpy.random.Generator
        Random number generator.
    """
    queue = _shuffle_by_similarity(prototypes, (element,), rng)
    return dict(list(queue.items())[:n_polymorphs])


def perturb(
    structure: Structure,
    *,
    strain: float,
    displacement: float,
    rng: np.random.Generator,
) -> Structure:
    """Strain the cell of a crystal and displace its atoms at random.

    Parameters
    ----------
    structure : Structure
        Crystal to perturb.
    strain : float
        Maximum component of the symmetric strain.
    displacement : float
        Standard deviation of each Cartesian displacement in Å.
    rng : numpy.random.Generator
        Random number generator.
    """
    components = rng.uniform(-strain, strain, size=(3, 3))
    deformation = np.eye(3) + (components + components.T) / 2
    lattice = structure.lattice.matrix @ deformation
    shifts = rng.normal(scale=displacement, size=(len(structure), 3))
    coords = structure.cart_coords @ deformation + shifts
    return Structure(lattice, structure.species, coords, coords_are_cartesian=True)


def scale_to_atoms(structure: Structure) -> Structure:
    """Scale a crystal to the volume that pymatgen predicts from bond lengths.

    Parameters
    ----------
    structure : Structure
        A crystal of any volume.

    Returns
    -------
    Structure
        Scaled crystal; unchanged where there are no bonds or no known bond lengths.
    """
    from pymatgen.analysis.structure_prediction.volume_predictor import (  # noqa: PLC0415 - loads for a second
        DLSVolumePredictor,
    )

    scaled = structure.copy()
    with warnings.catch_warnings(), suppress(ValueError):
        warnings.simplefilter("ignore")
        scaled.scale_lattice(DLSVolumePredictor().predict(structure))
    return scaled


def _shuffle_by_similarity(
    prototypes: Mapping[str, Structure],
    elements: Sequence[str],
    rng: np.random.Generator,
) -> dict[str, Structure]:
    """Decorate prototypes in all ways, in random order, similar elements first.

    Sorting by logarithms of weights plus Gumbel noise is weighted sampling without
    replacement.
    """
    found: dict[str, tuple[float, Structure]] = {}
    for label, prototype in prototypes.items():
        old = sorted(prototype.composition.elements)
        if len(old) != len(elements):
            continue
        for new in permutations(Element(symbol) for symbol in elements):
            pairs = dict(zip(old, new, strict=True))
            decorated = prototype.copy()
            decorated.replace_species(pairs)
            name = f"{decorated.composition.reduced_formula}-{label}"
            distance = _measure_dissimilarity(pairs)
            if name not in found or distance < found[name][0]:
                found[name] = (distance, decorated)
    noise = rng.gumbel(size=len(found))
    keys = {
        name: distance / DISSIMILARITY_SCALE - shift
        for (name, (distance, _)), shift in zip(found.items(), noise, strict=True)
    }
    return {name: found[name][1] for name in sorted(keys, key=keys.__getitem__)}


def _measure_dissimilarity(pairs: Mapping[Element, Element]) -> float:
    """Average the Mendeleev number distances of old and new elements."""
    distances = [abs(old.mendeleev_no - new.mendeleev_no) for old, new in pairs.items()]
    return float(np.mean(distances))
