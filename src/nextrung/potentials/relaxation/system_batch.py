"""Base of batches of independent systems, from which systems are removed and added."""

from __future__ import annotations

from dataclasses import fields
from itertools import compress
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class SystemBatch:
    """Base of dataclasses whose fields are arrays, tuples or batches of systems.

    Fields have one entry per system; those in ``ROW_FIELDS`` are arrays with
    ``n_rows[i]`` rows for system ``i``, system after system.
    """

    ROW_FIELDS: ClassVar[frozenset[str]] = frozenset()
    n_rows: NDArray[np.int64]

    def keep(self, chosen: NDArray[np.bool_]) -> Self:
        """Remove all systems but the chosen ones.

        Parameters
        ----------
        chosen : ndarray of bool, shape (n_systems,)
            Systems to keep.

        Returns
        -------
        SystemBatch
            The chosen systems, in the same order.
        """
        if chosen.all():
            return self
        values = _list_fields(self)
        rows = np.repeat(chosen, self.n_rows) if self.ROW_FIELDS else chosen
        return type(self)(
            **{
                name: _keep(value, rows if name in self.ROW_FIELDS else chosen)
                for name, value in values.items()
            }
        )

    def join(self, other: Self) -> Self:
        """Append other systems.

        Parameters
        ----------
        other : SystemBatch
            Systems to append.

        Returns
        -------
        SystemBatch
            The systems of both, these first.
        """
        return type(self)(
            **{
                name: _join(value, getattr(other, name))
                for name, value in _list_fields(self).items()
            }
        )


def _list_fields(batch: Any) -> dict[str, Any]:  # noqa: ANN401
    """List the values of the fields of a dataclass."""
    return {field.name: getattr(batch, field.name) for field in fields(batch)}


def _keep(value: Any, chosen: NDArray[np.bool_]) -> Any:  # noqa: ANN401
    """Select the chosen entries of a field."""
    if isinstance(value, SystemBatch):
        return value.keep(chosen)
    return tuple(compress(value, chosen)) if isinstance(value, tuple) else value[chosen]


def _join(value: Any, other: Any) -> Any:  # noqa: ANN401
    """Append the entries of another field."""
    if isinstance(value, SystemBatch):
        return value.join(other)
    return value + other if isinstance(value, tuple) else np.concatenate([value, other])
