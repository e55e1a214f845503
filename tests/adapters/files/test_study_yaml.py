from __future__ import annotations

from pathlib import Path

import pytest

from nextrung.adapters.files.study_yaml import read_study
from nextrung.schemas.base import InputError

WORKFLOWS = Path(__file__).parents[3] / "workflows"


def written(folder: Path, content: str) -> Path:
    file = folder / "study.yaml"
    file.write_text(content)
    return file


@pytest.mark.parametrize("file", sorted(WORKFLOWS.glob("*.yaml")), ids=lambda f: f.stem)
def test_study_files_of_the_project_are_valid(file: Path) -> None:
    assert read_study(file).name == file.stem


def test_the_studies_of_chgnet_and_sevennet_have_the_same_data_and_split() -> None:
    """So that their report compares them on the same test frames."""
    chgnet, sevennet = (
        read_study(WORKFLOWS / f"{name}_oxides_fluorides.yaml")
        for name in ("tm", "sevennet")
    )

    assert sevennet.dataset == chgnet.dataset
    assert sevennet.models == chgnet.models
    assert set(sevennet.finished_names) == {"sevennet-mf-0_R2SCAN", "chgnet-r2scan"}


def test_the_name_of_the_file_is_the_default_name_of_the_study(tmp_path: Path) -> None:
    assert read_study(written(tmp_path, "source: chgnet-0.3.0")).name == "study"


def test_overrides_replace_settings(tmp_path: Path) -> None:
    file = written(tmp_path, "training: {epochs: 3, batch_size: 2}")

    study = read_study(file, ["training.epochs=5", "relaxation.fmax=0.02"])

    assert (study.training.epochs, study.training.batch_size) == (5, 2)
    assert study.relaxation is not None
    assert study.relaxation.fmax == 0.02


def test_a_stage_set_to_null_is_skipped(tmp_path: Path) -> None:
    assert (
        read_study(written(tmp_path, "a: 1\n".replace("a: 1", "density:"))).density
        is None
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "training: {epoch: 3}",
            r"training\.epoch: unknown key; did you mean epochs\?",
        ),
        ("trainin: {}", r"trainin: unknown key; did you mean training\?"),
        (
            "dataset: {source: {kind: vasp, pats: [a]}}",
            r"source\.vasp\.pats: unknown key; did you mean paths\?",
        ),
        ("zzz: 1", "zzz: unknown key$"),
        ("training: {epochs: -1}", r"training\.epochs: input should be greater .*-1"),
        ("models: [scratch, scratch]", "models: expected each model once"),
        ("relaxation: null", "stability needs relaxation"),
        ("models: [scrach]", r"models\.0\.model: input should be 'source'"),
        ("- 1", "expected keys and values"),
        ("a: [", "expected YAML"),
    ],
)
def test_invalid_settings_are_a_one_line_error(
    tmp_path: Path, content: str, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_study(written(tmp_path, content))
    assert "\n" not in str(caught.value)


def test_the_error_of_a_missing_file_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a study file"):
        read_study(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epochs", "expected key.key=value"),
        ("name=[", "expected a YAML value"),
    ],
)
def test_the_error_of_an_invalid_override_quotes_it(
    tmp_path: Path, override: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_study(written(tmp_path, "name: a"), [override])
