"""Package repositories as they are configured inside an image, read without running anything."""

from oakum.repository.apt import AptRepository, open_apt
from oakum.repository.changelog import closed_cves
from oakum.repository.interface import Candidate, ImageFiles, Installed, SourceStatus
from oakum.repository.versions import compare_versions

__all__ = [
    "AptRepository",
    "Candidate",
    "ImageFiles",
    "Installed",
    "SourceStatus",
    "closed_cves",
    "compare_versions",
    "open_apt",
]
