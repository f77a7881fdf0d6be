"""Other builders that carry a build out in oakum's place: one file each, found by name."""

from oakum.builder.engines.find import EMBEDDED, find_engine
from oakum.builder.engines.report import EngineReport

__all__ = ["EMBEDDED", "EngineReport", "find_engine"]
