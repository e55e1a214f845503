from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

import pytest
import torch
from tests.potentials.sevennet.predictions import (
    check_equal,
    predict,
    prepare,
    run_sevenn,
)

from nextrung.potentials.graphs.segment_ops import Segments
from nextrung.potentials.sevennet import messages

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ase import Atoms
    from ase.calculators.calculator import Calculator
    from torch import Tensor

    from nextrung.potentials.interface import LoadedModel
    from nextrung.potentials.sevennet.backend import SevenNetBackend

CPU = torch.device("cpu")
NAMES = [
    "sevennet-0",
    "sevennet-l3i5",
    "sevennet-mf-0/PBE",
    "sevennet-mf-0/R2SCAN",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_has_the_numbers_of_the_calculator_of_sevenn(
    name: str,
    load: Callable[[str], LoadedModel],
    calculate: Callable[[str], Calculator],
    crystals: Sequence[Atoms],
) -> None:
    outputs = predict(load(name).backend, crystals)  # type: ignore[arg-type]

    assert outputs.energies.dtype == torch.float64
    assert outputs.magmoms is None
    check_equal(outputs, crystals, calculate(name), energy=2e-6, forces=1e-5)


@pytest.mark.parametrize("name", ["sevennet-0", "sevennet-mf-0/R2SCAN"])
def test_a_batch_in_float64_has_the_numbers_of_sevenn_in_float64(
    name: str,
    load: Callable[[str], LoadedModel],
    calculate: Callable[[str], Calculator],
    crystals: Sequence[Atoms],
) -> None:
    backend = load(name).backend.double()
    batch = backend.build(prepare(backend, crystals), CPU, torch.float64)  # type: ignore[attr-defined,arg-type]
    model = deepcopy(calculate(name).model).double()

    expected = run_sevenn(model, batch, backend.fidelity)  # type: ignore[attr-defined]
    outputs = backend.evaluate(batch, "efs")  # type: ignore[attr-defined]

    energies, forces, stresses = (values.detach() for values in expected)
    assert_close(outputs.energies, energies, atol=1e-7)
    assert_close(outputs.forces, forces, atol=1e-7)
    assert_close(outputs.stresses, stresses, atol=1e-6)


def assert_close(values: Tensor | None, expected: Tensor, *, atol: float) -> None:
    """Assert that values are within an absolute distance."""
    assert values is not None
    torch.testing.assert_close(values, expected, rtol=0, atol=atol)


def test_gradients_of_a_loss_are_those_of_sevenn(
    backend: SevenNetBackend,
    calculate: Callable[[str], Calculator],
    crystals: Sequence[Atoms],
) -> None:
    trained = backend.double().for_training()
    batch = trained.build(prepare(backend, crystals), CPU, torch.float64)  # type: ignore[arg-type]
    model = deepcopy(calculate("sevennet-mf-0/R2SCAN").model).double().train()

    energies, forces, stresses = run_sevenn(model, batch, "R2SCAN")
    measure_loss(energies, forces, stresses).backward()  # type: ignore[no-untyped-call]
    outputs = trained.differentiate(batch, "efs")
    measure_loss(outputs.energies, outputs.forces, outputs.stresses).backward()  # type: ignore[no-untyped-call]

    expected = dict(model.named_parameters())
    compared = [
        (weight.grad, expected[name].grad)
        for name, weight in trained.module.named_parameters()
        if expected[name].requires_grad
    ]
    assert len(compared) == 34
    for gradient, reference in compared:
        assert gradient is not None
        assert reference is not None
        scale = float(reference.abs().max()) if reference.numel() else 0.0
        assert_close(gradient, reference, atol=1e-6 * scale)


def measure_loss(
    energies: Tensor, forces: Tensor | None, stresses: Tensor | None
) -> Tensor:
    """Compute a loss on all three properties."""
    assert forces is not None
    assert stresses is not None
    return energies.square().mean() + forces.square().mean() + stresses.square().mean()


def test_only_the_wanted_properties_are_computed(
    backend: SevenNetBackend, crystals: Sequence[Atoms]
) -> None:
    everything = predict(backend, crystals)
    energies, forces, stresses = (
        predict(backend, crystals, properties) for properties in ("e", "ef", "es")
    )

    assert (energies.forces, energies.stresses, forces.stresses) == (None, None, None)
    assert stresses.forces is None
    for outputs in (energies, forces, stresses):
        assert not outputs.energies.requires_grad
        assert_close(outputs.energies, everything.energies, atol=1e-5)
    assert everything.forces is not None
    assert everything.stresses is not None
    assert_close(forces.forces, everything.forces, atol=1e-6)
    assert_close(stresses.stresses, everything.stresses, atol=1e-4)


def test_a_crystal_has_the_same_numbers_in_any_batch(
    backend: SevenNetBackend, crystals: Sequence[Atoms]
) -> None:
    double = backend.double()
    together = predict(double, crystals)

    for index, atoms in enumerate(crystals):
        alone = predict(double, [atoms])
        assert_close(alone.energies[0], together.energies[index], atol=1e-10)


@pytest.mark.parametrize("part_size", [1, 50, 10**6])
def test_messages_in_parts_are_those_of_the_whole(
    part_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "_PART_SIZE", part_size)
    generator = torch.Generator().manual_seed(0)
    shapes = [(14, 3, 2), (14, 9, 3), (7, 3, 2)]
    inputs = [
        torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
        for shape in shapes
    ]
    rows = torch.tensor([0, 0, 0, 1, 2, 2, 2, 2, 2])
    receivers = Segments.of(torch.randint(0, 4, (14,), generator=generator), 5)
    values, matrices, weights = inputs

    whole, parts = (
        add_up(values, matrices, weights, path_of_row=rows, receivers=receivers)
        for add_up in (messages.sum_messages, messages.sum_messages_once)
    )

    assert_close(parts, whole, atol=1e-12)
    gradient = torch.randn(whole.shape, generator=generator, dtype=torch.float64)
    expected = torch.autograd.grad(whole, inputs, gradient)
    for found, reference in zip(
        torch.autograd.grad(parts, inputs, gradient), expected, strict=True
    ):
        assert_close(found, reference, atol=1e-12)


def test_messages_can_be_differentiated_twice() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = [
        torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
        for shape in [(6, 3, 2), (6, 4, 3), (3, 2, 2)]
    ]
    rows = torch.tensor([0, 1, 1, 1])
    receivers = Segments.of(torch.tensor([0, 1, 0, 0, 2, 1]), 3)

    def add_up(values: Tensor, matrices: Tensor, weights: Tensor) -> Tensor:
        return messages.sum_messages(
            values, matrices, weights, path_of_row=rows, receivers=receivers
        )

    assert torch.autograd.gradgradcheck(add_up, inputs)
