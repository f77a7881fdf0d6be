"""Installed-package databases, read from layers."""

from oakum.packages.dpkg import (
    audit,
    diversions,
    has_dpkg,
    info_file,
    owned_paths,
    parse_md5sums,
    parse_status,
    read_dpkg,
)
from oakum.packages.interface import Package

__all__ = [
    "Package",
    "audit",
    "diversions",
    "has_dpkg",
    "info_file",
    "owned_paths",
    "parse_md5sums",
    "parse_status",
    "read_dpkg",
]
