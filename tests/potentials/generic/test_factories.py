from __future__ import annotations

import os
from pathlib import Path

import pytest
from ase.calculators.emt import EMT

from nextrung.potentials.generic.factories import (
    VARIABLE,
    Factory,
    allow_factory,
    describe,
    parse_factory,
    validate_allowed,
)
from nextrung.schemas.base import InputError

EMT_FACTORY = Factory("ase", "ase.calculators.emt", "EMT")
HERE = "tests.potentials.generic.factories"


def test_a_name_is_parsed_and_written_the_same() -> None:
    name = "ase:ase.calculators.emt:EMT"

    assert parse_factory(name) == EMT_FACTORY
    assert str(EMT_FACTORY) == name


@pytest.mark.parametrize("name", ["chgnet-r2scan", "runs/model.pth", "mace:a.model"])
def test_names_of_other_kinds_are_no_factories(name: str) -> None:
    assert parse_factory(name) is None


@pytest.mark.parametrize(
    "name", ["ase:", "ase:emt", "ase:emt:", "torchsim:a b:c", "ase:a:b:c", "ase:a..b:c"]
)
def test_a_name_without_module_or_callable_is_rejected(name: str) -> None:
    with pytest.raises(
        InputError, match=r"^potential: expected (ase|torchsim):module:"
    ):
        parse_factory(name)


def test_parsing_imports_nothing() -> None:
    assert parse_factory("ase:no.such.module:factory") is not None


def test_a_factory_is_a_class_or_a_function() -> None:
    assert isinstance(EMT_FACTORY.make(), EMT)
    assert Factory("ase", HERE, "lennard_jones").make().parameters.sigma == 2.0


@pytest.mark.parametrize(
    ("module", "name", "reason"),
    [
        (
            "no_such_module",
            "f",
            "ModuleNotFoundError: No module named 'no_such_module'",
        ),
        ("ase.calculators.emt", "EMTT", "AttributeError: module 'ase"),
        ("math", "pi", "expected a callable without arguments, got a float"),
        ("math", "sqrt", "TypeError: "),
        (HERE, "raise_two_lines", "RuntimeError: no licence ask the vendor"),
    ],
)
def test_what_a_factory_raises_is_one_line(module: str, name: str, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        Factory("ase", module, name).make()

    assert str(caught.value).startswith(f"ase:{module}:{name}: expected ")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_exception_without_a_text_is_its_type() -> None:
    assert describe(AssertionError()) == "AssertionError"


def test_a_file_may_name_only_factories_that_the_user_has_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    path = Path("downloaded.json")
    with pytest.raises(
        InputError,
        match=rf"^downloaded\.json: names ase:ase.*EMT, .*export {VARIABLE}=ase:",
    ):
        validate_allowed(EMT_FACTORY, path)

    allow_factory(EMT_FACTORY)
    allow_factory(EMT_FACTORY)

    validate_allowed(EMT_FACTORY, path)
    assert os.environ[VARIABLE] == str(EMT_FACTORY)
    with pytest.raises(InputError, match="names ase:os:system"):
        validate_allowed(Factory("ase", "os", "system"), path)
