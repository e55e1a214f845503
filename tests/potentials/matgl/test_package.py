from __future__ import annotations

from tests.families import require_family


def test_the_package_is_there_where_it_is_tested() -> None:
    """The other tests of this folder skip as modules, which no option can forbid."""
    require_family("matgl", "matgl")
