"""What mypy does not see of the benchmarks: untyped packages, names in strings."""

from __future__ import annotations

import json
import runpy
from importlib import import_module
from inspect import Parameter, signature
from pathlib import Path
from pkgutil import resolve_name

import pytest
import torch
from tests.families import require_family

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("bench_*.py"))


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the scripts import each other, as Python does where one is run."""
    monkeypatch.syspath_prepend(FOLDER)


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_benchmark_imports_and_shows_its_help(
    script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if script == "bench_sevennet":
        require_family("sevennet", "sevenn")
    path = FOLDER / f"{script}.py"
    monkeypatch.setattr("sys.argv", [str(path), "--help"])

    with pytest.raises(SystemExit) as exited:
        runpy.run_path(str(path), run_name="__main__")

    assert exited.value.code == 0
    assert f"usage: {path.name} [-h]" in capsys.readouterr().out


def run_benchmark(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the benchmark of GPUs; return its exit code."""
    path = FOLDER / "bench_gpu.py"
    monkeypatch.setattr("sys.argv", [str(path), *arguments])
    with pytest.raises(SystemExit) as exited:
        runpy.run_path(str(path), run_name="__main__")
    return int(str(exited.value.code))


@pytest.mark.filterwarnings("ignore::UserWarning")  # of chgnet
def test_every_section_of_the_benchmark_of_gpus_runs_on_a_cpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out = tmp_path / "tables.json"

    code = run_benchmark(monkeypatch, "--device", "cpu", "--small", "--out", str(out))

    content = json.loads(out.read_text())
    assert code == 0
    assert set(content["checks"].values()) == {True}
    assert all(len(table) > 1 for table in content["tables"].values())
    (_, prediction, training) = content["tables"]["Missing memory"]
    assert prediction[1] != "0 times"
    assert training[1] != "0 times"


@pytest.mark.gpu
@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_passes_all_checks_of_its_benchmark(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert run_benchmark(monkeypatch) == 0


def test_the_benchmark_of_studies_replaces_functions_with_their_arguments(
    tmp_path: Path,
) -> None:
    benchmark = import_module("bench_study")
    fakes = benchmark.FakeCalculations(benchmark.generate_dataset(0), tmp_path)

    for name, fake in fakes.replacements().items():
        parameters = signature(resolve_name(name)).parameters.values()
        by_name = {p.name: p for p in parameters if p.kind is Parameter.KEYWORD_ONLY}
        by_position = [p for p in parameters if p.name not in by_name]
        signature(fake).bind(*by_position, **by_name)  # a TypeError names the argument
