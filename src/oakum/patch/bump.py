"""``bump``: the edits of a Dockerfile and its lock that bring the fixes in, computed, not written.

Three mechanisms, in this order: a version that a line pins is raised where it stands; what a RUN
installed without a pin is raised through the lock; a package of the base image is fixed in one
marked block, unless the base itself has a newer digest that has the fix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from oakum.build import (
    BuildRequest,
    Built,
    Image,
    Images,
    dockerfile_path,
    lock_path,
    platform_args,
    read_dockerfile,
    read_lock,
)
from oakum.dockerfile import (
    LOCK_NAME,
    Dockerfile,
    Edit,
    FixLine,
    Given,
    Lock,
    LockedStep,
    Mention,
    NotEditable,
    Stage,
    Survey,
    Wanted,
    apply_edits,
    base_edit,
    base_of,
    find_stage,
    fixes_blocks,
    format_lock,
    in_block,
    parse_dockerfile,
    set_fixes_block,
    set_versions,
    stages,
    survey,
    unified_diff,
)
from oakum.errors import NotFound
from oakum.layer import Layer
from oakum.oci import Digest, Platform, digest_of, is_digest, parse_reference
from oakum.patch.current import current_image
from oakum.patch.interface import Change, Fix, Plan, Unfixed
from oakum.patch.pending import Origins, advisories_of, find_fixes
from oakum.patch.pins import PinTarget, as_package, judge_pin
from oakum.patch.relock import relocated
from oakum.patch.selection import Selection
from oakum.patch.sources import Content, RepositoryOptions, Shelves
from oakum.patch.tags import BumpTags, next_tag
from oakum.patch.write_source import write_source
from oakum.progress import Progress, silent
from oakum.repository import AptRepository, compare_versions
from oakum.store import Store
from oakum.transport import RegistryOptions, list_tags


class BumpOptions(msgspec.Struct, frozen=True):
    """How a bump goes about its edits."""

    bump_tags: BumpTags = "none"
    """Whether the tags of base images are raised, and how far."""
    upgrade_at: Literal["base", "end"] = "base"
    """Where a new block of fixes goes."""
    platforms: tuple[Platform, ...] = ()
    """Platforms that pins must hold for; the request's own when empty."""


class Bumped(msgspec.Struct, frozen=True):
    """A computed bump."""

    plan: Plan
    """What changes and why."""
    text: bytes
    """The new Dockerfile."""
    lock: Lock | None
    """The lock to build with; None to build without one."""
    write_lock: bool
    """Whether the lock belongs beside the Dockerfile (it was there, or a fix needs it)."""


def plan_bump(
    shelves: Shelves,
    images: Images,
    request: BuildRequest,
    selection: Selection,
    options: BumpOptions,
    built: Built | None,
    lock: Lock | None,
) -> Bumped:
    """The edits that bring every wanted fix in.

    `built` is the image as its sources stand now, where it is known; without it, what RUN steps
    installed without a pin is unknown and left to the build, which installs what is newest.
    """
    return _Bump(shelves, images, request, selection, options, built, lock).plan()


def bump(
    store: Store,
    request: BuildRequest,
    *,
    use_lock: bool = True,
    selection: Selection = Selection(),
    options: BumpOptions | None = None,
    repositories: RepositoryOptions = RepositoryOptions(),
    registry: RegistryOptions = RegistryOptions(),
    progress: Progress = silent,
) -> Bumped:
    """The edits that bring every wanted fix into a Dockerfile; nothing is written."""
    lock = read_lock(lock_path(request)) if use_lock else None
    shelves = Shelves(store, repositories, progress)
    images = Images(store, registry, progress)
    try:
        built = current_image(store, request, lock, registry)
        wanted = options or BumpOptions()
        return plan_bump(shelves, images, request, selection, wanted, built, lock)
    finally:
        shelves.close()


