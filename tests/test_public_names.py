"""The public face of the package: ``from nextrung import …``."""

from __future__ import annotations

import subprocess
import sys

import pytest

import nextrung


@pytest.mark.parametrize("name", nextrung.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    public = getattr(nextrung, name)
    assert getattr(public, "__name__", "__version__") == name


def test_public_names_are_listed() -> None:
    assert set(nextrung.__all__) <= set(dir(nextrung))


def test_an_unknown_name_is_an_error_as_in_any_module() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        nextrung.nonsense  # noqa: B018


def test_importing_the_package_and_its_settings_loads_no_library() -> None:
    code = (
        "import sys, nextrung, nextrung.settings; "
        "print({'torch', 'pymatgen'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, check=True)  # noqa: S603 - ours
    assert done.stdout.decode().strip() == "set()"
