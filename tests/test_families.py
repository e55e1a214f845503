"""Every architecture is tested by one of the environments of ``make test``."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from tests.families import require_family

ROOT = Path(__file__).parents[1]


def test_every_family_with_an_extra_is_tested_in_an_environment() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    backends = (ROOT / "src/nextrung/potentials").glob("*/backend.py")
    rooms = {path.parent.name for path in backends}
    families = rooms & set(project["optional-dependencies"])
    calls = re.findall(r"NEXTRUNG_FAMILIES=(\S+)", (ROOT / "Makefile").read_text())

    assert "mace" in families
    assert families <= {name for call in calls for name in call.split(",")}


def test_a_missing_package_skips_where_its_family_is_tested_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NEXTRUNG_FAMILIES", "sevennet,matgl")

    with pytest.raises(pytest.skip.Exception, match="install the extra `nothing`"):
        require_family("nothing", "no_such_package")


def test_a_missing_package_fails_where_its_family_is_tested(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NEXTRUNG_FAMILIES", "nothing,matgl")

    with pytest.raises(pytest.fail.Exception, match="no no_such_package"):
        require_family("nothing", "no_such_package")


def test_a_package_that_is_there_is_no_reason_to_skip() -> None:
    require_family("chgnet", "chgnet")
