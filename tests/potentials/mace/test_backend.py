from __future__ import annotations

import pickle
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from pymatgen.core import Element
from pymatgen.io.ase import AseAtomsAdaptor

from nextrung.potentials.graphs.crystals import Crystals
from nextrung.potentials.mace.checkpoints import REFERENCES
from nextrung.potentials.mace.loading import find_model_file, load_mace
from nextrung.potentials.mace.package import import_mace
from nextrung.potentials.potential import Potential
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ase import Atoms

    from nextrung.potentials.interface import Outputs
    from nextrung.potentials.mace.backend import MaceBackend

CPU = torch.device("cpu")


def flatten(crystals: Sequence[Atoms]) -> Crystals:
    """Flatten crystals of ASE."""
    return Crystals.of([AseAtomsAdaptor.get_structure(atoms) for atoms in crystals])


def predict(backend: MaceBackend, crystals: Sequence[Atoms]) -> Outputs:
    """Predict energies, forces and stresses of crystals."""
    return backend.compute(backend.prepare(flatten(crystals), CPU), "efs")


def save(backend: MaceBackend, path: Path) -> Path:
    """Save a model with all of its elements."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        backend.save(path, backend.known_elements, {"functional": "r2SCAN"})
    return path


def assert_mace_predicts_the_same(
    path: Path, backend: MaceBackend, crystals: Sequence[Atoms]
) -> None:
    """Assert that the calculator of mace has the same energies and forces."""
    calculator = import_mace("mace.calculators").MACECalculator(
        str(path), device="cpu", default_dtype="float32", head=backend.head
    )
    outputs = predict(backend, crystals)
    assert outputs.forces is not None
    forces = np.split(outputs.forces, np.cumsum([len(a) for a in crystals])[:-1])
    for index, atoms in enumerate(crystals):
        energy = float(outputs.energies[index]) - calculator.get_potential_energy(atoms)
        assert abs(energy) / len(atoms) < 1e-5
        np.testing.assert_allclose(
            forces[index], calculator.get_forces(atoms), atol=1e-4
        )


def test_the_elements_and_references_are_those_of_the_head(
    model_file: Path, build: Callable[..., torch.nn.Module], backend: MaceBackend
) -> None:
    model = build(heads=("pbe", "r2scan"))
    numbers = [Element(symbol).Z for symbol in backend.atom_refs]
    loaded = load_mace(f"mace:{model_file}#r2scan", "cpu")

    assert (backend.family, backend.properties) == ("mace", "efs")
    assert numbers == model.get_buffer("atomic_numbers").tolist()
    assert loaded.elements == backend.known_elements == frozenset(backend.atom_refs)
    assert loaded.metadata == {"functional": "unknown functional"}
    np.testing.assert_array_equal(
        list(backend.atom_refs.values()), model.get_buffer(REFERENCES)[1]
    )


def test_moved_references_shift_energies_and_leave_forces_to_the_bit(
    backend: MaceBackend, crystals: list[Atoms]
) -> None:
    """Moved in place they are what a sum of shifts per atom is, in float64."""
    rng = np.random.default_rng(1)
    shift = dict(zip(backend.atom_refs, rng.normal(0, 10, 12).tolist(), strict=True))
    before = predict(backend, crystals)
    moved = backend.with_atom_refs(
        {symbol: backend.atom_refs[symbol] + shift[symbol] for symbol in shift}
    )

    after = predict(moved, crystals)

    added = [
        sum(shift[symbol] for symbol in a.get_chemical_symbols()) for a in crystals
    ]
    np.testing.assert_allclose(
        after.energies, before.energies.numpy() + added, rtol=0, atol=1e-12
    )
    assert torch.equal(after.forces, before.forces)  # type: ignore[arg-type]
    assert torch.equal(after.stresses, before.stresses)  # type: ignore[arg-type]
    assert backend.atom_refs != moved.atom_refs


def test_other_heads_keep_their_references(backend: MaceBackend) -> None:
    moved = backend.with_atom_refs({"Na": -1.25})

    references = moved.module.get_parameter(REFERENCES)
    kept = backend.module.get_parameter(REFERENCES)
    assert torch.equal(references[0], kept[0])
    assert moved.atom_refs["Na"] == -1.25
    assert set(moved.atom_refs.values()) == {-1.25, 0.0}


def test_a_reference_of_an_unseen_element_is_rejected(backend: MaceBackend) -> None:
    potential = Potential(backend, "mace", backend.known_elements)

    with pytest.raises(InputError, match=r"got Xe: 1\.0"):
        potential.with_atom_refs({"Xe": 1.0})


@pytest.mark.usefixtures("unsafe_load")
def test_a_saved_model_predicts_the_same_in_plain_mace(
    backend: MaceBackend, crystals: list[Atoms], tmp_path: Path
) -> None:
    """Also with moved references, and read back by us without naming the head."""
    moved = backend.with_atom_refs(dict.fromkeys(backend.atom_refs, -7.125))
    for model, name in ((backend, "as_it_is"), (moved, "moved")):
        path = save(model, tmp_path / f"{name}.model")

        assert_mace_predicts_the_same(path, model, crystals)
        loaded = load_mace(str(path), "cpu")
        assert loaded.metadata == {"functional": "r2SCAN"}
        assert isinstance(loaded.backend, type(backend))
        assert loaded.backend.head == "r2scan"
        assert loaded.backend.atom_refs == model.atom_refs
        assert torch.equal(
            predict(loaded.backend, crystals).energies,
            predict(model, crystals).energies,
        )


def test_parameters_have_four_parts_and_none_is_left_out(
    backend: MaceBackend,
) -> None:
    trained = backend.for_training()
    groups = trained.parameter_groups()

    assert list(groups) == ["references", "readout", "last_block", "body"]
    assert [tuple(weight.shape) for weight in groups["references"]] == [(2, 12)]
    assert len(groups["readout"]) == 3
    listed = [id(weight) for part in groups.values() for weight in part]
    assert sorted(listed) == sorted(map(id, trained.module.parameters()))
    assert trained.module.training
    assert all(weight.requires_grad for weight in trained.module.parameters())
    assert not any(weight.requires_grad for weight in backend.module.parameters())


def test_tracked_layers_are_parameters_of_the_model(backend: MaceBackend) -> None:
    names = dict(backend.module.named_parameters())

    assert backend.checked_layer in backend.tracked_layers
    assert set(backend.tracked_layers.values()) <= set(names)
    assert len(backend.tracked_layers) == 8


def test_copies_are_independent_and_pickle(
    backend: MaceBackend, crystals: list[Atoms]
) -> None:
    """As for processes of a relaxation and ranks of a training.

    A rank has the network twice, once to optimise and once to evaluate it: they stay
    one object.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pair = pickle.loads(pickle.dumps((backend.module, backend)))  # noqa: S301
    module, pickled = pair
    expected = predict(backend, crystals)

    assert pickled.module is module
    copied = backend.copy()
    with torch.no_grad():
        for weight in copied.module.parameters():
            weight.zero_()

    for model in (backend, pickled):
        assert torch.equal(predict(model, crystals).energies, expected.energies)
    assert predict(copied, crystals).energies.abs().max() < 1