def write_bump(request: BuildRequest, bumped: Bumped, lock: Lock | None = None) -> None:
    """Write the new Dockerfile, and the lock where it belongs beside it.

    `lock` is what a build of the new Dockerfile resolved to; by default the planned one.
    """
    if bumped.text != read_dockerfile(request).raw:
        write_source(dockerfile_path(request), bumped.text)
    written = lock or bumped.lock
    if bumped.write_lock and written is not None:
        text = format_lock(written)
        place = lock_path(request)
        if not place.exists() or place.read_bytes() != text:
            write_source(place, text)


class _Bump:
    """One bump while it is worked out."""

    def __init__(
        self,
        shelves: Shelves,
        images: Images,
        request: BuildRequest,
        selection: Selection,
        options: BumpOptions,
        built: Built | None,
        lock: Lock | None,
    ) -> None:
        self.shelves = shelves
        self.images = images
        self.request = request
        self.selection = selection
        self.options = options
        self.built = built
        self.lock = lock
        self.dockerfile = read_dockerfile(request)
        self.given = Given(
            dict(request.build_args), platform_args(request.platform, request.target)
        )
        _, self.stages = stages(self.dockerfile)
        self.edits: list[Edit] = []
        self.changes: list[Change] = []
        self.fixes: list[Fix] = []
        self.unfixed: list[Unfixed] = []
        self.notes: list[str] = []
        self.bases: dict[int, Image] = {}
        self.raised: dict[tuple[str, int], dict[str, str]] = {}

    def plan(self) -> Bumped:
        survey_ = survey(self.dockerfile, self.given, self.request.target)
        needed = {m.stage for m in survey_.mentions} | {s.index for s in self._chain()}
        for stage in self.stages:
            if stage.index in needed:
                self._base(stage)
        self.edits += self._pins(survey_)
        self._rest(survey_)
        text = apply_edits(self.dockerfile.raw, self.edits)
        new_lock = self._new_lock(text)
        lock_changed = bool(self.raised) or (new_lock is not None and new_lock != self.lock)
        return Bumped(
            self._described(text, new_lock, lock_changed),
            text,
            new_lock,
            self.lock is not None or bool(self.raised),
        )

    # Base images.

    def _chain(self) -> list[Stage]:
        """The stages that the target is built on, from the one on an image to the target."""
        target = find_stage(self.stages, self.request.target) if self.request.target else None
        stage: Stage | None = target or self.stages[-1]
        chain: list[Stage] = []
        while stage is not None:
            chain.insert(0, stage)
            name = base_of(self.dockerfile, stage, self.given).text
            stage = find_stage(self.stages, name, stage.index)
        return chain

    def _root(self, stage: Stage) -> Stage:
        """The stage that brings the image below `stage` in."""
        while True:
            name = base_of(self.dockerfile, stage, self.given).text
            parent = find_stage(self.stages, name, stage.index)
            if parent is None:
                return stage
            stage = parent

    def _base(self, stage: Stage) -> None:
        root = self._root(stage)
        if root.index in self.bases:
            return
        base = base_of(self.dockerfile, root, self.given)
        if base.text == "scratch" or base.text in self.request.contexts or not base.known:
            return
        image = self._raised_base(root)
        self.images.fetch(image.layers)
        self.bases[root.index] = image

    def _raised_base(self, stage: Stage) -> Image:
        """The base image as it will be: its tag raised where asked, its digest the tag's own."""
        base = base_of(self.dockerfile, stage, self.given)
        platform = self.request.platform
        if "@" in base.text or base.tag is not None or base.digest is None:
            reference = parse_reference(base.text)
        tag = reference.tag
        offered: Sequence[str] = ()
        if self.options.bump_tags != "none" and tag:
            offered = list_tags(reference, self.images.options)
        higher = next_tag(tag or "", offered, self.options.bump_tags)
        if higher:
            reference = reference.with_tag(higher)
        named = reference.with_digest(None)
        current = self.images.current_digest(named) if named.tag else None
        old_digest = base.digest or self._locked_digest(base.text)
        if current is None:
            if higher:
                raise NotFound(f"the tag {higher} of {base.name} cannot be read", "try again")
            return self.images.find(base.text, platform, digest=self._locked(base.text))
        new_digest = current if old_digest and current != old_digest else None
        if base.digest is None and not higher:
            if new_digest:
                self._base_change("lock", stage, base.text, old_digest or "", current)
            return self.images.find(base.text, platform, refresh=True)
        if higher or (base.digest and new_digest):
            self._edit_base(stage, higher, current if base.digest else None)
        return self.images.find(str(named), platform, refresh=True)

    def _locked_digest(self, text: str) -> str | None:
        found = self._locked(text)
        return str(found) if found else None

    def _locked(self, text: str) -> Digest | None:
        return self.lock.base(text, str(self.request.platform)) if self.lock else None

    def _edit_base(self, stage: Stage, tag: str | None, digest: str | None) -> None:
        base = base_of(self.dockerfile, stage, self.given)
        assert digest is None or is_digest(digest)
        try:
            edits = base_edit(self.dockerfile, stage, tag=tag, digest=digest, given=self.given)
        except NotEditable as error:
            self.notes.append(f"the base image of line {stage.from_.first_line}: {error.what}")
            return
        self.edits += [edit for edit in edits if edit not in self.edits]
        old = f"{base.tag or ''}@{base.digest}" if base.digest else base.tag or ""
        new = f"{tag or base.tag or ''}@{digest}" if digest else tag or ""
        self._base_change("base", stage, base.name, old, new)

    def _base_change(
        self, kind: Literal["base", "lock"], stage: Stage, name: str, old: str, new: str
    ) -> None:
        why = "the tag stands for another digest now" if kind == "lock" or "@" in new else "a tag"
        line = stage.from_.first_line
        change = Change(kind, name, old, new, _stage_name(stage), line, why)
        if change not in self.changes:
            self.changes.append(change)

    # Contents and repositories of stages.

    def _content(self, stage: Stage) -> Content | None:
        """Files and packages of a stage: as it was built, else of the image that it is built on."""
        state = self.built.stages.get(_stage_name(stage)) if self.built else None
        if state is not None:
            return self.shelves.content(state.stack.layers, state.platform)
        return self._base_content(stage)

    def _base_content(self, stage: Stage) -> Content | None:
        image = self.bases.get(self._root(stage).index)
        if image is None:
            return None
        layers: tuple[Layer, ...] = image.layers
        return self.shelves.content(layers, self.request.platform)

    def _repositories(self, content: Content) -> list[AptRepository]:
        platforms = self.options.platforms or (self.request.platform,)
        own = self.request.platform.debian_architecture()
        names = [own] + [p.debian_architecture() for p in platforms]
        return [self.shelves.repository(content, name) for name in dict.fromkeys(names)]

    # Pins.

    def _pins(self, survey_: Survey) -> list[Edit]:
        blocks = fixes_blocks(self.dockerfile)
        targets: list[PinTarget] = []
        for mention in survey_.mentions:
            if not mention.pinned or in_block(mention.instruction, blocks):
                continue
            if not self.selection.wants(mention.package):
                continue
            target = self._judge(mention)
            if target is not None:
                targets.append(target)
        wanted = [Wanted(t.mention, t.candidate.version) for t in targets if t.candidate]
        planned = set_versions(self.dockerfile, wanted, self.given)
        refused = {id(r.mention): r for r in planned.refused}
        kept = [t for t in targets if t.candidate and id(t.mention) not in refused]
        self._describe_pins(kept)
        for one in planned.refused:
            self.unfixed.append(_not_editable(one.mention, one.reason))
        for other in planned.also:
            stage = _stage_name(self.stages[other.mention.stage])
            self.changes.append(
                Change(
                    "pin",
                    other.mention.package,
                    other.mention.version or "",
                    other.version,
                    stage,
                    other.mention.line,
                    "it shares its variable with another package",
                )
            )
        return list(planned.edits)

    def _judge(self, mention: Mention) -> PinTarget | None:
        if mention.version is None:
            where = f"line {mention.line}: the version of {mention.package}"
            self.unfixed.append(_not_editable(mention, f"{where} is only known when it runs"))
            return None
        content = self._content(self.stages[mention.stage])
        if content is None:
            return None
        target = judge_pin(mention, self._repositories(content), self.selection)
        listed = self.selection.findings
        named = listed is None or any(f.package == mention.package for f in listed)
        if target.candidate is None or not (named or target.vanished):
            return None
        ignored = self.selection.ignored(mention.package, ())
        if ignored and not target.vanished:
            self.unfixed.append(
                Unfixed(
                    mention.package,
                    mention.architecture or "",
                    mention.version,
                    (),
                    "ignored",
                    ignored,
                )
            )
            return None
        return target

    def _describe_pins(self, targets: Sequence[PinTarget]) -> None:
        by_stage: dict[int, list[PinTarget]] = {}
        for target in targets:
            by_stage.setdefault(target.mention.stage, []).append(target)
        for index, group in by_stage.items():
            content = self._content(self.stages[index])
            if content is not None:
                self._describe_stage_pins(self.stages[index], content, group)

    def _describe_stage_pins(
        self, stage: Stage, content: Content, group: Sequence[PinTarget]
    ) -> None:
        repository = self.shelves.repository(content)
        installed = {p.name: p for p in content.packages if p.installed}
        architecture = self.request.platform.debian_architecture()
        pending = []
        for target in group:
            assert target.candidate is not None
            mention = target.mention
            offers = repository.versions(mention.package, mention.architecture or architecture)
            current = next((o for o in offers if o.version == mention.version), None)
            package = installed.get(mention.package)
            if package is None or package.version != mention.version:
                package = as_package(mention, architecture, current)
            pending.append((package, target.candidate))
        closed = advisories_of(repository, pending)
        for target, (package, candidate) in zip(group, pending, strict=True):
            advisories = closed.get(package.key, ())
            mention = target.mention
            self.changes.append(
                Change(
                    "pin",
                    mention.package,
                    mention.version or "",
                    candidate.version,
                    _stage_name(stage),
                    mention.line,
                    target.why,
                    advisories,
                )
            )
            self.fixes.append(
                Fix(
                    mention.package,
                    package.architecture,
                    mention.version or "",
                    candidate.version,
                    advisories,
                    _severity(self.selection, mention.package),
                    candidate.security,
                    candidate.repository,
                    candidate.source,
                    candidate.source_version,
                    _layer(content, package.layer),
                    f"RUN {' '.join(mention.instruction.arguments)}"[:200],
                    mention.line,
                    _stage_name(stage),
                )
            )

    # What no line pins.

    def _rest(self, survey_: Survey) -> None:
        chain = self._chain()
        pinned = {
            m.package
            for m in survey_.mentions
            if m.pinned
            and m.version
            and m.stage in {s.index for s in chain}
            and not in_block(m.instruction, fixes_blocks(self.dockerfile))
        }
        root = chain[0]
        base = self._base_content(root)
        upgrades = [u for u in survey_.upgrades if u.stage in {s.index for s in chain}]
        if base is not None:
            self._base_fixes(root, base, pinned, bool(upgrades))
        if self.built is not None and base is not None:
            self._installed_fixes(chain, base, pinned, survey_)

    def _base_fixes(self, root: Stage, base: Content, pinned: set[str], upgraded: bool) -> None:
        image = self.bases[root.index]
        origins = Origins(
            image.config.created_by(),
            (root.from_.first_line,) * len(image.layers),
            _stage_name(root),
        )
        repository = self.shelves.repository(base)
        found, unfixed = find_fixes(repository, base, origins, self.selection)
        self.notes += [note for note in repository.notes if note not in self.notes]
        self.unfixed += [u for u in unfixed if u.reason != "not-installed" or self.built is None]
        wanted = [fix for fix in found if fix.package not in pinned]
        if upgraded:
            self._upgrade_step(wanted)
            self._block(root, [], image)
            return
        self.fixes += wanted
        self._block(root, wanted, image)

    def _block(self, root: Stage, fixes: Sequence[Fix], image: Image) -> None:
        lines = [FixLine(_apt_name(self.request, fix), fix.fixed, fix.advisories) for fix in fixes]
        before = {
            name: version
            for block in fixes_blocks(self.dockerfile)
            if block.stage == root.index
            for name, version in block.packages
        }
        if self.selection.only or self.selection.findings is not None:
            named = {line.package for line in lines}
            lines += [FixLine(n, v) for n, v in before.items() if n not in named]
        lines.sort(key=lambda line: line.package)
        try:
            user = str(image.config.runtime.get("User") or "") or None
            edit = set_fixes_block(self.dockerfile, root, lines, self.options.upgrade_at, user)
        except NotEditable as error:
            self.notes.append(error.what)
            return
        if edit is None:
            return
        self.edits.append(edit)
        after = {line.package: line for line in lines}
        for name in sorted(before.keys() | after.keys()):
            new = after[name].version if name in after else ""
            if before.get(name, "") != new:
                why = "the base image has no digest with the fix" if new else "the base caught up"
                closed = after[name].advisories if name in after else ()
                self.changes.append(
                    Change(
                        "block",
                        name,
                        before.get(name, ""),
                        new,
                        _stage_name(root),
                        root.from_.first_line,
                        why,
                        closed,
                    )
                )

    def _upgrade_step(self, fixes: Sequence[Fix]) -> None:
        """Fixes of base packages that an ``apt-get upgrade`` step brings, through the lock."""
        step = self._upgrade_report()
        if step is None:
            return
        stage, run, packages, line = step
        behind = [f for f in fixes if _behind(packages.get(f"{f.package}:{f.architecture}"), f)]
        for fix in behind:
            self._raise(stage, run, packages, fix, line, "upgrade")
        self.fixes += behind

    def _upgrade_report(self) -> tuple[str, int, Mapping[str, str], int] | None:
        if self.built is None:
            return None
        lines = {u.instruction.first_line: u for u in survey(self.dockerfile, self.given).upgrades}
        for step in reversed(self.built.steps):
            if step.run and step.line in lines:
                return step.stage, step.run, step.packages, step.line
        return None

    def _raise(
        self,
        stage: str,
        run: int,
        packages: Mapping[str, str],
        fix: Fix,
        line: int,
        kind: Literal["lock", "upgrade"],
    ) -> None:
        entry = self.raised.setdefault((stage, run), dict(packages))
        key = f"{fix.package}:{fix.architecture}"
        entry[key] = fix.fixed
        why = "no line pins it: the step runs again with this version"
        self.changes.append(
            Change(kind, fix.package, fix.installed, fix.fixed, stage, line, why, fix.advisories)
        )

    def _installed_fixes(
        self, chain: Sequence[Stage], base: Content, pinned: set[str], survey_: Survey
    ) -> None:
        """What RUN steps of the target's stages installed without a pin."""
        assert self.built is not None
        target = chain[-1]
        content = self._content(target)
        assert content is not None
        state = self.built.state
        origins = Origins(
            tuple(str(h.get("created_by", "")) for h in state.history if not h.get("empty_layer")),
            tuple(state.lines),
            _stage_name(target),
        )
        repository = self.shelves.repository(content)
        found, unfixed = find_fixes(repository, content, origins, self.selection)
        known = {(p.name, p.architecture) for p in base.packages}
        steps = {step.layer: step for step in self.built.steps if step.run}
        blocks = fixes_blocks(self.dockerfile)
        self.unfixed += [u for u in unfixed if (u.package, u.architecture) not in known]
        for fix in found:
            step = steps.get(fix.layer)
            if step is None or fix.package in pinned:
                continue
            if any(b.first_line <= step.line <= b.last_line for b in blocks):
                continue
            if any(
                f.package == fix.package and f.architecture == fix.architecture for f in self.fixes
            ):
                continue
            self._raise(step.stage, step.run, step.packages, fix, step.line, "lock")
            self.fixes.append(fix)

    # The lock.

    def _new_lock(self, text: bytes) -> Lock | None:
        """The lock to build `text` with: the old one's entries, raised where something changes."""
        platform = str(self.request.platform)
        steps: list[LockedStep] = []
        if self.lock is not None:
            steps = [self._current(step) for step in self.lock.steps]
        for (stage, run), packages in self.raised.items():
            command = self._command(stage, run)
            steps = [s for s in steps if (s.stage, s.run, s.platform) != (stage, run, platform)]
            entry = LockedStep(stage, run, platform, command, packages)
            steps.append(self._current(entry))
        if self.lock is None and not steps:
            return None
        bases = (
            [] if self.lock is None else [b for b in self.lock.bases if not self._moved(b.image)]
        )
        edited = parse_dockerfile(text, self.dockerfile.name)
        moved = relocated(steps, self.dockerfile, edited)
        return Lock(tuple(bases), tuple(sorted(moved, key=lambda s: (s.stage, s.run))))

    def _moved(self, image: str) -> bool:
        return any(
            c.kind in ("lock", "base") and c.package in (image, image.partition("@")[0])
            for c in self.changes
        )

    def _command(self, stage: str, run: int) -> str:
        for step in self.built.steps if self.built else ():
            if (step.stage, step.run) == (stage, run):
                return step.command
        return ""

    def _current(self, step: LockedStep) -> LockedStep:
        """The entry with the versions that the pins now ask for, and without vanished ones."""
        stage = next((s for s in self.stages if _stage_name(s) == step.stage), None)
        content = self._content(stage) if stage else None
        if content is None:
            return step
        repository = self.shelves.repository(content)
        fixed = {f"{f.package}:{f.architecture}": f.fixed for f in self.fixes}
        packages = {}
        for name, version in step.packages.items():
            package, _, architecture = name.partition(":")
            wanted = fixed.get(name, version)
            offered = [o.version for o in repository.versions(package, architecture)]
            if wanted and offered and wanted not in offered:
                chosen = repository.policy(package, architecture)
                wanted = chosen.version if chosen is not None else wanted
            packages[name] = wanted
        return msgspec.structs.replace(step, packages=packages)

    def _described(self, text: bytes, lock: Lock | None, lock_changed: bool) -> Plan:
        parse_dockerfile(text, self.dockerfile.name)
        diff = unified_diff(self.dockerfile.raw, text, self.dockerfile.name)
        old_lock = format_lock(self.lock) if self.lock else b""
        new_lock = format_lock(lock) if lock else b""
        if lock_changed:
            diff += unified_diff(old_lock, new_lock, LOCK_NAME)
        platforms = self.options.platforms or (self.request.platform,)
        return Plan(
            dockerfile=self.dockerfile.name,
            dockerfile_digest=digest_of(self.dockerfile.raw),
            new_digest=digest_of(text),
            lock_digest=digest_of(new_lock) if lock else "",
            target=self.request.target,
            platforms=tuple(str(platform) for platform in platforms),
            changes=tuple(self.changes),
            fixes=tuple(self.fixes),
            unfixed=tuple(self.unfixed),
            diff=diff,
            notes=tuple(self.notes),
        )


def _stage_name(stage: Stage) -> str:
    return stage.name or str(stage.index)


def _layer(content: Content, layer: int) -> str | None:
    return content.layers[layer].diff_id if 0 <= layer < len(content.layers) else None


def _severity(selection: Selection, package: str) -> str:
    found = [f.severity for f in selection.findings or () if f.package == package]
    return str(max(found)) if found else "unknown"


def _behind(version: str | None, fix: Fix) -> bool:
    return version is None or compare_versions(version, fix.fixed) < 0


def _apt_name(request: BuildRequest, fix: Fix) -> str:
    own = request.platform.debian_architecture()
    foreign = fix.architecture not in (own, "all", "")
    return f"{fix.package}:{fix.architecture}" if foreign else fix.package


def _not_editable(mention: Mention, reason: str) -> Unfixed:
    return Unfixed(
        mention.package,
        mention.architecture or "",
        mention.version or "",
        (),
        "not-editable",
        reason,
    )


def unchanged(bumped: Bumped, dockerfile: Dockerfile) -> bool:
    """Whether there is nothing to edit."""
    return bumped.text == dockerfile.raw and not bumped.plan.changes
