"""What options become: requests and values of the library."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from oakum.errors import UsageError

if TYPE_CHECKING:
    from oakum.builder import Agent, BuildRequest, Place, Secret
    from oakum.fixes.ignore import Ignore
    from oakum.oci import Platform, Reference
    from oakum.progress import Progress
    from oakum.store import Store
    from oakum.transport import RegistryOptions
    from oakum.verbs import BumpOptions, Plan, RepositoryOptions, Scan, Selection


def pairs(values: Sequence[str], option: str) -> dict[str, str]:
    """``NAME=VALUE`` options as a mapping."""
    found = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise UsageError(f"{option} {text!r} is not NAME=VALUE", f"write {option} NAME=VALUE")
        found[name] = value
    return found


def build_args(values: list[str]) -> dict[str, str]:
    """``--build-arg``: a name alone takes its value from the environment, as docker does."""
    import os

    found = {}
    for text in values:
        name, equals, value = text.partition("=")
        if equals:
            found[name] = value
        elif name in os.environ:
            found[name] = os.environ[name]
    return found


def platform_of(text: str | None) -> Platform | None:
    """The platform that an option names; more than one is refused by name."""
    from oakum.oci import parse_platform

    if text is None:
        return None
    if "," in text:
        raise UsageError(
            "several platforms in one build are not supported yet", "build each on its own machine"
        )
    return parse_platform(text)


def references(tags: list[str]) -> tuple[Reference, ...]:
    """The names that ``-t`` gives."""
    from oakum.oci import parse_reference

    names = tuple(parse_reference(tag) for tag in tags)
    for name in names:
        if name.digest:
            raise UsageError(f"{name} has a digest, which a new image cannot", "use a tag")
    return names


def registry_options(
    insecure: list[str], mirrors: list[str], certificates: Path | None, jobs: int
) -> RegistryOptions:
    """What the options say about registries."""
    from oakum.transport import RegistryOptions

    by_host: dict[str, tuple[str, ...]] = {}
    for host, mirror in (pair.split("=", 1) for pair in _checked(mirrors)):
        by_host[host] = (*by_host.get(host, ()), mirror)
    return RegistryOptions(tuple(insecure), certificates, by_host, jobs=jobs)


def _checked(mirrors: list[str]) -> list[str]:
    pairs(mirrors, "--registry-mirror")
    return mirrors


def repository_options(
    max_age: float,
    with_security: bool,
    sources: list[str],
    keyrings: list[Path],
    certificates: Path | None,
    offline: bool,
) -> RepositoryOptions:
    """What the options say about package repositories."""
    from oakum.verbs import RepositoryOptions

    return RepositoryOptions(
        max_age, with_security, tuple(sources), tuple(keyrings), certificates, offline
    )


def selection_of(
    reports: list[Path],
    only: list[str],
    ignores: list[str],
    ignore_files: list[Path],
    ceilings: list[str],
    beside: Path | None = None,
) -> tuple[Selection, tuple[str, ...]]:
    """What is to be fixed, and notes about reports; `beside` may hold an ``.oakumignore``."""
    from oakum.fixes.reports import merge, read_report
    from oakum.verbs import Selection
    from oakum.verbs.selection import parse_ceiling

    notes: list[str] = []
    findings = None
    if reports:
        read = [read_report(_read(path, "report"), str(path)) for path in reports]
        findings = merge(read)
        for path, report in zip(reports, read, strict=True):
            notes += [f"{path}: {item.path}: {item.why}" for item in report.unusable]
    return (
        Selection(
            only=tuple(only),
            ignore=_ignore(ignores, ignore_files, beside),
            ceilings=dict(parse_ceiling(text) for text in ceilings),
            findings=findings,
        ),
        tuple(notes),
    )


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the {what} {path}: {error.strerror}", "check it") from error


def _ignore(ignores: list[str], files: list[Path], beside: Path | None) -> Ignore | None:
    from oakum.fixes.ignore import Ignore, read_ignore_file

    rules = Ignore.make(ignores)
    default = beside / ".oakumignore" if beside else None
    if default is not None and default.is_file() and not files:
        files = [default]
    for path in files:
        rules += read_ignore_file(_read(path, "ignore file").decode("utf-8", "replace"), str(path))
    return rules if rules.rules else None


def secret_of(text: str) -> Secret:
    """``--secret id=NAME[,src=FILE][,env=VARIABLE]``, as docker has it."""
    from oakum.builder import Secret

    fields = pairs([part for part in text.split(",") if part], "--secret")
    unknown = fields.keys() - {"id", "src", "source", "env", "type"}
    if unknown or "id" not in fields:
        raise UsageError(f"not a secret: {text!r}", "write --secret id=NAME,src=FILE")
    name = fields["id"]
    source = fields.get("src") or fields.get("source")
    env = fields.get("env")
    if fields.get("type") == "env" and env is None:
        env, source = source or name, None
    import os

    if source is None and env is None and name in os.environ:
        env = name
    elif source is None and env is None:
        source = name
    if source is not None and not Path(source).is_file():
        raise UsageError(f"the secret {name} has no file {source}", "name it with src=FILE")
    return Secret(name, Path(source) if source else None, env)


def agent_of(text: str) -> Agent:
    """``--ssh default|ID[=SOCKET|KEY[,KEY…]]``, as docker has it."""
    import os

    from oakum.builder import Agent

    name, _, places = text.partition("=")
    paths = tuple(Path(place) for place in places.split(",") if place)
    if not paths:
        if not os.environ.get("SSH_AUTH_SOCK"):
            raise UsageError(
                f"--ssh {text[:80]}: SSH_AUTH_SOCK names no agent",
                "start one (eval $(ssh-agent)), or name its socket or keys: --ssh default=FILE",
            )
        paths = (Path(os.environ["SSH_AUTH_SOCK"]),)
    missing = [path for path in paths if not os.path.exists(path) or path.is_dir()]
    if missing:
        raise UsageError(
            f"--ssh {text[:80]}: {missing[0]} is no socket and no key", "name one that is there"
        )
    if len(paths) > 1 and any(map(Path.is_socket, paths)):
        raise UsageError(f"--ssh {text[:80]}: an agent's socket stands alone", "name it only")
    return Agent(name or "default", tuple(path.absolute() for path in paths))


def host_of(text: str) -> tuple[str, str]:
    """``--add-host NAME:IP`` (or ``NAME=IP``)."""
    equals, colon = text.find("="), text.find(":")
    cut = equals if equals >= 0 else colon
    if cut <= 0 or cut == len(text) - 1:
        raise UsageError(f"not a host: {text!r}", "write --add-host NAME:IP")
    return text[:cut], text[cut + 1 :].strip("[]")


def build_request(
    *,
    arguments: list[str],
    target: str | None,
    platform: str | None,
    secrets: Sequence[str] = (),
    ssh: Sequence[str] = (),
    network: str = "default",
    add_hosts: Sequence[str] = (),
    labels: Sequence[str] = (),
    contexts: Sequence[str] = (),
    certificates: Path | None = None,
    sandbox: str | None = None,
    engine: str = "embedded",
    no_cache: bool = False,
    no_cache_filter: Sequence[str] = (),
    pull: bool = False,
    offline: bool = False,
    cache_from: Sequence[str] = (),
    cache_to: Sequence[str] = (),
    reproducible: bool = False,
) -> BuildRequest:
    """The build that the options of ``build`` and ``rebuild`` describe."""
    from oakum.builder import BuildRequest, parse_cache_place

    """The build that options describe, without its context and Dockerfile."""
    from oakum.builder import find_engine
    from oakum.oci import host_platform

    find_engine(engine)
    if pull and offline:
        raise UsageError("--pull asks a registry, --offline asks none", "give one of them")
    if network not in ("default", "host", "none"):
        raise UsageError(f"unknown network {network!r}", "default, host or none")
    return BuildRequest(
        context=None,
        build_args=build_args(arguments),
        target=target,
        platform=platform_of(platform) or host_platform(),
        labels=pairs(labels, "--label"),
        secrets=tuple(secret_of(text) for text in secrets),
        agents=tuple(agent_of(text) for text in ssh),
        network=network,  # type: ignore[arg-type]
        add_hosts=tuple(host_of(text) for text in add_hosts),
        no_cache=no_cache,
        no_cache_filter=tuple(no_cache_filter),
        pull=pull,
        offline=offline,
        cache_from=tuple(parse_cache_place(text, "--cache-from") for text in cache_from),
        cache_to=tuple(parse_cache_place(text, "--cache-to") for text in cache_to),
        contexts=pairs(contexts, "--build-context"),
        ca_certificates=certificates,
        source_date_epoch=_epoch(),
        reproducible=reproducible,
        runtime=sandbox,
        engine=engine,
    )


def opened_context(
    store: Store, request: BuildRequest, place: Place, file: str | None, progress: Progress
) -> AbstractContextManager[BuildRequest]:
    """The request with the context and the Dockerfile, which may come from standard input."""
    import io
    import sys

    from oakum.builder import opened_context

    # Who starts a program may have closed its standard input.
    stdin = sys.stdin.buffer if sys.stdin is not None else io.BytesIO()
    return opened_context(store, request, place, file, stdin, progress)


def _epoch() -> int | None:
    import os
    import re

    from oakum.builder import LAST_SECOND

    text = os.environ.get("SOURCE_DATE_EPOCH")
    if text is None or text == "":
        return None
    if not re.fullmatch("[0-9]{1,12}", text) or int(text) > LAST_SECOND:
        raise UsageError(
            f"SOURCE_DATE_EPOCH is {text[:40]!r}",
            "it is seconds since 1970, and not later than the year 9999",
        )
    return int(text)


def with_lock(
    request: BuildRequest, *, locked: bool = False, no_lock: bool = False, compression: str = "gzip"
) -> BuildRequest:
    """The request with the lock beside its Dockerfile, and with the compression asked for."""
    import msgspec

    from oakum.builder import lock_path, read_lock
    from oakum.oci import Compression

    if compression not in ("gzip", "zstd"):
        raise UsageError(f"unknown compression {compression!r}", "gzip or zstd")
    if locked and no_lock:
        raise UsageError("--locked and --no-lock exclude each other", "give one of them")
    lock = None if no_lock else read_lock(lock_path(request))
    if locked and lock is None:
        raise UsageError("there is no oakum.lock to hold to", "make one with 'oakum lock'")
    return msgspec.structs.replace(
        request, lock=lock, locked=locked, compression=Compression(compression)
    )


def refuse_evidence(
    annotations: Sequence[str], attest: Sequence[str], sbom: str | None, provenance: str | None
) -> None:
    """`UsageError` for what docker attaches to images and oakum does not yet; false is fine."""
    asked = [f"--annotation {text}" for text in annotations]
    asked += [f"--attest {text}" for text in attest if "disabled=true" not in text]
    for name, value in (("sbom", sbom), ("provenance", provenance)):
        if value is not None and value.lower() not in ("false", "0"):
            asked.append(f"--{name} {value}")
    if asked:
        raise UsageError(
            f"{asked[0][:120]} is not supported yet: oakum attaches nothing to images it builds",
            "leave it out; annotations and attestations can be attached after the push, with oras "
            "or cosign",
        )


def platforms_of(names: list[str]) -> tuple[Platform, ...]:
    """Every platform that ``--platform`` names, alone or joined by commas."""
    from oakum.oci import parse_platform

    return tuple(parse_platform(part) for name in names for part in name.split(",") if part)


def first_platform(names: list[str]) -> str | None:
    """The platform that is built here: this machine's if it is among the names, else the first."""
    from oakum.oci import host_platform

    named = platforms_of(names)
    here = host_platform()
    own = next((p for p in named if here.matches(p)), named[0] if named else None)
    return str(own) if own else None


