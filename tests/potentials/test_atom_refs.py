from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from tests.potentials.networks import network_of

from nextrung.potentials.atom_refs import move_atom_refs, prepare_start
from nextrung.potentials.registry import load_potential
from nextrung.schemas.atom_refs import UnseenElements
from nextrung.schemas.frames import Frames
from nextrung.schemas.models import RECIPES, Model, Rereference
from nextrung.schemas.relaxation import RelaxationSettings

if TYPE_CHECKING:
    from pathlib import Path

    from nextrung.potentials.potential import Potential

#: What the labels lie above the predictions of the source, in eV/atom.
SHIFT = {"Na": 2.0, "Cl": -5.0}


@pytest.fixture(scope="module")
def source() -> Potential:
    return load_potential("chgnet-0.3.0", "cpu")


@pytest.fixture(scope="module")
def frames(source: Potential) -> Frames:
    """Sodium, chlorine and salt, labelled with the source's energies and a shift."""
    structures = [
        Structure(Lattice.cubic(a), species, [[0, 0, 0], [0.5] * 3])
        for a, species in (
            (4.2, ["Na", "Na"]),
            (3.6, ["Cl", "Cl"]),
            (3.4, ["Na", "Cl"]),
            (3.6, ["Na", "Cl"]),
        )
    ]
    predicted, _ = source.predict_frames(Frames.from_structures(structures), "e")
    shift = [2 * 2.0, -5.0 * 2, -3.0, -3.0]
    return replace(predicted, energies=predicted.energies + np.array(shift))


def test_residual_recovers_the_shift(source: Potential, frames: Frames) -> None:
    fit, moved = move_atom_refs(source, frames, Rereference.RESIDUAL)

    assert fit is not None
    assert fit.energies == pytest.approx(SHIFT, abs=1e-5)
    expected = {symbol: source.atom_refs[symbol] + e for symbol, e in SHIFT.items()}
    assert moved == pytest.approx(expected, abs=1e-5)


def test_an_element_without_frames_has_no_energy_unless_by_the_prior(
    source: Potential, frames: Frames, tmp_path: Path
) -> None:
    """Potassium chloride after a fit to sodium and chlorine, and read from a file."""
    salt = Structure(Lattice.cubic(3.8), ["K", "Cl"], [[0, 0, 0], [0.5] * 3])
    chloride = Structure(Lattice.cubic(3.4), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3])
    fit, moved = move_atom_refs(
        source, frames, Rereference.RESIDUAL, unseen_elements=UnseenElements.PRIOR
    )
    assert fit is not None
    assert set(moved) == source.elements
    assert set(fit.prior_errors) == source.elements - {"Na", "Cl"}
    potential = source.with_atom_refs(moved, fit.prior_errors)
    potential.save(tmp_path / "prior.pth.tar")

    for each in (potential, load_potential(tmp_path / "prior.pth.tar", "cpu")):
        of_potassium, of_sodium = each.predict([salt, chloride], "e")
        assert of_potassium.energy is not None
        error = fit.prior_errors["K"] / 2
        assert of_potassium.note == (
            "reference energy of K from the prior, not from labels: standard error "
            f"{error:.2g} eV/atom"
        )
        assert of_sodium.note is None
    records = potential.relax([salt, chloride], RelaxationSettings(max_steps=0))
    assert [each.note for each in records] == [of_potassium.note, None]

    _, moved = move_atom_refs(source, frames, Rereference.RESIDUAL)
    (refused,) = source.with_atom_refs(moved).predict([salt], "e")
    assert refused.error == "no atomic reference energy for K"


def test_other_references_are_no_longer_of_the_prior(source: Potential) -> None:
    estimated = source.with_atom_refs({"Na": -1.0, "K": -2.0}, {"K": 0.5, "Cl": 0.1})

    assert estimated.copy().prior_errors == {"K": 0.5}
    assert estimated.with_atom_refs({"K": -2.0}).prior_errors == {}


def test_refit_ignores_the_source(source: Potential, frames: Frames) -> None:
    _, moved = move_atom_refs(source, frames, Rereference.REFIT)
    fractions = np.array([[1, 0], [0, 1], [0.5, 0.5], [0.5, 0.5]])
    expected, *_ = np.linalg.lstsq(fractions, frames.energies / 2)

    assert [moved["Na"], moved["Cl"]] == pytest.approx(expected)


def test_none_keeps_every_reference(source: Potential, frames: Frames) -> None:
    assert move_atom_refs(source, frames, Rereference.NONE) == (None, source.atom_refs)


def test_frames_without_prediction_are_left_out_of_the_shift(
    source: Potential, frames: Frames
) -> None:
    lone = Structure(Lattice.cubic(20), ["Na"], [[0, 0, 0]])
    isolated = replace(Frames.from_structures([lone], ["lone"]), energies=np.zeros(1))

    fit, _ = move_atom_refs(
        source, Frames.concatenate([frames, isolated]), Rereference.RESIDUAL
    )

    assert fit is not None
    assert fit.n_frames == len(frames)


def test_scratch_starts_from_random_weights_and_moved_references(
    source: Potential,
) -> None:
    start = prepare_start(source, RECIPES[Model.SCRATCH], {"Na": -1.0}, seed=1)

    weights = network_of(start).atom_embedding.embedding.weight
    assert not weights.equal(network_of(source).atom_embedding.embedding.weight)
    assert start.atom_refs == {"Na": -1.0}


def test_frozen_references_start_from_the_source(source: Potential) -> None:
    start = prepare_start(source, RECIPES[Model.FROZEN_ATOM_REFS], None, seed=1)

    assert start.atom_refs == source.atom_refs
