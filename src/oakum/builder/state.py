"""What an instruction sees and changes, apart from files: the config that an image will have."""

from __future__ import annotations

import copy
from typing import Any

from oakum.builder.stack import Stack
from oakum.dockerfile import DEFAULT_PATH
from oakum.oci import Config, Platform

_NEVER_IN_ENVIRONMENT = ("BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE")
PROXY_ARGS = tuple(
    name
    for lower in ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")
    for name in (lower, lower.upper())
)


class StageState:
    """A stage while its instructions are carried out."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        """What its steps run on and its base was chosen for."""
        self.image_platform = platform
        """What the image says that it is for."""
        self.stack = Stack()
        self.document: dict[str, Any] = {}
        """Fields of the base's config document that survive (author and the like)."""
        self.runtime: dict[str, Any] = {}
        """The ``config`` object."""
        self.env: dict[str, str] = {}
        """What instructions and steps see: the image's environment and the arguments; of two
        with one name the later counts."""
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
        state.require_path()
        state.history = [dict(line) for line in config.document.get("history") or []]
        state.shell = list(state.runtime.get("Shell") or state.shell)
        state.workdir = str(state.runtime.get("WorkingDir") or "/")
        state.user = str(state.runtime.get("User") or "")
        state.base_layers = len(stack.layers)
        state.lines = [None] * len(stack.layers)
        return state

    def child(self) -> StageState:
        """The state of a stage that is built ``FROM`` this one, its arguments included.

        What the image has in its environment counts again, as at every FROM.
        """
        state = copy.copy(self)
        state.document = copy.deepcopy(self.document)
        state.runtime = copy.deepcopy(self.runtime)
        pairs = [str(pair).partition("=") for pair in self.runtime.get("Env") or []]
        state.env = {**self.env, **{name: value for name, _, value in pairs}}
        state.args = dict(self.args)
        state.history = list(self.history)
        state.shell = list(self.shell)
        state.lines = list(self.lines)
        state.cmd_set = False
        return state

    def require_path(self) -> None:
        """An image without PATH gets the default one."""
        if "PATH" not in self.env:
            self.set_env("PATH", DEFAULT_PATH)

    def set_env(self, name: str, value: str) -> None:
        """ENV: for this stage and in the image."""
        self.env[name] = value
        pairs = [str(pair).partition("=") for pair in self.runtime.get("Env") or []]
        image = {key: content for key, _, content in pairs}
        image[name] = value
        self.runtime["Env"] = [f"{key}={content}" for key, content in image.items()]

    def declare(self, name: str, value: str | None) -> None:
        """ARG: for this stage, and for those that are built from it."""
        self.args[name] = value
        if value is not None and name not in _NEVER_IN_ENVIRONMENT:
            self.env[name] = value

    def add_history(self, created_by: str, *, empty: bool) -> None:
        """A history line; its time is filled in when the image is put together."""
        line: dict[str, Any] = {"created_by": created_by, "comment": "buildkit.dockerfile.v0"}
        if empty:
            line["empty_layer"] = True
        self.history.append(line)
