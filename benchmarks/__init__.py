"""Times and sizes of oakum beside those of its neighbours; ``python -m benchmarks --help``."""

import sys
from pathlib import Path

HERE = Path(__file__).parent

# The registry, the docker daemon and the Debian roots are the tests' own.
sys.path.append(str(HERE.parent / "tests"))
