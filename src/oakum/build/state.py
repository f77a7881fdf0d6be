"""What an instruction sees and changes, apart from files: the config that an image will have."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from oakum.build.stack import Stack
from oakum.oci import Config, Platform

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PROXY_ARGS = tuple(
    name
    for lower in ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")
    for name in (lower, lower.upper())
)


class StageState:
    """A stage while its instructions are carried out."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.stack = Stack()
        self.document: dict[str, Any] = {}
        """Fields of the base's config document that survive (author and the like)."""
        self.runtime: dict[str, Any] = {}
        """The ``config`` object."""
        self.env: dict[str, str] = {}
        self.args: dict[str, str | None] = {}
        """Declared build arguments with their values, in the order of declaration."""
        self.history: list[dict[str, Any]] = []
        self.shell: list[str] = ["/bin/sh", "-c"]
        self.workdir = "/"
        self.user = ""
        self.epoch = 0
        """Newest time of the base image and of the sources so far, in seconds."""
        self.base_layers = 0
        """How many of the layers are those of the base image."""
        self.lines: list[int | None] = []
        """For each layer the line of the Dockerfile that made it; None for the base's."""
        self.cmd_set = False

    @classmethod
    def of_image(cls, config: Config, stack: Stack) -> StageState:
        """The state that a stage starts with on an image."""
        state = cls(config.platform)
        state.stack = stack
        state.document = copy.deepcopy(config.document)
        state.runtime = copy.deepcopy(config.runtime)
        for pair in state.runtime.get("Env") or []:
            name, _, value = str(pair).partition("=")
            state.env[name] = value
        state.history = [dict(line) for line in config.document.get("history") or []]
        state.shell = list(state.runtime.get("Shell") or state.shell)
        state.workdir = str(state.runtime.get("WorkingDir") or "/")
        state.user = str(state.runtime.get("User") or "")
        state.base_layers = len(stack.layers)
        state.lines = [None] * len(stack.layers)
        return state

    def child(self) -> StageState:
        """The state of a stage that is built ``FROM`` this one: arguments do not cross."""
        state = copy.copy(self)
        state.document = copy.deepcopy(self.document)
        state.runtime = copy.deepcopy(self.runtime)
        state.env = dict(self.env)
        state.args = {}
        state.history = list(self.history)
        state.shell = list(self.shell)
        state.lines = list(self.lines)
        state.cmd_set = False
        return state

    def variables(self, extra: Mapping[str, str]) -> dict[str, str]:
        """What ``$NAME`` means in an instruction: ENV wins over ARG."""
        known = dict(extra)
        known.update({name: value for name, value in self.args.items() if value is not None})
        known.update(self.env)
        return known

    def set_env(self, name: str, value: str) -> None:
        """ENV: for this stage and in the image."""
        self.env[name] = value
        self.runtime["Env"] = [f"{key}={content}" for key, content in self.env.items()]

    def add_history(self, created_by: str, *, empty: bool) -> None:
        """A history line; its time is filled in when the image is put together."""
        line: dict[str, Any] = {"created_by": created_by, "comment": "buildkit.dockerfile.v0"}
        if empty:
            line["empty_layer"] = True
        self.history.append(line)
