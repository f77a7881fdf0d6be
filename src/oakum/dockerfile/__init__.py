"""Dockerfiles: parse, stages, variables, packages named in RUN scripts, byte-exact edits."""

from oakum.dockerfile.duration import parse_duration
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
from oakum.dockerfile.mount import Mount, parse_mount
from oakum.dockerfile.pairs import parse_args, parse_key_values
from oakum.dockerfile.parse import parse_dockerfile
from oakum.dockerfile.stages import Stage, find_stage, stages
from oakum.dockerfile.text import MappedText, Span

__all__ = [
    "LOCK_NAME",
    "Dockerfile",
    "ExpandError",
    "Flag",
    "Heredoc",
    "Instruction",
    "Lock",
    "LockedBase",
    "LockedStep",
    "MappedText",
    "Mount",
    "Span",
    "Stage",
    "command_mark",
    "expand",
    "expand_raw",
    "expand_words",
    "find_stage",
    "format_lock",
    "heredoc_marker",
    "parse_args",
    "parse_dockerfile",
    "parse_duration",
    "parse_key_values",
    "parse_lock",
    "parse_mount",
    "stages",
    "variables_used",
]
