from __future__ import annotations

import pytest
import torch

from nextrung.adapters.cluster.checks import gpus
from nextrung.adapters.cluster.checks.gpus import check_gpus, check_precision
from nextrung.schemas.cluster.checks import Finding, Level, make_finding


@pytest.fixture(autouse=True)
def _two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two idle GPUs in one environment."""
    monkeypatch.delenv(gpus.VISIBLE_VARIABLE, raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "H200")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (143e9, 144e9))
    monkeypatch.setattr(torch.cuda.nccl, "version", lambda: (2, 27, 5))
    monkeypatch.setattr(gpus, "is_nccl_available", lambda: True)
    good = make_finding("GPU precision", Level.OK, "float32 products in float32")
    monkeypatch.setattr(gpus, "check_precision", lambda _: good)


def examine() -> dict[str, Finding]:
    """Findings by subject."""
    return {found.subject: found for found in check_gpus()}


def test_idle_gpus_have_no_warnings() -> None:
    found = examine()

    assert {one.level for one in found.values()} == {"ok"}
    assert found["GPU"].found == "2 × H200"
    assert found["GPU memory"].found == "143 of 144, 143 of 144 GB free"
    assert found["NCCL"].found == "2.27.5"
    assert "srun --gpus-per-task=1" in found["GPUs per worker"].advice


def test_a_machine_without_gpu_is_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setenv(gpus.VISIBLE_VARIABLE, "3")

    (found,) = check_gpus()

    assert found.level == "warn"
    assert found.found.endswith("of CUDA_VISIBLE_DEVICES=3")


def test_memory_that_others_use_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [(100e9, 144e9), (144e9, 144e9)]
    monkeypatch.setattr(torch.cuda, "mem_get_info", sizes.__getitem__)

    found = examine()["GPU memory"]

    assert (found.level, found.found) == ("warn", "100 of 144, 144 of 144 GB free")


def test_several_gpus_without_nccl_cannot_train_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gpus, "is_nccl_available", lambda: False)
    assert examine()["NCCL"].level == "fail"

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    found = examine()
    assert "NCCL" not in found
    assert found["GPUs per worker"].found.startswith("1 for a worker started here")


def test_products_in_float32_are_told_from_rounded_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cpu = torch.device("cpu")
    assert check_precision(cpu).level == "ok"

    def round_factor(self: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        rounded: torch.Tensor = torch.round(self * 2**10) / 2**10
        return torch.mm(rounded, other)

    monkeypatch.setattr(torch.Tensor, "__matmul__", round_factor)
    monkeypatch.setenv(gpus.ROUNDING_VARIABLE, "1")
    found = check_precision(cpu)
    assert found.level == "fail"
    assert found.found.endswith("NVIDIA_TF32_OVERRIDE=1")


def test_a_gpu_without_kernels_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("CUDA error: no kernel image is available\nCompile with")

    monkeypatch.setattr(torch.Tensor, "__matmul__", fail)

    found = check_precision(torch.device("cpu"))

    assert found.level == "fail"
    assert found.found.endswith("CUDA error: no kernel image is available")
