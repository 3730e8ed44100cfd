"""Opens the schema registry of a configuration."""

from __future__ import annotations

import httpx

from driftwatch.config import SchemaRegistryConfig
from driftwatch.data.schema_registry import SchemaRegistry


def open_registry(config: SchemaRegistryConfig) -> SchemaRegistry:
    """The registry's client; nothing is requested yet.

    Raises:
        ConfigError: the extra is not installed, or the certificates to trust cannot be read.
    """
    client = httpx.Client(**config.client_options("source.schema_registry"))
    return SchemaRegistry(config.urls, client, config.destination)
