from __future__ import annotations

from typing import TYPE_CHECKING

import chgnet.graph.converter
import chgnet.model.model
import numpy as np
import pytest
import torch
from chgnet.graph import CrystalGraphConverter
from chgnet.trainer.trainer import CombinedLoss
from pymatgen.core import Lattice, Structure

from nextrung.potentials.chgnet import predict_differentiably
from nextrung.potentials.crystals import Crystals
from nextrung.potentials.graphs import build_graphs
from nextrung.potentials.losses import Properties, compare_outputs, weigh_loss
from nextrung.potentials.potential import load_potential
from nextrung.potentials.training import TrainingState
from nextrung.schemas.base import InputError
from nextrung.schemas.fine_tuning import (
    EpochRecord,
    Errors,
    FineTuningSettings,
    GradientRecord,
    TrackedLayer,
)

if TYPE_CHECKING:
    from pathlib import Path

    from chgnet.model import CHGNet

ERRORS = Errors(
    energy_mae=0.1, forces_mae=0.2, stress_mae=None, magmoms_mae=None, loss=0.3
)


def make_state() -> TrainingState:
    record = EpochRecord(
        epoch=1, learning_rate=1e-3, train=ERRORS, val=ERRORS, wall_time=2.0
    )
    gradient = GradientRecord(
        step=0,
        fraction_of_epoch=0,
        layer=TrackedLayer.ATOM_EMBEDDING,
        minimum=-1,
        p5=-1,
        p25=0,
        median=0,
        p75=0,
        p95=1,
        maximum=1,
        mean_abs=0.1,
        norm=2,
    )
    return TrainingState("me", [record], [gradient], 1, {"weight": torch.ones(2)})


def test_a_state_survives_a_file_of_plain_values(tmp_path: Path) -> None:
    """``TrainingState.read`` loads weights only: no code in the file can run."""
    state = make_state()
    torch.save({"nextrung": state.dump()}, tmp_path / "state")

    returned = TrainingState.read(tmp_path / "state")

    assert returned.history == state.history
    assert returned.gradients == state.gradients
    assert (returned.identity, returned.best_epoch) == ("me", 1)
    assert returned.best_weights["weight"].tolist() == [1, 1]


@pytest.mark.parametrize("content", [b"", b"nonsense"])
def test_a_file_that_is_no_state_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(content)

    with pytest.raises(InputError, match="state: expected the state of a training"):
        TrainingState.read(tmp_path / "state")


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "state")

    with pytest.raises(InputError, match="state: expected the state of a training"):
        TrainingState.read(tmp_path / "state")


def make_structures() -> list[Structure]:
    """Rock salt, a two-atom alloy, and a crystal without bonds below 3 Å."""
    salt = Structure(Lattice.cubic(2.9), ["Li", "F"], [[0, 0, 0], [0.52, 0.5, 0.47]])
    alloy = Structure(Lattice.cubic(2.9), ["Fe", "Co"], [[0, 0, 0], [0.5, 0.45, 0.5]])
    caesium = Structure(Lattice.cubic(5.1), ["Cs"], [[0, 0, 0]])
    return [salt, alloy, caesium]


def make_labels(structures: list[Structure]) -> Properties:
    rng = np.random.default_rng(0)
    n_sites = sum(len(structure) for structure in structures)
    shapes = [(len(structures),), (n_sites, 3), (len(structures), 3, 3), (n_sites,)]
    return Properties(*(torch.from_numpy(rng.normal(size=shape)) for shape in shapes))


def differentiate_chgnet(
    model: CHGNet, structures: list[Structure], labels: Properties
) -> float:
    """Loss and gradients as chgnet's Trainer computes them; references left out."""
    converter = CrystalGraphConverter(atom_graph_cutoff=6, bond_graph_cutoff=3)
    sizes = [len(structure) for structure in structures]
    targets = {
        "e": labels.energies,
        "f": list(torch.split(labels.forces, sizes)),
        "s": list(labels.stresses),
        "m": list(torch.split(labels.magmoms, sizes)),
    }
    criterion = CombinedLoss(
        target_str="efsm",
        criterion="Huber",
        energy_loss_ratio=3,
        force_loss_ratio=1,
        stress_loss_ratio=0.1,
        mag_loss_ratio=1,
        delta=0.1,
    )
    composition_model, model.composition_model = model.composition_model, None
    loss = criterion(targets, model([converter(s) for s in structures], task="efsm"))
    model.composition_model = composition_model
    loss["loss"].backward()
    return float(loss["loss"])


def differentiate_ours(
    model: CHGNet, structures: list[Structure], labels: Properties
) -> float:
    with torch.no_grad():
        model.composition_model.fc.weight.zero_()
    graphs = build_graphs(Crystals.of(structures), "cpu", torch.float64)
    outputs = predict_differentiably(model, graphs, "efsm")
    deviations = compare_outputs(outputs, graphs.n_atoms, labels, huber_delta=0.1)
    loss = weigh_loss(deviations, deviations.n_labels, FineTuningSettings())
    loss.backward()  # type: ignore[no-untyped-call]
    return float(loss)


@pytest.mark.filterwarnings("ignore:Converting a tensor:UserWarning")  # chgnet's own
def test_gradients_are_those_of_chgnets_own_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (chgnet.graph.converter, chgnet.model.model):
        monkeypatch.setattr(module, "TORCH_DTYPE", torch.float64)
    structures = make_structures()
    labels = make_labels(structures)
    models = []
    for differentiate in (differentiate_chgnet, differentiate_ours):
        model = load_potential("chgnet-0.3.0", "cpu").double().model
        model.requires_grad_(requires_grad=True)
        model.composition_model.requires_grad_(requires_grad=False)
        models.append((differentiate(model, structures, labels), model))

    (theirs, chgnet_model), (ours, our_model) = models
    assert ours == pytest.approx(theirs, rel=1e-9)
    for name, weight in chgnet_model.named_parameters():
        gradient = our_model.get_parameter(name).grad
        if weight.grad is None:
            assert gradient is None or not gradient.any(), name
        else:
            assert gradient is not None, name
            torch.testing.assert_close(
                gradient, weight.grad, rtol=1e-4, atol=1e-6 * float(weight.grad.norm())
            )
