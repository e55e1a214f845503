"""Provenance graph of a result: its documents, back to the frames."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from nextrung.schemas.base import Artifact, Provenance, Record


class ProvenanceNode(Record):
    """Document in a provenance graph."""

    uuid: str = Field(description="Uuid of the job that made it.")
    name: str = Field(description="Name of the job.")
    document: str = Field(description="Class of the document.")
    study: str | None = Field(description="Study that stored it last.")
    model: str | None = Field(description="Model of the study.")
    facts: dict[str, str | int] = Field(description="Other numbers and names.")
    settings: dict[str, Any] | None = Field(description="Settings of the job.")
    artifacts: dict[str, Artifact] = Field(description="Files of the document.")
    parents: dict[str, str] = Field(description="Fingerprint of each input, by name.")
    provenance: Provenance = Field(description="Versions and host of the job.")


class ProvenanceGraph(Record):
    """Documents behind a result and their inputs."""

    asked: str = Field(description="Query.")
    rows: dict[str, dict[str, Any]] = Field(
        description="Matching rows, by collection; empty for a query by job."
    )
    results: tuple[str, ...] = Field(
        description="Fingerprints of the documents that contain the result."
    )
    nodes: dict[str, ProvenanceNode] = Field(
        description="These documents and all their inputs, by fingerprint."
    )
    missing: tuple[str, ...] = Field(
        description="Fingerprints of inputs that are not in the store."
    )
