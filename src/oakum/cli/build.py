"""``oakum build``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oakum.cli import options as o
from oakum.cli import requests as r

if TYPE_CHECKING:
    from oakum.builder import Built
    from oakum.verbs import Outcome, Published, Reproducibility

EXAMPLES = """
Examples:

    oakum build . -t registry.example/app:1.0 --push

    oakum build . --output type=oci,dest=app.tar

    oakum build . --check

    oakum build . -f Dockerfile.prod --build-arg VERSION=2 --target final --load -t app:dev
"""


def build(
    context: o.Context,
    tag: o.Tags = [],
    file: o.Dockerfile = None,
    build_arg: o.BuildArgs = [],
    target: o.Target = None,
    platform: Annotated[
        str | None,
        typer.Option(
            "--platform",
            metavar="OS/ARCH[,…]",
            help="Platform; this machine's by default. Several make an index of images.",
        ),
    ] = None,
    secret: o.Secrets = [],
    ssh: o.Ssh = [],
    network: o.NetworkMode = "default",
    add_host: o.AddHosts = [],
    label: o.Labels = [],
    annotation: o.Annotations = [],
    attest: o.Attestations = [],
    sbom: o.Sbom = None,
    provenance: o.Provenance = None,
    ulimit: o.Ulimits = [],
    shm_size: o.ShmSize = None,
    cgroup_parent: o.CgroupParent = None,
    memory: o.Memory = None,
    memory_swap: o.MemorySwap = None,
    cpu_shares: o.CpuShares = None,
    cpu_period: o.CpuPeriod = None,
    cpu_quota: o.CpuQuota = None,
    cpuset_cpus: o.CpusetCpus = None,
    cpuset_mems: o.CpusetMems = None,
    pids_limit: o.PidsLimit = None,
    no_cache: o.NoCache = False,
    no_cache_filter: o.NoCacheFilter = [],
    cache_from: o.CacheFrom = [],
    cache_to: o.CacheTo = [],
    pull: Annotated[
        bool, typer.Option("--pull", help="Ask for the bases' newest digests.")
    ] = False,
    push: Annotated[bool, typer.Option("--push", help="Push the image under its names.")] = False,
    load: o.Load = False,
    output: o.Outputs = [],
    iidfile: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the image's ID here.")
    ] = None,
    metadata_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the result's metadata here.")
    ] = None,
    build_context: o.Contexts = [],
    offline: Annotated[
        bool,
        typer.Option(
            "--offline",
            help="Ask no registry and no archive: use what the store has and the lock recorded.",
        ),
    ] = False,
    locked: o.Locked = False,
    no_lock: o.NoLock = False,
    reproducible: o.Reproducible = False,
    verify_reproducible: Annotated[
        bool,
        typer.Option(
            "--verify-reproducible",
            help="Build again under other circumstances; exit 4, naming what differs, and tag and "
            "push nothing if the images differ.",
        ),
    ] = False,
    compression: o.CompressionName = "gzip",
    sandbox: o.Sandbox = None,
    engine: o.EngineName = "embedded",
    insecure: o.Insecure = [],
    mirror: o.Mirrors = [],
    ca_certificates: o.Certificates = None,
    jobs: o.Jobs = 4,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Say of every step whether and why it was run."),
    ] = False,
    progress: o.ProgressMode = "auto",
    quiet: o.Quiet = False,
    format_: o.Format = "table",
    check_: Annotated[
        bool, typer.Option("--check", help="Build nothing: run the build checks.")
    ] = False,
    call: Annotated[
        str,
        typer.Option(
            "--call",
            metavar="build|check|outline|targets",
            help="Build nothing: check, or list what the target or the file offers.",
        ),
    ] = "build",
    result_file: o.ResultFile = None,
    detailed_exit_code: o.Detailed = False,
) -> int:
    """Build a Dockerfile, running only the steps whose inputs changed."""
    from msgspec.structs import replace

    from oakum.builder import build as build_image
    from oakum.builder import build_index, parse_place
    from oakum.cli.build_calls import answer, check_notes, parse_call
    from oakum.cli.build_outputs import parse_outputs, refuse_several, write_outputs
    from oakum.cli.outcome import exit_code
    from oakum.cli.output import check_format, say, show_json, write_result, write_text
    from oakum.cli.reproducibility import not_reproducible, verified, verify_builds
    from oakum.cli.session import opened_store, watching
    from oakum.cli.step_options import with_limits
    from oakum.errors import UsageError
    from oakum.progress import Event

    check_format(format_)
    r.refuse_evidence(annotation, attest, sbom, provenance)
    asked = parse_call(call, check_)
    registry = r.registry_options(insecure, mirror, ca_certificates, jobs)
    platforms = r.platforms_of([platform] if platform else [])
    place = parse_place(context)
    request = r.build_request(
        arguments=build_arg,
        target=target,
        platform=r.first_of(platforms),
        secrets=secret,
        ssh=ssh,
        network=network,
        add_hosts=add_host,
        labels=label,
        contexts=build_context,
        certificates=ca_certificates,
        sandbox=sandbox,
        engine=engine,
        no_cache=no_cache,
        no_cache_filter=no_cache_filter,
        cache_from=cache_from,
        cache_to=cache_to,
        pull=pull,
        offline=offline,
        reproducible=reproducible,
    )
    request = with_limits(
        request,
        ulimits=ulimit,
        shm_size=shm_size,
        cgroup_parent=cgroup_parent,
        memory=memory,
        memory_swap=memory_swap,
        cpu_shares=cpu_shares,
        cpu_period=cpu_period,
        cpu_quota=cpu_quota,
        cpuset_cpus=cpuset_cpus,
        cpuset_mems=cpuset_mems,
        pids_limit=pids_limit,
    )
    if asked.method != "build":
        asked = replace(asked, json=asked.json or format_ == "json")
        with (
            opened_store() as store,
            watching(progress, quiet) as watch,
            r.opened_context(store, request, place, file, watch) as request,
        ):
            request = r.with_lock(request, locked=locked, no_lock=no_lock, compression=compression)
            return answer(asked, store, request, registry, watch, result_file)
    names = r.references(tag)
    outputs = parse_outputs(output, load=load)
    piped = any(output.dest == "-" for output in outputs)
    if format_ == "json" and piped:
        raise UsageError("standard output has the tar, not JSON", "use --result-file FILE")
    refuse_several(outputs, len(platforms))
    if verify_reproducible and engine != "embedded":
        raise UsageError(
            "--verify-reproducible changes what steps see, which oakum's own engine alone can do",
            "leave out --engine",
        )
    if (push or load) and not names:
        raise UsageError("there is no name to push or load", "give one with -t")
    with (
        opened_store(runs_steps=engine == "embedded") as store,
        watching(progress, quiet) as watch,
        r.opened_context(store, request, place, file, watch) as request,
    ):
        request = r.with_lock(request, locked=locked, no_lock=no_lock, compression=compression)
        request = replace(request, whole=bool(outputs))
        from oakum.verbs import build_result, publish, remember_lines

        before = [store.names.get(name) for name in names]
        early = () if verify_reproducible else names
        if len(platforms) > 1:
            index = build_index(
                store, request, platforms, tags=early, options=registry, progress=watch
            )
            built, images = index.first, index.images
        else:
            built = build_image(store, request, tags=early, options=registry, progress=watch)
            images = ()
        checked: tuple[Reproducibility, ...] = ()
        if verify_reproducible:
            checked = verify_builds(store, request, images or (built,), registry, watch)
            if not all(one.identical for one in checked):
                raise not_reproducible(checked, shown=format_ != "json" and not piped)
            for name in names:
                store.names.set(name, built.image.root)
        for one in images or (built,):
            remember_lines(store, one.image.manifest.digest, one.state.lines)
        write_outputs(store, built, outputs, names, watch, registry)
        wanted = names if push else ()
        for note in check_notes(built.warnings):
            watch(Event("build checks", "note", note))
        published = tuple(publish(store, built.image, n, registry, watch) for n in wanted)
    root = built.image.root
    named = any(was is None or was.descriptor.digest != root.digest for was in before)
    sent = any(one.bytes_sent or one.bytes_mounted for one in published)
    ran = sum(one.ran for one in images or (built,))
    outcome: Outcome = "done" if ran or named or sent or outputs else "nothing-to-do"
    tags = tuple(str(name) for name in names)
    document = build_result(built, outcome, tags, published, images, checked)
    write_result(result_file, document)
    if iidfile:
        write_text(iidfile, built.image.config.digest)
    if metadata_file:
        write_result(metadata_file, _metadata(built, tag))
    if piped:
        return exit_code(outcome, detailed_exit_code)
    if format_ == "json":
        show_json(document)
    elif quiet or progress == "quiet":
        say(built.image.config.digest)
    else:
        if explain:
            say(_explained(images or (built,)))
        say(_summary(images or (built,), built, tag, published))
        if checked:
            say(verified(checked))
    return exit_code(outcome, detailed_exit_code)


def _explained(images: tuple[Built, ...]) -> str:
    """A line for every step: what became of it, where it stands, why it was run."""
    from oakum.cli.output import table

    rows = [
        (
            *((str(one.image.config.platform),) if len(images) > 1 else ()),
            step.status,
            f"{step.stage}:{step.line}",
            step.text if len(step.text) <= 48 else step.text[:47] + "…",
            step.why,
        )
        for one in images
        for step in one.steps
        if step.status != "config"
    ]
    header = ("STATUS", "LINE", "STEP", "WHY")
    return table(("PLATFORM", *header) if len(images) > 1 else header, rows)


def _metadata(built: Built, tags: list[str]) -> dict[str, object]:
    """What buildx writes with ``--metadata-file``."""
    descriptor = built.image.root.to_document()
    return {
        "containerimage.config.digest": built.image.config.digest,
        "containerimage.descriptor": descriptor,
        "containerimage.digest": built.image.root.digest,
        "image.name": ",".join(tags),
    }


def _summary(
    images: tuple[Built, ...], whole: Built, tags: list[str], published: tuple[Published, ...]
) -> str:
    from oakum.cli.progress import human

    several = len(images) > 1
    lines = [
        (f"{one.image.config.platform}: " if several else "")
        + f"built {one.image.manifest.digest} in {one.seconds:.2f} s: "
        f"{one.ran} steps run, {one.cached} cached"
        for one in images
    ]
    lines += [f"index {whole.image.root.digest}"] if several else []
    lines += [f"{whole.engine.name}: {limit}" for limit in whole.engine.limits]
    lines += [f"tagged {tag}" for tag in tags]
    lines += [
        f"pushed {one.name}: {human(one.bytes_sent)} sent, {human(one.bytes_kept)} there already, "
        f"{human(one.bytes_mounted)} mounted"
        for one in published
    ]
    return "\n".join(lines)
