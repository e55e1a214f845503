from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.potentials.networks import network_of

from nextrung.potentials import prediction
from nextrung.potentials.chgnet import backend
from nextrung.potentials.chgnet.backend import ChgnetBackend
from nextrung.potentials.chgnet.forward import predict_graphs
from nextrung.potentials.graphs.crystals import Crystals
from nextrung.potentials.prediction import _check_properties
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from chgnet.model import CHGNet
    from pymatgen.core import Structure

    from nextrung.potentials.graphs.graphs import GraphBatch
    from nextrung.potentials.graphs.neighbors import NeighborLists
    from nextrung.potentials.interface import Outputs
    from nextrung.potentials.potential import Potential


@pytest.fixture(scope="module")
def crystals(structures: list[Structure]) -> Crystals:
    return Crystals.of(structures)


def test_properties_must_include_the_energy_and_be_known() -> None:
    for good in ("e", "ef", "mse", "efsm"):
        _check_properties(good)
    for bad in ("", "f", "exe"):
        with pytest.raises(InputError, match="expected 'e' and any of"):
            _check_properties(bad)


def test_a_prediction_does_not_depend_on_its_batch(
    target: Potential,
    target_double: Potential,
    crystals: Crystals,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for potential, energy_noise in ((target, 1e-5), (target_double, 1e-11)):
        together = potential.predict_batch(crystals, "efsm")
        limits = replace(ChgnetBackend.limits, prediction={"cpu": 1})
        monkeypatch.setattr(ChgnetBackend, "limits", limits)
        alone = potential.predict_batch(crystals, "efsm")
        monkeypatch.undo()
        per_atom = np.abs(together.energies - alone.energies) / crystals.n_atoms
        assert per_atom.max() < energy_noise
        scale = np.abs(alone.forces).max()
        assert np.abs(together.forces - alone.forces).max() < 3 * energy_noise * scale


def test_a_prediction_does_not_depend_on_the_order(
    target_double: Potential, crystals: Crystals
) -> None:
    order = np.random.default_rng(0).permutation(len(crystals))
    own = target_double.predict_batch(crystals, "efsm")
    other = target_double.predict_batch(crystals[order], "efsm")
    np.testing.assert_allclose(own.energies[order], other.energies, rtol=1e-12)
    np.testing.assert_allclose(own.stresses[order], other.stresses, atol=1e-9)


def test_predictions_do_not_depend_on_the_window(
    target_double: Potential, crystals: Crystals, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = target_double.predict_batch(crystals)
    monkeypatch.setattr(prediction, "_WINDOW", 3)
    other = target_double.predict_batch(crystals)
    np.testing.assert_allclose(own.energies, other.energies, rtol=1e-12)
    np.testing.assert_allclose(own.forces, other.forces, atol=1e-9)


@pytest.mark.parametrize("surroundings", [torch.no_grad, torch.inference_mode])
def test_predictions_do_not_depend_on_the_grad_mode(
    surroundings: Callable[[], AbstractContextManager[None]],
    target: Potential,
    crystals: Crystals,
) -> None:
    own = target.predict_batch(crystals, "efsm")
    with surroundings():
        within = target.predict_batch(crystals, "efsm")
    np.testing.assert_array_equal(within.forces, own.forces)
    np.testing.assert_array_equal(within.stresses, own.stresses)


def test_unwanted_properties_are_nan(target: Potential, crystals: Crystals) -> None:
    predicted = target.predict_batch(crystals, "e")
    assert np.isfinite(predicted.energies).all()
    assert np.isnan(predicted.forces).all()
    assert np.isnan(predicted.stresses).all()
    assert predicted.magmoms is None


def fail_above(limit: int) -> Any:  # noqa: ANN401
    """Make a prediction that runs out of memory above a number of crystals."""
    original = predict_graphs

    def predict(model: CHGNet, graphs: GraphBatch, properties: str) -> Outputs:
        if len(graphs) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(model, graphs, properties)

    return predict


def test_a_batch_too_large_for_memory_is_halved(
    target: Potential, crystals: Crystals, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = target.predict_batch(crystals)
    monkeypatch.setattr(backend, "predict_graphs", fail_above(2))
    halved = target.predict_batch(crystals)
    assert halved.errors == {}
    np.testing.assert_allclose(halved.energies, own.energies, rtol=1e-5)


def test_a_crystal_too_large_for_memory_is_an_error(
    target: Potential, crystals: Crystals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "predict_graphs", fail_above(0))
    errors = target.predict_batch(crystals).errors
    assert list(errors) == list(range(len(crystals)))
    assert all("out of memory" in reason for reason in errors.values())


def search_up_to(limit: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the neighbor search run out of memory above a number of crystals."""
    original, sizes = ChgnetBackend.prepare, []

    def prepare(
        self: ChgnetBackend, crystals: Crystals, device: torch.device
    ) -> NeighborLists:
        sizes.append(len(crystals))
        if len(crystals) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(self, crystals, device)

    monkeypatch.setattr(ChgnetBackend, "prepare", prepare)
    return sizes


def test_a_neighbor_search_too_large_for_memory_is_halved(
    target: Potential, crystals: Crystals, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = target.predict_batch(crystals)
    sizes = search_up_to(3, monkeypatch)

    halved = target.predict_batch(crystals)

    assert sizes[0] == len(crystals)
    assert sum(size for size in sizes if size <= 3) == len(crystals)
    assert halved.errors == {}
    np.testing.assert_allclose(halved.energies, own.energies, rtol=1e-5)


def test_a_crystal_too_large_for_the_neighbor_search_is_an_error(
    target: Potential, crystals: Crystals, monkeypatch: pytest.MonkeyPatch
) -> None:
    search_up_to(0, monkeypatch)

    errors = target.predict_batch(crystals[:2]).errors

    n_atoms = crystals.n_atoms
    reason = "out of memory in the neighbor search: {} atoms"
    assert errors == {index: reason.format(n_atoms[index]) for index in range(2)}


def test_other_errors_of_the_device_are_raised(
    target: Potential, crystals: Crystals, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("device lost")

    monkeypatch.setattr(backend, "predict_graphs", fail)
    with pytest.raises(RuntimeError, match="device lost"):
        target.predict_batch(crystals)


def test_nan_energies_are_errors(target: Potential, crystals: Crystals) -> None:
    broken = target.copy()
    with torch.no_grad():
        network_of(broken).site_wise.bias += torch.nan
        network_of(broken).mlp.layers[-1].bias += torch.nan
    errors = broken.predict_batch(crystals).errors
    assert set(errors.values()) == {"the prediction is not finite"}


NUMBERS = st.one_of(st.integers(1, 118), st.integers(-1, 300))
COORDS = st.one_of(
    st.floats(-2, 2),
    st.sampled_from([0.0, 0.5, 1 / 3, 1e-9, 1e4, 1e9, np.nan, np.inf, -np.inf]),
)
EDGES = st.floats(2.5, 9)
ODD_EDGES = st.sampled_from([0.0, 1e-3, 0.2, 25.0, 1e3, 1e7, np.nan])
TILTS = st.floats(-1, 1)
ODD_TILTS = st.sampled_from([30.0, -1e6, np.inf])


@st.composite
def odd_crystals(draw: st.DrawFn) -> Crystals:
    """One crystal, valid or with an odd cell, tilt, site or element."""
    oddity = draw(st.sampled_from(["none", "cell", "tilt", "site", "element"]))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    n_atoms = draw(st.one_of(st.integers(1, 4), st.just(1), st.just(9)))
    edges = [draw(EDGES) for _ in range(3)]
    tilts = [draw(TILTS) for _ in range(3)]
    coords = rng.uniform(-0.2, 1.2, size=(n_atoms, 3))
    numbers = rng.integers(1, 84, size=n_atoms)
    if oddity == "cell":
        edges[draw(st.integers(0, 2))] = draw(ODD_EDGES)
    if oddity == "tilt":
        tilts[draw(st.integers(0, 2))] = draw(ODD_TILTS)
    if oddity == "site":
        coords[0] = [draw(COORDS) for _ in range(3)]
    if oddity == "element":
        numbers[0] = draw(NUMBERS)
    lattice = np.diag(edges)
    lattice[[1, 2, 2], [0, 0, 1]] = tilts
    return Crystals(
        offsets=np.array([0, n_atoms]),
        atomic_numbers=numbers,
        lattices=lattice[None, draw(st.permutations([0, 1, 2]))],
        frac_coords=coords,
    )


def assert_result_or_reason(potential: Potential, crystals: Crystals) -> None:
    predicted = potential.predict_batch(crystals, "efsm")
    assert predicted.magmoms is not None
    for index, (start, stop) in enumerate(pairwise(crystals.offsets)):
        if index in predicted.errors:
            assert np.isnan(predicted.energies[index])
            assert predicted.errors[index]
            continue
        referenced = index not in predicted.unreferenced
        assert np.isfinite(predicted.energies[index]) == referenced
        assert np.isfinite(predicted.forces[start:stop]).all()
        assert np.isfinite(predicted.stresses[index]).all()
        assert np.isfinite(predicted.magmoms[start:stop]).all()


@settings(max_examples=300, deadline=None)
@given(crystal=odd_crystals())
def test_any_crystal_has_a_result_or_a_reason(
    target: Potential, crystal: Crystals
) -> None:
    assert_result_or_reason(target, crystal)


def join_crystals(crystals: list[Crystals]) -> Crystals:
    """Make one batch of batches of one crystal."""
    return Crystals(
        offsets=np.cumsum([0, *(crystal.offsets[-1] for crystal in crystals)]),
        atomic_numbers=np.concatenate([c.atomic_numbers for c in crystals]),
        lattices=np.concatenate([crystal.lattices for crystal in crystals]),
        frac_coords=np.concatenate([crystal.frac_coords for crystal in crystals]),
    )


@pytest.mark.slow
@settings(
    max_examples=500,
    deadline=None,
    suppress_health_check=[HealthCheck.data_too_large, HealthCheck.too_slow],
)
@given(crystals=st.lists(odd_crystals(), min_size=20, max_size=20))
def test_ten_thousand_crystals_have_a_result_or_a_reason(
    target: Potential, crystals: list[Crystals]
) -> None:
    """In batches of 20, so that an invalid crystal has to leave the others alone."""
    assert_result_or_reason(target, join_crystals(crystals))
