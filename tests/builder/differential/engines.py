"""The two builders, each giving the record of a case."""

from __future__ import annotations

import argparse
import gzip
import io
import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import msgspec
import zstandard

from builder.differential.base import write_base
from builder.differential.case import Case, write_context
from builder.differential.record import Files, Record, image_record, merge, without_recent_times
from oakum.builder import BuildRequest, Built, Secret, build, opened_context, parse_place
from oakum.errors import OakumError
from oakum.oci import parse_platform, parse_reference
from oakum.store import Store
from support.reference import Failed, Reference

_BASE_HISTORY = 4


class Engine:
    """What both have: where they work, the base image, the server that ADD asks."""

    def __init__(self, place: Path, server: str) -> None:
        self.room = place
        self.server = server
        self._made = 0
        context = write_base(place / "base")
        with (context / "base.tar").open("rb") as tar:
            self.base: Files = merge([tar])

    def context(self, case: Case) -> Path:
        """A fresh context of the case."""
        self._made += 1
        return write_context(case, self.room / f"context-{self._made}", self.server)

    def filled(self, text: str, context: Path) -> str:
        """A text of a case with the names of this machine in it."""
        return text.replace("@CONTEXT@", str(context)).replace("@SERVER@", self.server)

    def place(self, case: Case, context: Path) -> str:
        """What the build is given as its context."""
        return self.filled(case.sections.get("place", "@CONTEXT@").strip(), context)

    def stdin(self, case: Case, context: Path) -> bytes:
        """What the build is given on standard input."""
        script = self.filled(case.sections.get("stdin", ""), context)
        return subprocess.run(["sh", "-euc", script], cwd=context, stdout=-1, check=True).stdout

    def shown(self, record: Record) -> Record:
        """The record without what the machine brings in."""
        raw = json.dumps(msgspec.to_builtins(record)).replace(self.server, "@SERVER@")
        return without_recent_times(msgspec.convert(json.loads(raw), Record))


class BuildKit(Engine):
    """The real one."""

    def __init__(self, place: Path, server: str, reference: Reference) -> None:
        super().__init__(place, server)
        self.reference = reference
        reference.build(self.room / "base", "--tag=base")

    def record(self, case: Case) -> Record:
        """Build the case."""
        context = self.context(case)
        words = [word for line in case.lines("options") for word in line.split(None, 1)]
        words = [self.filled(word, context) for word in words]
        stdin = self.stdin(case, context)
        out = context.with_suffix(".tar")
        try:
            for name in case.named("image"):
                file = context / f"{name}.Dockerfile"
                self.reference.build(context, f"--file={file}", f"--tag={name}")
            words += ["--no-cache", f"--output=type=oci,dest={out}"]
            self.reference.build(self.place(case, context), *words, stdin=stdin)
        except Failed as error:
            return self.shown(Record(error=str(error).replace(str(context), "CONTEXT")))
        with tarfile.open(out) as tar:
            return self.shown(oci_record(tar, self.base))


class Oakum(Engine):
    """The one that is judged."""

    def __init__(self, place: Path, server: str, store: Store) -> None:
        super().__init__(place, server)
        self.store = store
        request = BuildRequest(self.room / "base")
        build(store, request, tags=(parse_reference("base"),))

    def record(self, case: Case) -> tuple[Record, Built | None]:
        """Build the case; also what a second build, from the cache, gave."""
        context = self.context(case)
        try:
            for name in case.named("image"):
                file = context / f"{name}.Dockerfile"
                request = BuildRequest(context, dockerfile=file, no_cache=True)
                build(self.store, request, tags=(parse_reference(name),))
            place = parse_place(self.place(case, context))
            options = self.filled(" ".join(case.lines("options")), context)
            request, file = request_of(options)
            stdin = io.BytesIO(self.stdin(case, context))
            with opened_context(self.store, request, place, file, stdin) as opened:
                built = build(self.store, msgspec.structs.replace(opened, no_cache=True))
                again = build(self.store, opened)
        except OakumError as error:
            return self.shown(Record(error=f"{error.what} ({error.todo})")), None
        assert again.image.manifest.digest == built.image.manifest.digest
        return self.shown(self._record(built)), again

    def _record(self, built: Built) -> Record:
        layers = [
            _opened(self.store.blobs.path(layer.digest).read_bytes())
            for layer in built.image.manifest.layers
        ]
        config = json.loads(built.image.config.raw)
        return image_record(layers, config, self.base, _history_of_base(config))


def request_of(options: str) -> tuple[BuildRequest, str | None]:
    """What the options of a case ask for, and the Dockerfile that they name."""
    parser = argparse.ArgumentParser()
    for name in ("build-arg", "label", "secret", "build-context", "add-host"):
        parser.add_argument(f"--{name}", action="append", default=[])
    for name in ("target", "platform", "network", "file"):
        parser.add_argument(f"--{name}")
    given = parser.parse_args(options.split())
    more: dict[str, Any] = {}
    if given.platform:
        more["platform"] = parse_platform(given.platform)
    if given.network:
        more["network"] = given.network
    request = BuildRequest(
        None,
        build_args=dict(pair.split("=", 1) for pair in given.build_arg),
        labels=dict(pair.split("=", 1) for pair in given.label),
        contexts=dict(pair.split("=", 1) for pair in given.build_context),
        add_hosts=tuple(tuple(pair.split(":", 1)) for pair in given.add_host),  # type: ignore[misc]
        secrets=tuple(map(_secret, given.secret)),
        target=given.target,
        **more,
    )
    return request, given.file


def _secret(text: str) -> Secret:
    fields = dict(part.split("=", 1) for part in text.split(","))
    return Secret(fields["id"], Path(fields["src"]))


def oci_record(tar: tarfile.TarFile, base: Files) -> Record:
    """The record of an image in an OCI archive."""

    def blob(digest: str) -> bytes:
        file = tar.extractfile(f"blobs/{digest.replace(':', '/')}")
        assert file is not None
        return file.read()

    index = tar.extractfile("index.json")
    assert index is not None
    manifest = json.loads(blob(json.load(index)["manifests"][0]["digest"]))
    if "manifests" in manifest:
        manifest = json.loads(blob(manifest["manifests"][0]["digest"]))
    config = json.loads(blob(manifest["config"]["digest"]))
    layers = [_opened(blob(layer["digest"])) for layer in manifest.get("layers") or []]
    return image_record(layers, config, base, _history_of_base(config))


def _history_of_base(config: dict[str, Any]) -> int:
    lines = [str(line.get("created_by")) for line in config.get("history") or []]
    return _BASE_HISTORY if lines and lines[0].startswith("ADD base.tar") else 0


def _opened(blob: bytes) -> IO[bytes]:
    open_: Callable[[bytes], bytes]
    if blob.startswith(b"\x28\xb5\x2f\xfd"):
        reader = zstandard.ZstdDecompressor().stream_reader(blob)
        return io.BytesIO(reader.read())
    open_ = gzip.decompress
    return io.BytesIO(open_(blob) if blob.startswith(b"\x1f\x8b") else blob)
