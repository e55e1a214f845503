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
from tests.potentials.networks import network_of

from nextrung.potentials.chgnet.backend import ChgnetBackend
from nextrung.potentials.chgnet.double_backward import use_fast_double_backward
from nextrung.potentials.graphs.crystals import Crystals
from nextrung.potentials.graphs.graphs import build_graphs
from nextrung.potentials.registry import load_potential
from nextrung.potentials.training.batch_loss import BatchLoss, LossEvaluator
from nextrung.potentials.training.losses import Properties
from nextrung.schemas.fine_tuning import FineTuningSettings

if TYPE_CHECKING:
    from chgnet.model import CHGNet

    from nextrung.potentials.graphs.graphs import GraphBatch
    from nextrung.potentials.interface import Outputs


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


def make_model() -> CHGNet:
    """A network in double precision whose references are frozen."""
    model = network_of(load_potential("chgnet-0.3.0", "cpu").double())
    model.requires_grad_(requires_grad=True)
    model.composition_model.requires_grad_(requires_grad=False)
    return model


def differentiate_chgnet(structures: list[Structure], labels: Properties) -> CHGNet:
    """Compute gradients as chgnet's Trainer does, without atomic references."""
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
    model = make_model()
    model.composition_model = None
    predicted = model([converter(structure) for structure in structures], task="efsm")
    criterion(targets, predicted)["loss"].backward()
    return model


def evaluate(
    model: CHGNet, structures: list[Structure], labels: Properties, n_threads: int = 1
) -> list[BatchLoss]:
    """Evaluate each structure as a micro-batch of its own."""
    crystals = Crystals.of(structures)
    sizes = crystals.n_atoms.tolist()
    micro_batches = [
        (build_graphs(crystals[[index]], "cpu", torch.float64), Properties(*own))
        for index, own in enumerate(
            zip(
                torch.split(labels.energies, 1),
                torch.split(labels.forces, sizes),
                torch.split(labels.stresses, 1),
                torch.split(labels.magmoms, sizes),
                strict=True,
            )
        )
    ]
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    evaluator = LossEvaluator(
        ChgnetBackend(model), FineTuningSettings(), weights, n_threads=n_threads
    )
    return evaluator.evaluate(micro_batches, labels.count())


@pytest.mark.filterwarnings("ignore:Converting a tensor:UserWarning")  # chgnet's own
def test_gradients_are_those_of_chgnets_own_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (chgnet.graph.converter, chgnet.model.model):
        monkeypatch.setattr(module, "TORCH_DTYPE", torch.float64)
    structures = make_structures()
    labels = make_labels(structures)
    reference = differentiate_chgnet(structures, labels)
    model = use_fast_double_backward(make_model())
    with torch.no_grad():
        model.composition_model.fc.weight.zero_()

    losses = evaluate(model, structures, labels)

    names = [name for name, weight in model.named_parameters() if weight.requires_grad]
    for name, *addends in zip(names, *(loss.gradients for loss in losses), strict=True):
        found = torch.stack(addends).sum(dim=0)
        expected = reference.get_parameter(name).grad
        if expected is None:  # the last angle update, which nothing reads
            expected = torch.zeros_like(found)
        scale = float(expected.norm())
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6 * scale)


def test_losses_do_not_depend_on_the_number_of_threads() -> None:
    structures = make_structures()
    labels = make_labels(structures)
    model = make_model()

    alone, together = (
        evaluate(model, structures, labels, n_threads) for n_threads in (1, 3)
    )

    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one.loss, other.loss)
        pairs = zip(one.gradients, other.gradients, strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


def test_validation_has_the_loss_of_training() -> None:
    structures = make_structures()
    labels = make_labels(structures)
    graphs = build_graphs(Crystals.of(structures), "cpu", torch.float64)
    model = make_model()
    weights = list(model.parameters())
    evaluator = LossEvaluator(ChgnetBackend(model), FineTuningSettings(), weights)

    with torch.no_grad():
        (validated,) = evaluator.evaluate([(graphs, labels)], labels.count())

    (trained,) = evaluator.evaluate([(graphs, labels)], labels.count())
    assert float(validated.loss) == pytest.approx(float(trained.loss), rel=1e-9)
    torch.testing.assert_close(
        validated.deviations.absolute, trained.deviations.absolute
    )
    assert validated.gradients == ()


def test_a_batch_without_micro_batches_has_no_losses() -> None:
    evaluator = LossEvaluator(
        ChgnetBackend(make_model()), FineTuningSettings(), (), n_threads=2
    )

    assert evaluator.evaluate([], torch.zeros(4)) == []


def test_derivatives_without_targets_change_no_gradient(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A training on energies alone does not compute forces, which takes most of it."""
    structures = make_structures()
    labels = make_labels(structures)
    for missing in (labels.forces, labels.stresses, labels.magmoms):
        missing[:] = torch.nan
    graphs = build_graphs(Crystals.of(structures), "cpu", torch.float64)
    asked: list[str] = []
    whole = ChgnetBackend.differentiate

    def differentiate(
        backend: ChgnetBackend, batch: GraphBatch, properties: str
    ) -> Outputs:
        asked.append(properties)
        return whole(backend, batch, properties)

    monkeypatch.setattr(ChgnetBackend, "differentiate", differentiate)
    losses = []
    for trained in ("efsm", "e"):
        model = make_model()
        evaluator = LossEvaluator(
            ChgnetBackend(model),
            FineTuningSettings(),
            [weight for weight in model.parameters() if weight.requires_grad],
            properties=(trained, "efsm"),
        )
        losses += evaluator.evaluate([(graphs, labels)], labels.count())

    assert asked == ["efsm", "e"]
    torch.testing.assert_close(losses[0].loss, losses[1].loss)
    for one, other in zip(losses[0].gradients, losses[1].gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
