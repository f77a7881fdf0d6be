"""Dockerfiles: parse, stages, variables, packages named in RUN scripts, byte-exact edits."""

from oakum.dockerfile.base import Base, base_edit, base_of
from oakum.dockerfile.block import (
    FixesBlock,
    FixLine,
    fixes_blocks,
    in_block,
    set_fixes_block,
)
from oakum.dockerfile.checks import Checked, CheckWarning, check_dockerfile, check_options
from oakum.dockerfile.duration import parse_duration
from oakum.dockerfile.edits import Edit, NotEditable, apply_edits, unified_diff
from oakum.dockerfile.expand import ExpandError, expand, expand_raw, expand_words, variables_used
from oakum.dockerfile.instruction import Dockerfile, Flag, Heredoc, Instruction
from oakum.dockerfile.lines import heredoc_marker
from oakum.dockerfile.lock import (
    LOCK_NAME,
    Lock,
    LockedBase,
    LockedStep,
    command_mark,
    format_lock,
    parse_lock,
)
from oakum.dockerfile.mentions import (
    Hold,
    Holder,
    Mention,
    Survey,
    Unreadable,
    UpgradeAll,
    holds,
    mentions,
    survey,
    upgrade_steps,
)
from oakum.dockerfile.mount import Mount, mount_source, parse_mount, parse_size
from oakum.dockerfile.outline import (
    Asked,
    BuildArgument,
    CacheMount,
    Outline,
    Target,
    outline,
    targets,
)
from oakum.dockerfile.pairs import parse_args, parse_key_values
from oakum.dockerfile.parse import parse_dockerfile
from oakum.dockerfile.scene import DEFAULT_PATH, Around, BaseImage, Step, global_args
from oakum.dockerfile.scope import Given, base_word
from oakum.dockerfile.shape import allows
from oakum.dockerfile.stages import Stage, find_stage, stages
from oakum.dockerfile.text import MappedText, Span
from oakum.dockerfile.versions import Refused, VersionPlan, Wanted, set_version, set_versions

__all__ = [
    "DEFAULT_PATH",
    "LOCK_NAME",
    "Around",
    "Asked",
    "Base",
    "BaseImage",
    "BuildArgument",
    "CacheMount",
    "CheckWarning",
    "Checked",
    "Dockerfile",
    "Edit",
    "ExpandError",
    "FixLine",
    "FixesBlock",
    "Flag",
    "Given",
    "Heredoc",
    "Hold",
    "Holder",
    "Instruction",
    "Lock",
    "LockedBase",
    "LockedStep",
    "MappedText",
    "Mention",
    "Mount",
    "NotEditable",
    "Outline",
    "Refused",
    "Span",
    "Stage",
    "Step",
    "Survey",
    "Target",
    "Unreadable",
    "UpgradeAll",
    "VersionPlan",
    "Wanted",
    "allows",
    "apply_edits",
    "base_edit",
    "base_of",
    "base_word",
    "check_dockerfile",
    "check_options",
    "command_mark",
    "expand",
    "expand_raw",
    "expand_words",
    "find_stage",
    "fixes_blocks",
    "format_lock",
    "global_args",
    "heredoc_marker",
    "holds",
    "in_block",
    "mentions",
    "mount_source",
    "outline",
    "parse_args",
    "parse_dockerfile",
    "parse_duration",
    "parse_key_values",
    "parse_lock",
    "parse_mount",
    "parse_size",
    "set_fixes_block",
    "set_version",
    "set_versions",
    "stages",
    "survey",
    "targets",
    "unified_diff",
    "upgrade_steps",
    "variables_used",
]
