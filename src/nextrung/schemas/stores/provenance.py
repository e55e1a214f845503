"""Where a result came from: the documents behind it, back to the frames."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from nextrung.schemas.base import Artifact, Provenance, Record


class ProvenanceNode(Record):
    """A document in the chain behind a result."""

    uuid: str = Field(description="Job that made it.")
    name: str = Field(description="Name of the job.")
    document: str = Field(description="Class of the document.")
    study: str | None = Field(description="Study whose run stored it last.")
    model: str | None = Field(description="Model it is about.")
    facts: dict[str, str | int] = Field(description="What else tells it from others.")
    settings: dict[str, Any] | None = Field(description="Settings it was made with.")
    artifacts: dict[str, Artifact] = Field(description="Files it names.")
    parents: dict[str, str] = Field(description="Fingerprint of each input.")
    provenance: Provenance = Field(description="Where, when and with what.")


class ProvenanceGraph(Record):
    """The chain behind a result."""

    asked: str = Field(description="What was asked for.")
    rows: dict[str, dict[str, Any]] = Field(
        description="Rows of that name, by collection; empty where a job was named."
    )
    results: tuple[str, ...] = Field(
        description="Fingerprints of the documents that hold the result."
    )
    nodes: dict[str, ProvenanceNode] = Field(
        description="These documents and all behind them, by fingerprint."
    )
    missing: tuple[str, ...] = Field(
        description="Fingerprints of inputs that the store does not hold."
    )