def first_of(platforms: Sequence[Platform]) -> str | None:
    """The platform that a build begins with; None for this machine's."""
    return str(platforms[0]) if platforms else None


def bump_options(bump_tags: str, upgrade_at: str, platforms: list[str]) -> BumpOptions:
    """How the sources are changed."""
    from oakum.verbs import BumpOptions

    if bump_tags not in ("patch", "minor", "major", "none"):
        raise UsageError(f"unknown --bump-tags {bump_tags!r}", "patch, minor, major or none")
    if upgrade_at not in ("base", "end"):
        raise UsageError(f"unknown --upgrade-at {upgrade_at!r}", "base or end")
    return BumpOptions(bump_tags, upgrade_at, platforms_of(platforms))  # type: ignore[arg-type]


Noted = TypeVar("Noted", "Scan", "Plan")


def with_notes(value: Noted, notes: Sequence[str]) -> Noted:
    """A scan or a plan with more notes."""
    import msgspec

    return msgspec.structs.replace(value, notes=(*value.notes, *notes)) if notes else value


def write_raw(text: str) -> None:
    """A diff on standard output: control characters of the files it shows are made visible."""
    import sys

    from oakum.cli.printable import printable

    sys.stdout.write(printable(text, lines=True))


def warn(text: str) -> None:
    """A line on standard error."""
    import sys

    from oakum.cli.printable import printable

    print(printable(text), file=sys.stderr)
