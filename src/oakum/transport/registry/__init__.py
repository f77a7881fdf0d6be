"""Registries: the distribution spec's pull and push."""

from oakum.transport.registry.source import RegistrySource, list_tags
from oakum.transport.registry.target import RegistryTarget

__all__ = ["RegistrySource", "RegistryTarget", "list_tags"]
