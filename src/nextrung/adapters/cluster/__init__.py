"""LaunchPad of FireWorks, configuration folders and checks of a cluster."""

from __future__ import annotations
