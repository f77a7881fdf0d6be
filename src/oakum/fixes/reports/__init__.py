"""Scanner reports, taken as the list of what to fix: Trivy's and Grype's JSON."""

from oakum.fixes.reports.interface import Finding, Report, Severity, Unusable
from oakum.fixes.reports.read import merge, read_report

__all__ = ["Finding", "Report", "Severity", "Unusable", "merge", "read_report"]
