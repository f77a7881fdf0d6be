"""Build checks: rules that find what works and is still not what one wants (BuildKit's own)."""

from oakum.dockerfile.checks.interface import Checked, CheckWarning
from oakum.dockerfile.checks.run import OVERRIDE, check_dockerfile, check_options

__all__ = ["OVERRIDE", "CheckWarning", "Checked", "check_dockerfile", "check_options"]
