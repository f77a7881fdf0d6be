"""Base images of a bump: which digest and tag each stage's base gets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from oakum.builder import Image, Images
from oakum.dockerfile import Lock, NotEditable, Stage, base_edit, base_of
from oakum.errors import NotFound
from oakum.oci import Digest, Reference, is_digest, parse_reference
from oakum.transport import list_tags
from oakum.verbs.draft import Draft
from oakum.verbs.interface import Change
from oakum.verbs.project import Project, stage_name
from oakum.verbs.tags import BumpTags, next_tag


def raise_bases(
    project: Project, images: Images, needed: set[int], level: BumpTags, lock: Lock | None
) -> Draft:
    """Bring the bases of the stages in `needed` up to date; `project.bases` knows them then."""
    draft = Draft()
    for stage in project.stages:
        root = project.root(stage)
        if stage.index not in needed or root.index in project.bases:
            continue
        base = base_of(project.dockerfile, root, project.given)
        if base.text == "scratch" or base.text in project.request.contexts or not base.known:
            continue
        image, found = _Raising(project, images, level, lock).base(root)
        images.fetch(image.layers)
        project.bases[root.index] = image
        draft = draft.plus(found)
    return draft


class _Raising:
    """One base image while it is looked at."""

    def __init__(
        self, project: Project, images: Images, level: BumpTags, lock: Lock | None
    ) -> None:
        self._project = project
        self._images = images
        self._level = level
        self._lock = lock

    def base(self, stage: Stage) -> tuple[Image, Draft]:
        """The image as it will be: its tag raised where asked, its digest the tag's own."""
        project = self._project
        base = base_of(project.dockerfile, stage, project.given)
        reference = parse_reference(base.text)
        platform = project.request.platform
        higher = self._higher(reference)
        named = (reference.with_tag(higher) if higher else reference).with_digest(None)
        current = self._images.current_digest(named) if named.tag else None
        locked = self._locked(base.text)
        if current is None:
            if higher:
                raise NotFound(f"the tag {higher} of {base.name} cannot be read", "try again")
            return self._images.find(base.text, platform, digest=locked), Draft()
        if base.digest is None and not higher:
            draft = Draft()
            if locked and current != locked:
                draft = Draft(changes=(_change("lock", stage, base.text, locked, current),))
            return self._images.find(base.text, platform, refresh=True), draft
        draft = Draft()
        if higher or base.digest != current:
            draft = self._edit(stage, higher, current if base.digest else None)
            if not draft.edits:
                return self._images.find(base.text, platform, digest=locked), draft
        return self._images.find(str(named), platform, refresh=True), draft

    def _higher(self, reference: Reference) -> str | None:
        """The next tag of the same form, where that is asked for and there is one."""
        offered: Sequence[str] = ()
        if self._level != "none" and reference.tag:
            offered = list_tags(reference, self._images.options)
        return next_tag(reference.tag or "", offered, self._level)

    def _locked(self, text: str) -> Digest | None:
        platform = str(self._project.request.platform)
        return self._lock.base(text, platform) if self._lock else None

    def _edit(self, stage: Stage, tag: str | None, digest: str | None) -> Draft:
        project = self._project
        base = base_of(project.dockerfile, stage, project.given)
        assert digest is None or is_digest(digest)
        try:
            edits = base_edit(
                project.dockerfile, stage, tag=tag, digest=digest, given=project.given
            )
        except NotEditable as error:
            return Draft(notes=(f"the base image of line {stage.from_.first_line}: {error.what}",))
        old = f"{base.tag or ''}@{base.digest}" if base.digest else base.tag or ""
        new = f"{tag or base.tag or ''}@{digest}" if digest else tag or ""
        return Draft(tuple(edits), changes=(_change("base", stage, base.name, old, new),))


def _change(kind: Literal["base", "lock"], stage: Stage, name: str, old: str, new: str) -> Change:
    moved = kind == "lock" or old.partition("@")[0] == new.partition("@")[0]
    why = "the tag stands for another digest now" if moved else "there is a newer tag of this form"
    return Change(kind, name, old, new, stage_name(stage), stage.from_.first_line, why)
