"""Titles, units and decimals of the quantities that reports show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nextrung.reports.html.elements import element, format_number, number

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element


@dataclass(frozen=True)
class Quantity:
    """A quantity in the unit that reports show it in.

    Parameters
    ----------
    title : str
        Title for readers.
    unit : str
        Shown unit; empty for a count.
    digits : int
        Decimals shown.
    factor : float
        Factor from the stored to the shown unit.
    """

    title: str
    unit: str
    digits: int
    factor: float = 1.0

    @property
    def heading(self) -> str:
        """Title and unit, as a column heading."""
        return f"{self.title} ({self.unit})"

    def format(self, value: float | None) -> str:
        """Format a value in the shown unit.

        Parameters
        ----------
        value : float or None
            The stored value.

        Returns
        -------
        str
            The value without unit; a dash where it is missing.
        """
        return format_number(
            None if value is None else value * self.factor, self.digits
        )

    def cell(
        self,
        value: float | None,
        reason: str = "",
        interval: tuple[float, float] | None = None,
    ) -> Element:
        """Build a table cell of a value.

        Parameters
        ----------
        value : float or None
            The stored value.
        reason : str
            Why the value is missing, as a tooltip.
        interval : tuple of float, optional
            Ends of its 95 % interval, which are shown below it.
        """
        made = number(value, self.digits, factor=self.factor, reason=reason)
        if interval is not None:
            low, high = map(self.format, interval)
            made.append(element("span", f"{low} to {high}", class_="interval"))
        return made


ENERGY = Quantity("Energy", "meV/atom", 1, 1000)
FORCES = Quantity("Forces", "meV/Å", 1, 1000)
STRESS = Quantity("Stress", "GPa", 3)
MAGMOMS = Quantity("Magnetic moments", "μ_B", 3)
DENSITY = Quantity("Density", "g/cm³", 3)
COUNT = Quantity("Number", "", 0)

#: Predicted properties by the name that their errors are stored under.
PROPERTIES: Mapping[str, Quantity] = {
    "energy": ENERGY,
    "forces": FORCES,
    "stress": STRESS,
    "magmoms": MAGMOMS,
}
