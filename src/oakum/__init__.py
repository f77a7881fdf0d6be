"""oakum patches container images by making new ones.

The verbs of the command line are here as typed functions: they return values, tell progress to a
callback, raise an `OakumError` that says what to do, and print nothing.  What they need is imported
when one of them is first used::

    import oakum

    with oakum.Store() as store:
        found = oakum.scan(store, "debian:12")
        for fix in found.fixes:
            print(fix.package, fix.installed, fix.fixed, *fix.advisories)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oakum.builder import (
        BuildRequest,
        Built,
        Secret,
        build,
        check,
        list_targets,
        outline,
        prune,
    )
    from oakum.dockerfile import Checked, CheckWarning, Outline, Target
    from oakum.errors import OakumError
    from oakum.oci import Platform, Reference, parse_platform, parse_reference
    from oakum.progress import Event, Progress
    from oakum.store import Store, check_store, usage
    from oakum.transport import RegistryOptions
    from oakum.verbs import (
        Bumped,
        BumpOptions,
        Change,
        Fix,
        Locked,
        Plan,
        Proof,
        RebuildRequest,
        Rebuilt,
        RepositoryOptions,
        Scan,
        Selection,
        Unfixed,
        bump,
        copy,
        inspect,
        list_files,
        list_images,
        lock,
        publish,
        pull_image,
        read_file,
        rebuild,
        scan,
        scan_sources,
        send,
        tag_image,
        untag_images,
        verify,
        write_bump,
    )

_WHERE = {
    "oakum.builder": (
        "BuildRequest",
        "Built",
        "Secret",
        "build",
        "check",
        "list_targets",
        "outline",
        "prune",
    ),
    "oakum.dockerfile": ("CheckWarning", "Checked", "Outline", "Target"),
    "oakum.errors": ("OakumError",),
    "oakum.oci": ("Platform", "Reference", "parse_platform", "parse_reference"),
    "oakum.progress": ("Event", "Progress"),
    "oakum.store": ("Store", "check_store", "usage"),
    "oakum.transport": ("RegistryOptions",),
    "oakum.verbs": (
        "BumpOptions",
        "Bumped",
        "Change",
        "Fix",
        "Locked",
        "Plan",
        "Proof",
        "RebuildRequest",
        "Rebuilt",
        "RepositoryOptions",
        "Scan",
        "Selection",
        "Unfixed",
        "bump",
        "copy",
        "inspect",
        "list_files",
        "list_images",
        "lock",
        "publish",
        "pull_image",
        "read_file",
        "rebuild",
        "scan",
        "scan_sources",
        "send",
        "tag_image",
        "untag_images",
        "verify",
        "write_bump",
    ),
}
_MODULES = {name: module for module, names in _WHERE.items() for name in names}

__all__ = [
    "BuildRequest",
    "Built",
    "BumpOptions",
    "Bumped",
    "Change",
    "CheckWarning",
    "Checked",
    "Event",
    "Fix",
    "Locked",
    "OakumError",
    "Outline",
    "Plan",
    "Platform",
    "Progress",
    "Proof",
    "RebuildRequest",
    "Rebuilt",
    "Reference",
    "RegistryOptions",
    "RepositoryOptions",
    "Scan",
    "Secret",
    "Selection",
    "Store",
    "Target",
    "Unfixed",
    "build",
    "bump",
    "check",
    "check_store",
    "copy",
    "inspect",
    "list_files",
    "list_images",
    "list_targets",
    "lock",
    "outline",
    "parse_platform",
    "parse_reference",
    "prune",
    "publish",
    "pull_image",
    "read_file",
    "rebuild",
    "scan",
    "scan_sources",
    "send",
    "tag_image",
    "untag_images",
    "usage",
    "verify",
    "write_bump",
]


def __getattr__(name: str) -> Any:
    """A verb or a value, imported when it is first asked for (PEP 562)."""
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(module), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
