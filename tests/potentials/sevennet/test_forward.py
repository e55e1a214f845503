from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from tests.potentials.sevennet.predictions import check_equal, predict, prepare

from nextrung.potentials.graphs.segment_ops import Segments
from nextrung.potentials.sevennet import messages

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ase import Atoms
    from ase.calculators.calculator import Calculator

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


def test_a_batch_in_float64_has_the_numbers_of_sevenn_in_float64(
    backend: SevenNetBackend,
    calculate: Callable[[str], Calculator],
    crystals: Sequence[Atoms],
) -> None:
    """The one-hot vectors of sevenn are float32 at any precision of its weights."""
    model = calculate("sevennet-mf-0/R2SCAN").model.double()
    model.set_is_batch_data(flag=True)
    for name in ("onehot_idx_to_onehot", "one_hot_modality"):
        getattr(model, name).register_forward_hook(_cast_vectors)
    double = backend.double()
    batch = double.build(prepare(backend, crystals), CPU, torch.float64)  # type: ignore[arg-type]

    expected = model(_list_edges(batch))
    outputs = double.evaluate(batch, "efs")

    energies = expected["inferred_total_energy"].detach()
    torch.testing.assert_close(outputs.energies, energies, rtol=0, atol=1e-6)
    assert outputs.forces is not None
    torch.testing.assert_close(
        outputs.forces, expected["inferred_force"].detach(), rtol=0, atol=1e-6
    )
