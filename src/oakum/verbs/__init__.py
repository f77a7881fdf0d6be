"""What oakum is: scan, bump, rebuild, verify, lock and publish, as functions that return values."""

from oakum.verbs.bump import Bumped, BumpOptions, bump, write_bump
from oakum.verbs.catalogue import (
    ListedImage,
    PulledImage,
    copy,
    list_images,
    pull_image,
    tag_image,
    untag_images,
)
from oakum.verbs.interface import (
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
from oakum.verbs.lock import Locked, lock
from oakum.verbs.look import File, inspect, list_files, read_file
from oakum.verbs.pending import remember_lines
from oakum.verbs.publish import Published, publish, send
from oakum.verbs.rebuild import RebuildRequest, Rebuilt, outcome_of, rebuild
from oakum.verbs.reproducibility import (
    PathDifference,
    Reproducibility,
    verify_reproducible,
)
from oakum.verbs.results import (
    BuildResult,
    BumpResult,
    CheckResult,
    CopyResult,
    Failure,
    FileList,
    Forgotten,
    ImageList,
    OutlineResult,
    Tagged,
    TargetList,
    build_result,
    check_result,
    copy_result,
)
from oakum.verbs.scan import scan, scan_sources
from oakum.verbs.selection import Selection
from oakum.verbs.sources import RepositoryOptions
from oakum.verbs.verify import verify

__all__ = [
    "SCHEMA",
    "BuildResult",
    "BumpOptions",
    "BumpResult",
    "Bumped",
    "Change",
    "CheckResult",
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
    "OutlineResult",
    "PathDifference",
    "Plan",
    "Problem",
    "Proof",
    "Published",
    "PulledImage",
    "RebuildRequest",
    "Rebuilt",
    "RepositoryOptions",
    "Reproducibility",
    "Scan",
    "Selection",
    "Tagged",
    "TargetList",
    "Unfixed",
    "build_result",
    "bump",
    "check_result",
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
    "verify_reproducible",
    "write_bump",
]
