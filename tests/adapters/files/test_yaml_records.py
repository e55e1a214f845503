from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nextrung.adapters.files.yaml_records import load_yaml, validate_record
from nextrung.schemas.base import InputError
from nextrung.schemas.cluster.machine import Machine
from nextrung.schemas.study import StudySettings

if TYPE_CHECKING:
    from pathlib import Path


def test_valid_settings_become_a_record(tmp_path: Path) -> None:
    file = tmp_path / "machine.yaml"
    file.write_text("categories: {cpu: {cpus: 2}, gpu: {}}")

    machine = validate_record(Machine, load_yaml(file, "machine file"), file)

    assert machine.categories["cpu"].cpus == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- 1", "keys and values at the top level"),
        ("a: [", "expected YAML, got"),
        ("p: 'se cret", "found unexpected end of stream in line 1, column"),
        ("a: \udcff", "expected YAML, got"),
        ("a: " + "[" * 3000 + "]" * 3000, "values nested more than 100 deep"),
        ("a: 1\nb:\n  c: 1\n  c: 2", "got the key 'c' 2 times in one mapping, line 3"),
        ("a: &a [*a]", "aliases expand to more than"),
        (
            "a: &a0 [1]\n"
            + "\n".join(
                f"b{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)
            ),
            "aliases expand to more than",
        ),
        (
            "a: !!python/object/apply:os.system [ls]",
            "could not determine a constructor",
        ),
    ],
)
def test_anything_but_a_mapping_is_rejected(
    tmp_path: Path, content: str, message: str
) -> None:
    file = tmp_path / "machine.yaml"
    file.write_bytes(content.encode(errors="surrogateescape"))

    with pytest.raises(InputError, match=message):
        load_yaml(file, "machine file")


def test_a_merge_key_may_repeat_a_key(tmp_path: Path) -> None:
    file = tmp_path / "machine.yaml"
    file.write_text("a: &a {x: 1, y: 1}\nb:\n  <<: *a\n  x: 2")

    assert load_yaml(file, "machine file")["b"] == {"x": 2, "y": 1}


def test_the_error_of_a_missing_file_names_its_kind(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a machine file, got no .*none"):
        load_yaml(tmp_path / "none", "machine file")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"categories": {"gpu": {"waltime": "1:00:00"}}},
            r"^m: categories\.gpu\.waltime: unknown key; did you mean walltime\?$",
        ),
        (
            {"jobs": {"relaxations": {}}},
            r"^m: jobs\.relaxations: unknown key; did you mean relaxation\?$",
        ),
        (
            {"categories": {"cpu": {"cpus": "many"}}},
            r"^m: categories\.cpu\.cpus: input should be .*, got 'many'$",
        ),
        (
            {"categories": {"cpu": {}}},
            r"^m: jobs\.atom_refs: expected a category among cpu, got gpu$",
        ),
    ],
)
def test_an_invalid_key_or_value_is_a_one_line_error(
    tmp_path: Path, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        validate_record(Machine, settings, tmp_path.joinpath("m").relative_to(tmp_path))


def test_the_error_of_a_missing_value_names_its_key(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"name: field required$"):
        validate_record(StudySettings, {}, tmp_path)
