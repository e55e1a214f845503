from __future__ import annotations

import logging
import warnings

import pytest
import torch
from lightning.pytorch.utilities.warnings import PossibleUserWarning

from nextrung.potentials.training.trainer import (
    _matmul_precision,
    _silence_lightning,
    count_processes,
    report_idle_gpus,
)
from nextrung.schemas.fine_tuning import Precision


@pytest.mark.parametrize(
    ("precision", "rounding"),
    [
        (Precision.FLOAT32, "highest"),
        (Precision.TENSOR_FLOAT32, "high"),
        (Precision.FLOAT64, "highest"),
    ],
)
def test_only_tensor_float32_rounds_matrix_products(
    precision: Precision, rounding: str
) -> None:
    with _matmul_precision(precision):
        assert torch.get_float32_matmul_precision() == rounding

    assert torch.get_float32_matmul_precision() == "highest"


def test_torch_has_one_thread_while_it_trains() -> None:
    before = torch.get_num_threads()
    got = []

    def fail() -> None:
        got.append(torch.get_num_threads())
        raise RuntimeError

    with pytest.raises(RuntimeError), _matmul_precision(Precision.TENSOR_FLOAT32):
        fail()

    assert got == [1]
    assert torch.get_num_threads() == before
    assert torch.get_float32_matmul_precision() == "highest"


def test_lightning_is_silent_only_while_it_trains() -> None:
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level

    with _silence_lightning():
        assert logger.level == logging.ERROR
        warnings.warn("few workers", PossibleUserWarning, stacklevel=1)

    assert logger.level == level


def test_other_warnings_are_not_suppressed() -> None:
    with _silence_lightning(), pytest.warns(UserWarning, match="of another"):
        warnings.warn("of another", UserWarning, stacklevel=1)


def test_a_cpu_trains_in_one_process_unless_the_machine_is_set_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert count_processes(torch.device("cpu"), 16) == 1

    monkeypatch.setenv("NEXTRUNG_N_TRAINING_PROCESSES", "3")
    assert count_processes(torch.device("cpu"), 16) == 3


@pytest.mark.parametrize(
    ("n_devices", "wanted", "batch_size", "used"),
    [
        (1, None, 16, 1),
        (4, None, 16, 1),
        (4, None, 64, 1),
        (4, None, 128, 2),
        (4, None, 1024, 4),
        (4, "2", 16, 2),
        (1, "2", 1024, 1),
    ],
)
def test_every_accelerator_that_a_batch_fills_has_a_process_and_none_has_two(
    n_devices: int,
    wanted: str | None,
    batch_size: int,
    used: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_devices)
    if wanted is not None:
        monkeypatch.setenv("NEXTRUNG_N_TRAINING_PROCESSES", wanted)

    assert count_processes(torch.device("cuda"), batch_size) == used


def test_idle_gpus_are_reported_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)

    report_idle_gpus(8, 1024)
    assert caplog.text == ""

    report_idle_gpus(1, 64)
    assert "training on 1 of 8 GPUs: batches of 64 frames" in caplog.text


def test_a_training_does_not_inherit_the_precision_of_its_environment() -> None:
    torch.set_float32_matmul_precision("high")
    try:
        with _matmul_precision(Precision.FLOAT32):
            assert torch.get_float32_matmul_precision() == "highest"
    finally:
        torch.set_float32_matmul_precision("highest")
