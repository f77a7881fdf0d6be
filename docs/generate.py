"""Writes what the docs repeat of the code: options of every verb, JSON schemas, derived files.

``make docs`` runs it; a test fails where the docs are behind the code.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
import typer

DOCS = Path(__file__).parent
BEGIN, END = "<!-- generated: {} -->", "<!-- end of generated -->"


def verbs() -> Iterator[tuple[str, click.Command]]:
    """Every verb with its command, those of ``store`` by both words."""
    from oakum.cli.app import app

    group = typer.main.get_command(app)
    assert isinstance(group, click.Group)
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", one) for inner, one in command.commands.items())
        else:
            yield name, command


def options_table(command: click.Command) -> str:
    """The options of a verb as a Markdown table."""
    lines = ["| option | meaning |", "|---|---|"]
    for parameter in command.params:
        if not isinstance(parameter, click.Option) or parameter.hidden:
            continue
        names = ", ".join(f"`{name}`" for name in parameter.opts)
        value = "" if parameter.is_flag else f" `{parameter.metavar or parameter.type.name}`"
        default = parameter.default
        shown = "" if default in (None, False, "", ()) or callable(default) else default
        note = f" (default `{shown}`)" if shown and not isinstance(shown, list) else ""
        text = (parameter.help or "").replace("|", "\\|")
        lines.append(f"| {names}{value.replace('|', chr(92) + '|')} | {text}{note} |")
    return "\n".join(lines)


def usage(name: str, command: click.Command) -> str:
    """The first line of a verb's help."""
    context = click.Context(command, info_name=f"oakum {name}")
    pieces = " ".join(command.collect_usage_pieces(context))
    return f"```\noakum {name} {pieces}\n```"


def documents() -> dict[str, Any]:
    """The JSON documents by name."""
    from oakum.builder import Pruned
    from oakum.builder.cache_mounts import MountList
    from oakum.store import Checked, Usage
    from oakum.verbs import Locked, Plan, Proof, PulledImage, Rebuilt, Scan
    from oakum.verbs.results import DOCUMENTS

    return {
        **DOCUMENTS,
        "lock": Locked,
        "plan": Plan,
        "pull": PulledImage,
        "rebuild": Rebuilt,
        "scan": Scan,
        "store-check": Checked,
        "store-info": Usage,
        "store-mounts": MountList,
        "store-prune": Pruned,
        "verify": Proof,
    }


def described(kind: Any, schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with the fields' own docstrings as descriptions."""
    texts = {name: text for one in _structs(kind) for name, text in _field_texts(one).items()}
    for name, definition in schema.get("$defs", {}).items():
        for field, body in definition.get("properties", {}).items():
            text = texts.get((name, field))
            if text:
                body["description"] = text
    return schema


def _structs(kind: Any) -> list[type]:
    found: dict[str, type] = {}
    todo = [kind]
    while todo:
        one = todo.pop()
        inner = getattr(one, "__args__", ())
        todo += [arg for arg in inner if arg is not Ellipsis]
        if isinstance(one, type) and issubclass(one, msgspec.Struct) and one.__name__ not in found:
            found[one.__name__] = one
            todo += [field.type for field in msgspec.structs.fields(one)]
    return list(found.values())


def _field_texts(kind: type) -> dict[tuple[str, str], str]:
    import ast
    import inspect
    import textwrap

    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        is_text = isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_text:
            words = " ".join(str(text.value.value).split())  # type: ignore[attr-defined]
            found[kind.__name__, field.target.id] = words
    return found


def schemas() -> Iterator[tuple[Path, str]]:
    """The schema files."""
    for name, kind in sorted(documents().items()):
        schema = described(kind, msgspec.json.schema(kind))
        schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
        yield DOCS / "json" / f"{name}.schema.json", json.dumps(schema, indent=1) + "\n"


def derived_table() -> str:
    """The rules on files that no package ships."""
    from oakum.verbs.derived import RULES

    rows = [f"| `{pattern.replace('|', chr(92) + '|')}` | {reason} |" for pattern, reason in RULES]
    return "\n".join(["| paths (a regular expression) | what they are |", "|---|---|", *rows])


def noise_table() -> str:
    """What ``build --reproducible`` does, a row for each rule."""
    from oakum.builder.noise import RULES

    lines = ["| paths (a regular expression) | what is done | what they are |", "|---|---|---|"]
    for rule in RULES:
        lines.append(f"| `{rule.pattern.replace('|', chr(92) + '|')}` | {rule.how} | {rule.why} |")
    return "\n".join(lines)


def filled(text: str, part: str, body: str) -> str:
    """`text` with the generated part of that name replaced."""
    begin = BEGIN.format(part)
    pattern = re.compile(re.escape(begin) + r"\n.*?" + re.escape(END), re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"a page lacks {begin}")
    return pattern.sub(lambda _: f"{begin}\n\n{body}\n\n{END}", text)


def pages() -> Iterator[tuple[Path, str]]:
    """Every file that is generated or holds a generated part, as it should be."""
    yield from schemas()
    texts: dict[Path, str] = {}
    for name, command in verbs():
        path = DOCS / "verbs" / f"{name.split()[0]}.md"
        text = texts.get(path) or path.read_text()
        body = f"{usage(name, command)}\n\n{options_table(command)}"
        texts[path] = filled(text, f"options of {name}", body)
    proof = DOCS / "verbs" / "verify.md"
    texts[proof] = filled(texts[proof], "derived files", derived_table())
    noise = DOCS / "reproducible.md"
    texts[noise] = filled(noise.read_text(), "rules on noise", noise_table())
    yield from texts.items()


def main() -> None:
    """Write every page; with ``--check`` only tell which are behind."""
    behind = [(p, t) for p, t in pages() if not p.exists() or p.read_text() != t]
    for path, text in behind:
        if "--check" not in sys.argv:
            path.write_text(text)
        print(f"{'behind' if '--check' in sys.argv else 'wrote'}: {path.relative_to(DOCS)}")
    if behind and "--check" in sys.argv:
        raise SystemExit("run 'make docs'")


if __name__ == "__main__":
    main()
