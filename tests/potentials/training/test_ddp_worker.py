from __future__ import annotations

import pickle

import pytest

from nextrung.potentials.training.ddp_worker import _picklable
from nextrung.schemas.base import InputError


class Stubborn(Exception):  # noqa: N818
    """An exception that cannot be made from its arguments."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first + second)


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (InputError("too high"), InputError, "too high"),
        (Stubborn("a", "b"), RuntimeError, "Stubborn: ab"),
    ],
    ids=["plain", "stubborn"],
)
def test_every_exception_reaches_the_parent(
    error: Exception, kind: type[Exception], text: str
) -> None:
    returned = pickle.loads(pickle.dumps(_picklable(error)))  # noqa: S301

    assert (type(returned), str(returned)) == (kind, text)