def test_double_precision_is_that_of_the_whole_model(backend: MaceBackend) -> None:
    double = backend.double()

    assert (backend.dtype, double.dtype) == (torch.float32, torch.float64)
    assert double.atom_refs == backend.atom_refs


def test_random_weights_keep_architecture_and_references(
    backend: MaceBackend,
) -> None:
    first, again, other = (backend.with_random_weights(seed) for seed in (1, 1, 2))

    assert first.atom_refs == backend.atom_refs
    states = [model.module.state_dict() for model in (first, again, other, backend)]
    name = "interactions.0.linear_up.weight"
    assert torch.equal(states[0][name], states[1][name])
    assert not torch.equal(states[0][name], states[2][name])
    assert not torch.equal(states[0][name], states[3][name])
    assert [list(state) for state in states[:3]] == [list(states[3])] * 3
    assert first.dtype == torch.float32


def test_costs_are_directed_edges_and_are_estimated_from_the_density(
    backend: MaceBackend, crystals: list[Atoms]
) -> None:
    flat = flatten(crystals)
    inputs = backend.prepare(flat, CPU)
    batch = backend.build(inputs, CPU, torch.float32)

    estimated = backend.estimate_costs(flat.lattices, flat.n_atoms)

    edges = batch.data["edge_index"]
    counted = torch.bincount(batch.data["batch"][edges[0]], minlength=len(crystals))
    assert inputs.costs.tolist() == counted.tolist()
    np.testing.assert_allclose(estimated, inputs.costs, rtol=0.25)
    assert inputs[[3, 1]].costs.tolist() == inputs.costs[[3, 1]].tolist()


def test_smaller_models_have_larger_batches(
    build: Callable[..., torch.nn.Module], backend: MaceBackend, tmp_path: Path
) -> None:
    irreps = import_mace("e3nn.o3").Irreps
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(build(hidden_irreps=irreps("8x0e")), tmp_path / "small.model")
    small = load_mace(str(tmp_path / "small.model"), "cpu").backend

    assert small.limits.prediction["cpu"] > 2 * backend.limits.prediction["cpu"]
    assert small.limits.bytes_per_cost < backend.limits.bytes_per_cost / 2


def test_isolated_and_overlapping_atoms_are_reasons(
    backend: MaceBackend, crystals: list[Atoms]
) -> None:
    lonely, crowded = crystals[0].copy(), crystals[0].copy()
    lonely.set_cell(np.eye(3) * 30)
    lonely.positions[1] = 12
    crowded.positions[1] = crowded.positions[0] + 0.1

    reasons = backend.check(
        backend.prepare(flatten([crystals[0], lonely, crowded]), CPU)
    )

    assert list(reasons) == [1, 2]
    assert reasons[1].startswith("isolated atom: site 0 (Na) has no neighbour within 5")
    assert reasons[2].startswith("overlapping atoms")


@pytest.mark.parametrize(
    ("name", "found"), [("{}#hse", "hse"), ("{}", "none"), ("mace:{}", "none")]
)
def test_a_wrong_head_names_those_there_are(
    model_file: Path, name: str, found: str
) -> None:
    with pytest.raises(
        InputError, match=f"one of the heads pbe, r2scan after '#', got {found}$"
    ):
        load_mace(name.format(model_file), "cpu")


def test_the_only_head_and_the_default_head_need_no_name(
    build: Callable[..., torch.nn.Module], tmp_path: Path
) -> None:
    for heads, chosen in ((("hse",), "hse"), (("pbe", "default"), "default")):
        path = tmp_path / f"{chosen}#1.model"  # the name of a file may have the sign
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.save(build(heads=heads), path)

        loaded = load_mace(f"mace:{path}", "cpu").backend

        assert loaded.head == chosen  # type: ignore[attr-defined]
        assert find_model_file(f"mace:{path}#{chosen}") == path
