"""The version of oakum."""

from __future__ import annotations


def version() -> str:
    """The version of the installed package."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("oakum")
    except PackageNotFoundError:
        return "unknown"
