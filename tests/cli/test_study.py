from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.conftest import Finished

    Call = Callable[..., Finished]

#: Two models and no benchmark: seconds to run.
QUICK: dict[str, Any] = {
    "name": "quick",
    "dataset": {
        "source": {
            "kind": "distilled",
            "chemical_systems": ["Mg-O"],
            "n_materials_per_system": 6,
            "n_polymorphs_per_element": 1,
            "n_frames_per_material": 2,
            "max_atoms": 4,
            "fmax": 0.3,
        },
        "split": {"val": 0.2, "test": 0.2},
    },
    "models": ["source", "source_residual"],
    "relaxation": None,
    "stability": None,
    "density": None,
    "scaling_law": None,
}


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study file."""
    file = tmp_path_factory.mktemp("study") / "quick.yaml"
    file.write_text(yaml.safe_dump(QUICK))
    return file


def test_run_ends_with_table_and_report(call: Call, quick: Path) -> None:
    root = quick.parent / "run"

    first = call("run", quick, "--root", root)
    second = call("run", quick, "--root", root)

    assert first.code == second.code == 0
    assert "9 jobs computed, 0 answered from the store, 0 failed" in first.output
    assert "0 jobs computed, 9 answered from the store, 0 failed" in second.output
    assert "labels: distilled from chgnet-r2scan" in first.output
    assert str(root / "report.html") in first.output.replace("\n", "")
    assert "<html" in (root / "report.html").read_text()


@pytest.fixture
def set_timezone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Set the time zone of this process until the end of the test."""

    def change(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield change
    monkeypatch.undo()
    time.tzset()


def test_a_run_prints_its_own_results_whatever_the_time_zones_of_earlier_runs(
    call: Call, quick: Path, tmp_path: Path, set_timezone: Callable[[str], None]
) -> None:
    set_timezone("Asia/Tokyo")
    call("run", quick, "--root", tmp_path)
    set_timezone("UTC")
    second = call("run", quick, "--root", tmp_path, "--set", "models=[source]")

    written = json.loads((tmp_path / "results.json").read_text())
    assert second.code == 0
    assert list(written["models"]) == ["source"]
    assert json.loads(call("results", tmp_path, "--json").output) == written


def test_results_are_one_json_object(call: Call, quick: Path) -> None:
    root = quick.parent / "run"
    call("run", quick, "--root", root)

    shown = json.loads(call("results", root, "--json").output)

    assert shown == json.loads((root / "results.json").read_text())
    assert set(shown["models"]) == {"source", "source_residual"}
    assert shown["models"]["source"]["stability"] is None


def test_report_is_written_where_asked_for(
    call: Call, quick: Path, tmp_path: Path
) -> None:
    root = quick.parent / "run"
    call("run", quick, "--root", root)

    assert call("report", root, "-o", tmp_path / "page.html").code == 0
    assert (tmp_path / "page.html").read_text() == (root / "report.html").read_text()


def test_figures_are_written_as_tables_even_without_a_browser(
    call: Call, quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = quick.parent / "run"
    call("run", quick, "--root", root)
    monkeypatch.setenv("BROWSER_PATH", "/nowhere/chromium")

    page = tmp_path / "page.html"
    finished = call("report", root, "-o", page, "--figures", tmp_path / "csv")

    assert finished.code == 2
    assert finished.errors.startswith("nextrung: expected Chrome or Chromium")
    assert finished.errors.count("\n") == 1
    assert list((tmp_path / "csv").glob("*.csv"))
    assert page.is_file()


def test_studies_are_set_side_by_side(call: Call, quick: Path, tmp_path: Path) -> None:
    first, second = quick.parent / "run", tmp_path / "other"
    call("run", quick, "--root", first)
    call("run", quick, "--root", second, "--set", "name=other")

    assert call("report", first, second, "-o", tmp_path / "page.html").code == 0
    page = (tmp_path / "page.html").read_text()
    assert "quick" in page
    assert "other" in page
    refused = call("report", first, second, "--figures", tmp_path / "figures")
    assert "--figures: expected one study, got 2" in refused.errors


def test_every_model_lies_beside_its_card(call: Call, quick: Path) -> None:
    root = quick.parent / "run"
    call("run", quick, "--root", root)

    names = {file.name for file in (root / "models").iterdir()}
    assert names == {
        f"{model}.{suffix}"
        for model in ("source", "source_residual")
        for suffix in ("md", "json", "pth.tar")
    }


@pytest.mark.parametrize(
    ("limits", "verdict", "code"),
    [
        (
            [
                "preflight.models=[residual_atom_refs]",
                "preflight.min_correlation=-1",
                "preflight.max_p_value=1",
                "preflight.max_gradient_ratio=1e9",
            ],
            "GO: for residual_atom_refs",
            0,
        ),
        (["preflight.min_correlation=1"], "NO-GO: ", 1),
    ],
)
def test_a_preflight_ends_in_go_or_no_go(
    call: Call, quick: Path, tmp_path: Path, limits: list[str], verdict: str, code: int
) -> None:
    overrides = [f"--set={limit}" for limit in ("preflight.epochs=1", *limits)]
    tried = call("preflight", quick, "--root", tmp_path, *overrides)

    assert tried.code == code, tried.errors
    assert f"\n{verdict}" in tried.output
    assert (
        f"<b>{verdict.partition(':')[0]}</b>"
        in (tmp_path / "preflight.html").read_text()
    )


def test_status_counts_jobs(call: Call, quick: Path) -> None:
    root = quick.parent / "run"
    call("run", quick, "--root", root)

    assert "1  curate frames" in call("status", root).output


@pytest.mark.parametrize("name", ["hse06", "halides_vdw", "mp_r2scan"])
def test_missing_data_are_one_line_before_anything_runs(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("NEXTRUNG_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    study = Path(__file__).parents[2] / "workflows" / f"{name}.yaml"

    for options in (["--dry-run"], []):
        refused = call("run", study, *options)
        assert refused.code == 2
        assert refused.errors.startswith(f"nextrung: {study}: $NEXTRUNG_DATA/")
        assert "expected a file or folder, got none at" in refused.errors
        assert refused.errors.count("\n") == 1
        assert refused.output == ""
    assert not (tmp_path / "runs").exists()


def test_missing_crystals_are_noticed_before_anything_runs(
    call: Call, quick: Path, tmp_path: Path
) -> None:
    refused = call(
        "run", quick, "--root", tmp_path / "run", "--set=density.source=none"
    )

    assert refused.code == 2
    assert "none: expected a file or folder" in refused.errors
    assert not (tmp_path / "run").exists()


def test_dry_run_shows_the_jobs_and_makes_nothing(
    call: Call, quick: Path, tmp_path: Path
) -> None:
    shown = call("run", quick, "--root", tmp_path / "run", "--dry-run")

    assert "quick: 9 jobs before fan-out" in shown.output
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("training.epoch=1", "training.epoch: unknown key; did you mean epochs?"),
        ("source=nothing", "expected chgnet-0.3.0, chgnet-r2scan"),
        ("dataset.source={kind: vasp, paths: [/nowhere]}", "/nowhere"),
        ("dataset.split={val: 0.01, test: 0.01}", "split"),
        ("dataset.curation.functional=HSE06", "expected usable frames, got none"),
        ("dataset.source.chemical_systems=[Am-O]", "expected elements up to Pu, got"),
    ],
)
def test_unusable_study_is_one_line_and_exit_code_2(
    call: Call, quick: Path, tmp_path: Path, override: str, line: str
) -> None:
    ended = call("run", quick, "--root", tmp_path / "run", "--set", override)

    assert ended.code == 2
    assert line in ended.errors
    assert ended.errors.count("\n") == 1


def test_store_that_is_not_there_is_one_line_and_exit_code_2(
    call: Call, tmp_path: Path
) -> None:
    ended = call("results", tmp_path)

    assert ended.code == 2
    assert ended.errors.startswith("nextrung: expected a run folder with a store")
    assert not list(tmp_path.iterdir())


def test_lost_and_damaged_files_are_named_and_computed_again(
    call: Call, quick: Path, tmp_path: Path
) -> None:
    root = tmp_path / "run"
    call("run", quick, "--root", root)
    assert call("doctor", "--study", root).output.startswith("ok   artifacts: ")
    checkpoint = next(root.glob("artifacts/checkpoints/*"))
    content = bytearray(checkpoint.read_bytes())
    content[100] ^= 1
    checkpoint.write_bytes(content)
    for file in root.glob("artifacts/frames/*"):
        file.unlink()

    checked = call("doctor", "--study", root)
    again = call("run", quick, "--root", root)

    assert checked.code == 1
    assert checked.output.count("artifact missing") >= 1
    assert checked.output.count("artifact damaged: expected sha256") == 1
    assert again.code == 0
    assert "computed again: artifact damaged" in again.output
    assert call("doctor", "--study", root).code == 0


def test_run_recomputes_a_stage_and_what_depends_on_it(
    call: Call, quick: Path, tmp_path: Path
) -> None:
    root = tmp_path / "run"
    call("run", quick, "--root", root)

    again = call("run", quick, "--root", root, "--recompute", "evaluation")

    assert "3 jobs computed, 6 answered from the store, 0 failed" in again.output
    assert not (root / "recompute.json").exists()


def test_an_interrupted_recomputation_is_continued(
    call: Call, quick: Path, tmp_path: Path
) -> None:
    root = tmp_path / "run"
    call("run", quick, "--root", root)
    request = {"stages": ["evaluation"], "token": "token"}
    (root / "recompute.json").write_text(json.dumps(request))

    again = call("run", quick, "--root", root)

    assert "still to recompute: evaluation" in again.output
    assert "3 jobs computed, 6 answered from the store, 0 failed" in again.output


def test_a_stage_to_recompute_that_the_study_lacks_is_one_line(
    call: Call, quick: Path, tmp_path: Path
) -> None:
    ended = call("run", quick, "--root", tmp_path, "--recompute", "density")

    assert ended.code == 2
    assert "--recompute: expected a stage of this study: dataset" in ended.errors


def test_neither_the_name_nor_the_shards_of_a_study_are_computed_again(
    call: Call, quick: Path, tmp_path: Path
) -> None:
    """Only the job that plans relaxations and the one that summarises run again."""
    root = tmp_path / "run"
    settings = ("--set", "models=[source]", "--set", "relaxation.max_steps=1")
    shards = "relaxation.materials_per_shard"
    first = call("run", quick, "--root", root, *settings, "--set", f"{shards}=4")
    renamed = call(
        *("run", quick, "--root", root, *settings, "--set", "name=other"),
        *("--set", f"{shards}=1000"),
    )
    assert first.code == renamed.code == 0

    assert "2 jobs computed" in renamed.output
    assert "relaxed in shards of another size; keeping" in renamed.output
    assert "✓ relax shard" not in renamed.output
    assert "✓ merge shards" not in renamed.output
