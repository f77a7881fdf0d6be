"""What oakum is: scan, bump, rebuild, verify, lock and publish, as functions that return values."""

from oakum.patch.bump import Bumped, BumpOptions, bump, write_bump
from oakum.patch.catalogue import (
    ListedImage,
    PulledImage,
    copy,
    list_images,
    pull_image,
    tag_image,
    untag_images,
)
from oakum.patch.interface import (
    SCHEMA,
    Change,
    Fix,
    InstalledPackage,
    Outcome,
    Plan,
    Problem,
    Proof,
    Scan,
    Unfixed,
)
from oakum.patch.lock import Locked, lock
from oakum.patch.look import File, inspect, list_files, read_file
from oakum.patch.pending import remember_lines
from oakum.patch.publish import Published, publish, send
from oakum.patch.rebuild import RebuildRequest, Rebuilt, outcome_of, rebuild
from oakum.patch.results import (
    BuildResult,
    BumpResult,
    CopyResult,
    Failure,
    FileList,
    Forgotten,
    ImageList,
    Tagged,
    build_result,
    copy_result,
)
from oakum.patch.scan import scan, scan_sources
from oakum.patch.selection import Selection
from oakum.patch.sources import RepositoryOptions
from oakum.patch.verify import verify

__all__ = [
    "SCHEMA",
    "BuildResult",
    "BumpOptions",
    "BumpResult",
    "Bumped",
    "Change",
    "CopyResult",
    "Failure",
    "File",
    "FileList",
    "Fix",
    "Forgotten",
    "ImageList",
    "InstalledPackage",
    "ListedImage",
    "Locked",
    "Outcome",
    "Plan",
    "Problem",
    "Proof",
    "Published",
    "PulledImage",
    "RebuildRequest",
    "Rebuilt",
    "RepositoryOptions",
    "Scan",
    "Selection",
    "Tagged",
    "Unfixed",
    "build_result",
    "bump",
    "copy",
    "copy_result",
    "inspect",
    "list_files",
    "list_images",
    "lock",
    "outcome_of",
    "publish",
    "pull_image",
    "read_file",
    "rebuild",
    "remember_lines",
    "scan",
    "scan_sources",
    "send",
    "tag_image",
    "untag_images",
    "verify",
    "write_bump",
]
