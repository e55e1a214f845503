from __future__ import annotations

import logging
import warnings

import pytest
import torch
from lightning.pytorch.utilities.exceptions import SIGTERMException
from lightning.pytorch.utilities.warnings import PossibleUserWarning

from nextrung.potentials.trainers import (
    choose_arithmetic,
    count_processes,
    exit_when_terminated,
    quieten,
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
    with choose_arithmetic(precision):
        assert torch.get_float32_matmul_precision() == rounding

    assert torch.get_float32_matmul_precision() == "highest"


def test_training_takes_one_core_per_thread_and_gives_them_back() -> None:
    before = torch.get_num_threads()
    met = []

    def fail() -> None:
        met.append(torch.get_num_threads())
        raise RuntimeError

    with pytest.raises(RuntimeError), choose_arithmetic(Precision.TENSOR_FLOAT32):
        fail()

    assert met == [1]
    assert torch.get_num_threads() == before
    assert torch.get_float32_matmul_precision() == "highest"


def test_lightning_is_quiet_while_it_trains_and_loud_again_afterwards() -> None:
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level

    with quieten():
        assert logger.level == logging.ERROR
        warnings.warn("few workers", PossibleUserWarning, stacklevel=1)

    assert logger.level == level


def test_warnings_of_others_are_heard() -> None:
    with quieten(), pytest.warns(UserWarning, match="of another"):
        warnings.warn("of another", UserWarning, stacklevel=1)


def test_a_terminated_training_is_no_success() -> None:
    def terminate() -> None:
        raise SIGTERMException

    with pytest.raises(SystemExit) as ended, exit_when_terminated():
        terminate()

    assert ended.value.code == 128 + 15


def test_a_cpu_trains_in_one_process() -> None:
    assert count_processes(torch.device("cpu")) == 1
