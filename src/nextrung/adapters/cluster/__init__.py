"""FireWorks LaunchPad, configuration folders and checks of a machine."""

from __future__ import annotations
