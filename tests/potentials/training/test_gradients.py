from __future__ import annotations

import numpy as np
import pytest
import torch
from chgnet.model import CHGNet

from nextrung.potentials.training.gradients import TRACKED_WEIGHTS, record_gradients
from nextrung.schemas.fine_tuning import TrackedLayer


@pytest.fixture(scope="module")
def model() -> CHGNet:
    torch.manual_seed(0)
    return CHGNet()


def test_every_tracked_layer_is_a_weight_of_its_own(model: CHGNet) -> None:
    weights = {id(model.get_parameter(name)) for name in TRACKED_WEIGHTS.values()}

    assert set(TRACKED_WEIGHTS) == set(TrackedLayer)
    assert len(weights) == 8


def test_records_describe_the_components_of_the_gradient(model: CHGNet) -> None:
    weight = model.get_parameter("bond_embedding.weight")
    gradient = np.random.default_rng(0).normal(size=tuple(weight.shape))
    weight.grad = torch.tensor(gradient, dtype=weight.dtype)

    records = {record.layer: record for record in record_gradients(model, 3, 0.5)}

    record = records[TrackedLayer.BOND_EMBEDDING]
    components = weight.grad.double().numpy().ravel()
    assert (record.step, record.fraction_of_epoch) == (3, 0.5)
    assert record.norm == pytest.approx(np.sqrt((components**2).sum()))
    assert record.mean_abs == pytest.approx(np.abs(components).mean())
    found = [record.minimum, record.p5, record.p25, record.median]
    found += [record.p75, record.p95, record.maximum]
    expected = np.percentile(components, [0, 5, 25, 50, 75, 95, 100])
    assert found == pytest.approx(expected)


def test_a_layer_the_loss_does_not_reach_has_a_gradient_of_zero(model: CHGNet) -> None:
    model.zero_grad()

    norms = [record.norm for record in record_gradients(model, 0, 0.0)]

    assert norms == [0.0] * 8
