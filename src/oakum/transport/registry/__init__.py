"""Registries: the distribution spec's pull and push."""

from oakum.transport.registry.source import RegistrySource
from oakum.transport.registry.target import RegistryTarget

__all__ = ["RegistrySource", "RegistryTarget"]
