"""Options that several verbs have, with the help that they show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Format = Annotated[
    str, typer.Option("--format", metavar="table|json", help="How the answer is written.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress; the result only.")]
ProgressMode = Annotated[
    str, typer.Option("--progress", metavar="auto|plain|tty|quiet", help="How progress is shown.")
]
PlatformName = Annotated[
    str | None,
    typer.Option("--platform", metavar="OS/ARCH", help="Platform; this machine's by default."),
]
PlatformNames = Annotated[
    list[str],
    typer.Option(
        "--platform",
        metavar="OS/ARCH",
        help="Platform that pins must hold for; the first one is built. Several are allowed.",
    ),
]
ResultFile = Annotated[
    Path | None, typer.Option("--result-file", metavar="FILE", help="Write the JSON result here.")
]
Detailed = Annotated[
    bool,
    typer.Option(
        "--detailed-exit-code",
        help="Exit 10 for nothing to do, 11 for partly done, 12 for not possible.",
    ),
]

# Registries.

Insecure = Annotated[
    list[str],
    typer.Option(
        "--insecure-registry",
        metavar="HOST[:PORT]",
        help="Registry that may be spoken to over http or with an unknown certificate.",
    ),
]
Mirrors = Annotated[
    list[str],
    typer.Option(
        "--registry-mirror", metavar="HOST=MIRROR", help="Ask MIRROR first for images of HOST."
    ),
]
Certificates = Annotated[
    Path | None,
    typer.Option(
        "--ca-certificates",
        metavar="FILE",
        help="PEM file of further CAs, for registries, archives and (without a trace) steps.",
    ),
]
Jobs = Annotated[int, typer.Option("--jobs", min=1, max=64, help="Transfers side by side.")]

# Package repositories.

MaxAge = Annotated[
    float,
    typer.Option("--max-age", metavar="SECONDS", help="Indexes younger than this are not asked."),
]
WithSecurity = Annotated[
    bool,
    typer.Option(
        "--with-security", help="Look into the security suite even if the image lacks it."
    ),
]
AptSources = Annotated[
    list[str],
    typer.Option(
        "--apt-source",
        metavar="LINE",
        help="Package source beside the image's own, as a line of sources.list.",
    ),
]
Keyrings = Annotated[
    list[Path],
    typer.Option("--keyring", metavar="FILE", help="Further keyring that may sign a repository."),
]
Offline = Annotated[
    bool, typer.Option("--offline", help="Use only the indexes that were fetched before.")
]

# What is to be fixed.

Reports = Annotated[
    list[Path],
    typer.Option("--report", metavar="FILE", help="Trivy's or Grype's JSON: the list to fix."),
]
Only = Annotated[
    list[str], typer.Option("--only", metavar="PKG", help="Only these packages (globs allowed).")
]
Ignores = Annotated[
    list[str], typer.Option("--ignore", metavar="CVE|PKG", help="Leave these alone.")
]
IgnoreFiles = Annotated[
    list[Path],
    typer.Option(
        "--ignore-file", metavar="FILE", help="File of what to leave alone (.oakumignore)."
    ),
]
Ceilings = Annotated[
    list[str],
    typer.Option("--max-version", metavar="PKG=V", help="Never go above this version of PKG."),
]

BumpTags = Annotated[
    str,
    typer.Option(
        "--bump-tags", metavar="patch|minor|major|none", help="How far tags of bases are raised."
    ),
]
UpgradeAt = Annotated[
    str,
    typer.Option(
        "--upgrade-at", metavar="base|end", help="Where the block of fixes for base packages goes."
    ),
]

# Builds.

Context = Annotated[
    str,
    typer.Argument(
        metavar="CONTEXT",
        help="The build context: a directory, a git repository, the address of a tar, or - for a "
        "tar or a Dockerfile on standard input.",
    ),
]
Dockerfile = Annotated[
    str | None,
    typer.Option(
        "-f", "--file", metavar="FILE", help="The Dockerfile; - for one on standard input."
    ),
]
BuildArgs = Annotated[
    list[str], typer.Option("--build-arg", metavar="NAME[=VALUE]", help="Value of an ARG.")
]
Target = Annotated[str | None, typer.Option("--target", metavar="STAGE", help="Stage to build.")]
Secrets = Annotated[
    list[str],
    typer.Option("--secret", metavar="id=…,src=…|env=…", help="A secret that steps may mount."),
]
Ssh = Annotated[
    list[str],
    typer.Option(
        "--ssh", metavar="default|ID[=SOCKET|KEY,…]", help="An ssh agent or keys for the steps."
    ),
]
Ulimits = Annotated[
    list[str],
    typer.Option("--ulimit", metavar="NAME=SOFT[:HARD]", help="Resource limit of RUN steps."),
]
ShmSize = Annotated[
    str | None, typer.Option("--shm-size", metavar="SIZE", help="Size of /dev/shm; else 64m.")
]
CgroupParent = Annotated[
    str | None,
    typer.Option("--cgroup-parent", metavar="NAME", help="Control group above those of steps."),
]
Memory = Annotated[
    str | None,
    typer.Option("-m", "--memory", metavar="SIZE", help="Memory that a RUN step may use."),
]
MemorySwap = Annotated[
    str | None,
    typer.Option("--memory-swap", metavar="SIZE", help="Memory and swap together; -1: any."),
]
CpuShares = Annotated[
    int | None,
    typer.Option(
        "-c", "--cpu-shares", min=2, max=262144, help="Weight of RUN steps; 1024 is usual."
    ),
]
CpuPeriod = Annotated[
    int | None,
    typer.Option(
        "--cpu-period", min=1000, max=1000000, help="Microseconds that --cpu-quota is for."
    ),
]
CpuQuota = Annotated[
    int | None,
    typer.Option("--cpu-quota", min=1000, help="Microseconds of processor time in a period."),
]
CpusetCpus = Annotated[
    str | None, typer.Option("--cpuset-cpus", metavar="LIST", help="Processors of RUN steps.")
]
CpusetMems = Annotated[
    str | None, typer.Option("--cpuset-mems", metavar="LIST", help="Memory nodes of RUN steps.")
]
PidsLimit = Annotated[
    int | None,
    typer.Option("--pids-limit", metavar="N", help="Processes of a RUN step; 4096; -1: any."),
]
NetworkMode = Annotated[
    str, typer.Option("--network", metavar="default|host|none", help="Network of RUN steps.")
]
AddHosts = Annotated[
    list[str], typer.Option("--add-host", metavar="NAME:IP", help="A line of /etc/hosts.")
]
Labels = Annotated[
    list[str], typer.Option("--label", metavar="NAME=VALUE", help="A label of the image.")
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Run every step.")]
NoCacheFilter = Annotated[
    list[str], typer.Option("--no-cache-filter", metavar="STAGE", help="Run this stage's steps.")
]
CacheFrom = Annotated[
    list[str],
    typer.Option(
        "--cache-from",
        metavar="NAME|type=registry|local,…",
        help="Build cache of another machine, asked for what the store lacks.",
    ),
]
CacheTo = Annotated[
    list[str],
    typer.Option(
        "--cache-to",
        metavar="type=registry|local|inline,…",
        help="Write the results of the steps for other machines; mode=max takes all stages.",
    ),
]
Contexts = Annotated[
    list[str],
    typer.Option("--build-context", metavar="NAME=PLACE", help="A further build context."),
]
Annotations = Annotated[
    list[str], typer.Option("--annotation", metavar="NAME=VALUE", help="Not supported yet.")
]
Attestations = Annotated[
    list[str], typer.Option("--attest", metavar="type=…", help="Not supported yet.")
]
Sbom = Annotated[
    str | None, typer.Option("--sbom", metavar="false", help="Not supported yet but as false.")
]
Provenance = Annotated[
    str | None,
    typer.Option("--provenance", metavar="false", help="Not supported yet but as false."),
]
Tags = Annotated[
    list[str], typer.Option("-t", "--tag", metavar="NAME[:TAG]", help="Name of the image.")
]
NoLock = Annotated[bool, typer.Option("--no-lock", help="Take no notice of oakum.lock.")]
Locked = Annotated[bool, typer.Option("--locked", help="Fail when oakum.lock is out of date.")]
CompressionName = Annotated[
    str,
    typer.Option("--compression", metavar="gzip|zstd", help="How new layers are compressed."),
]
Reproducible = Annotated[
    bool,
    typer.Option(
        "--reproducible",
        help="Leave logs, caches and times of package installs out of layers, by documented rules.",
    ),
]
Load = Annotated[bool, typer.Option("--load", help="Load it into the docker daemon.")]
Outputs = Annotated[
    list[str],
    typer.Option(
        "-o", "--output", metavar="type=oci|docker|local|tar,dest=…", help="Write it elsewhere."
    ),
]
Sandbox = Annotated[
    str | None,
    typer.Option("--sandbox", metavar="runc|crun|bwrap", help="What runs steps; else what works."),
]
EngineName = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="embedded|buildkit[=ADDRESS]|docker|buildah",
        help="What builds; all else stays oakum's.",
    ),
]
