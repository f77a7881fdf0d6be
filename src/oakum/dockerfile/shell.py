"""Shell scripts walked in the order of their execution, for the commands that they run.

Assignments are followed where they are certain: one made in a branch that may be skipped leaves
the variable unknown.  Loops over words and calls of functions are followed; functions that are
never called are not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from oakum.dockerfile.feeds import feed_heredoc, feed_lines
from oakum.dockerfile.script import Feed, is_shell
from oakum.dockerfile.syntax import (
    REDIRECTS,
    Field,
    command_string,
    echoed,
    parser,
    plain,
    reads_words,
    split_fields,
    words_of,
)
from oakum.dockerfile.trace import (
    EMPTY,
    Source,
    Traced,
    Value,
    foreign,
    held,
    joined,
    unknown,
)
from oakum.dockerfile.words import Lookup, shell_fields, shell_value

if TYPE_CHECKING:
    from tree_sitter import Node

_DEEPEST = 12
_LOOPS = 500
_COMMANDS = 20_000


class Shell:
    """The variables of a script while it is walked; each command goes to `sink`."""

    def __init__(
        self,
        lookup: Lookup,
        line: int,
        sink: Callable[[list[Field], Shell], None],
        damaged: Callable[[Traced], None],
    ) -> None:
        self.outer = lookup
        self.line = line
        self.sink = sink
        self.damaged = damaged
        self.variables: dict[str, Value] = {}
        self.functions: dict[str, tuple[Traced, Node]] = {}
        self.positional: tuple[Traced, ...] = ()
        self.depth = 0
        self.budget = [_COMMANDS]
        self.feeds: dict[int, Feed] = {}

    def fork(self) -> Shell:
        """A shell whose changes do not come back."""
        other = Shell(self.outer, self.line, self.sink, self.damaged)
        other.variables = dict(self.variables)
        other.functions = dict(self.functions)
        other.positional = self.positional
        other.depth = self.depth
        other.budget = self.budget
        other.feeds = self.feeds
        return other

    def feed_at(self, offset: int) -> Feed | None:
        """The RUN's heredoc whose marker is at that byte of the file."""
        return self.feeds.get(offset)

    def lookup(self, name: str) -> Value | None:
        """The variable's value; None where it is unset or unknown."""
        if name in self.variables:
            return self.variables[name]
        if name in ("@", "*"):
            return self.positional
        if name.isdecimal() and name != "0":
            return self.positional[int(name) - 1] if int(name) <= len(self.positional) else EMPTY
        return self.outer(name)

    def run(self, script: Traced, feeds: tuple[Feed, ...] = ()) -> None:
        """Walk a script; its heredocs' markers are read as redirections from a file."""
        if self.depth > _DEEPEST:
            return
        source = bytearray(plain(script.text))
        for feed in feeds:
            source[feed.start : feed.end] = b"<" + b"X" * (feed.end - feed.start - 1)
            self.feeds[script.offsets[feed.start]] = feed
        tree = parser().parse(bytes(source))
        if tree.root_node.has_error:
            self.damaged(script)
        self.depth += 1
        self.walk(script, tree.root_node)
        self.depth -= 1

    def walk(self, script: Traced, node: Node) -> None:
        """Walk a statement and what is in it."""
        step = _STEPS.get(node.type)
        if step is not None:
            step(self, script, node)
            return
        for child in node.named_children:
            self.walk(script, child)

    def fields(self, script: Traced, words: list[Traced]) -> list[Field]:
        """The fields that the words become."""
        return [Field(value, word) for word in words for value in shell_fields(word, self.lookup)]

    def assign(self, script: Traced, node: Node) -> None:
        """A ``NAME=value``, ``NAME+=value`` or ``NAME=(…)``."""
        name_node, value = node.child_by_field_name("name"), node.child_by_field_name("value")
        if name_node is None:
            return
        name = script.text[name_node.start_byte : name_node.end_byte].split("[", 1)[0]
        source = Source("shell", name, self.line)
        adds = any(child.type == "+=" for child in node.children)
        if value is not None and value.type == "array":
            words = list(words_of(script, value))
            new = tuple(held(field.value, source) for field in self.fields(script, words))
            old = self.lookup(name) if adds else ()
            self.variables[name] = (*old, *new) if isinstance(old, tuple) else new
            return
        end = node.end_byte if value is not None else name_node.end_byte
        text = script.cut(value.start_byte, end) if value is not None else EMPTY
        found = held(shell_value(text, self.lookup), source)
        if adds:
            before = self.lookup(name)
            found = joined([before, found]) if isinstance(before, Traced) else unknown(name)
        if name_node.type == "subscript":
            found = unknown(name)
        self.variables[name] = found

    def merge(self, branches: list[Shell], always: bool) -> None:
        """Keep what all branches agree on (`always`: one of them ran); the rest is unknown."""
        names = {name for branch in branches for name in branch.variables}
        for name in names:
            values = [branch.variables.get(name) for branch in branches]
            if not always:
                values.append(self.variables.get(name))
            same = all(value == values[0] for value in values)
            self.variables[name] = (values[0] if same else None) or unknown(name)
        for branch in branches:
            self.functions.update(branch.functions)

    def command(self, fields: list[Field], prefix: Mapping[str, Value]) -> None:
        """A command whose words are expanded."""
        if not fields or self.budget[0] <= 0:
            return
        self.budget[0] -= 1
        name = fields[0].value.text
        if name in self.functions and self.depth <= _DEEPEST:
            self.call(name, fields[1:])
        elif name == "set":
            self.set_positional(fields)
        elif name in ("export", "readonly", "local", "declare", "typeset"):
            for field in fields[1:]:
                self.assign_field(field)
        elif name == "eval":
            space = foreign(" ", Source("shell"))
            self.run(joined(p for field in fields[1:] for p in (field.value, space)))
        elif (is_shell(name) or name == "su") and (script := command_string(fields)) is not None:
            inner = self.fork()
            inner.variables |= prefix
            inner.run(script)
        else:
            self.sink(fields, self)

    def call(self, name: str, arguments: list[Field]) -> None:
        """A function's body with these positional parameters."""
        script, body = self.functions[name]
        before, self.positional = self.positional, tuple(field.value for field in arguments)
        self.depth += 1
        self.walk(script, body)
        self.depth -= 1
        self.positional = before

    def set_positional(self, fields: list[Field]) -> None:
        """``set -- words``."""
        texts = [field.value.text for field in fields]
        if "--" in texts:
            at = texts.index("--")
            self.positional = tuple(field.value for field in fields[at + 1 :])
        elif len(texts) > 1 and not texts[1].startswith(("-", "+")):
            self.positional = tuple(field.value for field in fields[1:])

    def assign_field(self, field: Field) -> None:
        """``NAME=value`` as an argument of export."""
        name, equals, _ = field.value.text.partition("=")
        if equals and name.isidentifier():
            value = field.value.cut(len(name) + 1)
            self.variables[name] = held(value, Source("shell", name, self.line))


def _command(shell: Shell, script: Traced, node: Node, extra: list[Traced] | None = None) -> None:
    if node.has_error:
        shell.damaged(script.cut(node.start_byte, node.end_byte))
        return
    for child in node.named_children:
        _walk_substitutions(shell, script, child)
    prefix = shell.fork()
    for child in node.children:
        if child.type == "variable_assignment":
            prefix.assign(script, child)
    words = list(words_of(script, node, ("variable_assignment", *REDIRECTS)))
    fields = shell.fields(script, words)
    here = [child for child in node.children if child.type == "herestring_redirect"]
    if reads_words(fields):
        given = [*(extra or []), *(w for child in here for w in words_of(script, child, ("<<<",)))]
        fields += split_fields(shell.fields(script, given))
    else:
        fields += shell.fields(script, extra or [])
    changed = {n: v for n, v in prefix.variables.items() if shell.variables.get(n) != v}
    shell.command(fields, changed)


def _walk_substitutions(shell: Shell, script: Traced, node: Node) -> None:
    if node.type in ("command_substitution", "process_substitution"):
        inner = shell.fork()
        for child in node.named_children:
            inner.walk(script, child)
        return
    for child in node.named_children:
        _walk_substitutions(shell, script, child)


_ARROWS = (">", ">>", "<", ">&", "<&", "&>", "&>>", ">|")


def _offsets(script: Traced, redirect: Node) -> list[int]:
    return [script.offsets[child.start_byte] for child in redirect.children if child.type == "<"]


def _redirected(shell: Shell, script: Traced, node: Node) -> None:
    """A command with redirections; words after a redirection's target are arguments still."""
    named = node.named_children
    body = node.child_by_field_name("body") or (named[0] if named else None)
    extra: list[Traced] = []
    feeds: list[Feed] = []
    for child in node.children:
        if child.type == "file_redirect":
            extra += list(words_of(script, child, ("file_descriptor", *_ARROWS)))[1:]
            feed = next((f for f in map(shell.feed_at, _offsets(script, child)) if f), None)
            feeds += [feed] if feed is not None else []
    if body is not None and body.type == "command":
        _command(shell, script, body, extra)
    elif body is not None and body.type not in REDIRECTS:
        shell.walk(script, body)
    for feed in feeds:
        feed_lines(shell, script, feed, body, node)
    for child in node.children:
        if child.type == "heredoc_redirect":
            feed_heredoc(shell, script, child, body)


def _assignment(shell: Shell, script: Traced, node: Node) -> None:
    for child in node.named_children:
        _walk_substitutions(shell, script, child)
    shell.assign(script, node)


def _unset(shell: Shell, script: Traced, node: Node) -> None:
    for child in node.named_children:
        shell.variables[script.text[child.start_byte : child.end_byte]] = EMPTY


def _list(shell: Shell, script: Traced, node: Node) -> None:
    """``a && b`` runs both; what stands behind ``||`` may run."""
    operators = [child.type for child in node.children if not child.is_named]
    parts = [child for child in node.named_children if child.type != "comment"]
    for part in parts[:1]:
        shell.walk(script, part)
    for operator, child in zip(operators, parts[1:], strict=False):
        if operator != "||":
            shell.walk(script, child)
            continue
        branch = shell.fork()
        branch.walk(script, child)
        shell.merge([branch], always=False)


def _if(shell: Shell, script: Traced, node: Node) -> None:
    branches: list[Shell] = []
    complete = False
    current = shell.fork()
    for child in node.named_children:
        if child.type in ("elif_clause", "else_clause"):
            branches.append(current)
            current = shell.fork()
            complete = complete or child.type == "else_clause"
        current.walk(script, child)
    shell.merge([*branches, current], always=complete)


def _case(shell: Shell, script: Traced, node: Node) -> None:
    branches = []
    for child in node.named_children:
        if child.type == "case_item":
            branch = shell.fork()
            for statement in child.named_children[1:]:
                branch.walk(script, statement)
            branches.append(branch)
    if branches:
        shell.merge(branches, always=False)


def _for(shell: Shell, script: Traced, node: Node) -> None:
    body = node.child_by_field_name("body")
    variable = node.child_by_field_name("variable")
    if body is None or variable is None:
        return
    name = script.text[variable.start_byte : variable.end_byte]
    skip = ("for", "in", "select", ";", "variable_name", "do_group", "compound_statement")
    fields = shell.fields(script, list(words_of(script, node, skip)))
    for field in fields[:_LOOPS]:
        shell.variables[name] = field.value
        shell.walk(script, body)
    if not fields:
        _loop(shell, script, node)


def _loop(shell: Shell, script: Traced, node: Node) -> None:
    """A loop that may run any number of times: what it assigns is unknown."""
    trial = shell.fork()
    trial.sink = lambda fields, inner: None
    _walk_children(trial, script, node)
    shell.merge([trial], always=False)
    branch = shell.fork()
    _walk_children(branch, script, node)


def _walk_children(shell: Shell, script: Traced, node: Node) -> None:
    for child in node.named_children:
        shell.walk(script, child)


def _subshell(shell: Shell, script: Traced, node: Node) -> None:
    _walk_children(shell.fork(), script, node)


def _pipeline(shell: Shell, script: Traced, node: Node) -> None:
    """Each part in a shell of its own; ``echo words | xargs command`` gives it the words."""
    words: list[Traced] = []
    for child in node.named_children:
        branch = shell.fork()
        if child.type == "command" and words:
            head = branch.fields(script, list(words_of(script, child, ("variable_assignment",))))
            _command(branch, script, child, words if reads_words(head) else None)
        else:
            branch.walk(script, child)
        words = echoed(script, child)


def _function(shell: Shell, script: Traced, node: Node) -> None:
    name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
    if name is not None and body is not None:
        shell.functions[script.text[name.start_byte : name.end_byte]] = (script, body)


def _declaration(shell: Shell, script: Traced, node: Node) -> None:
    for child in node.named_children:
        if child.type == "variable_assignment":
            _assignment(shell, script, child)


def _nothing(shell: Shell, script: Traced, node: Node) -> None:
    return


_STEPS: dict[str, Callable[[Shell, Traced, Node], None]] = {
    "command": _command,
    "redirected_statement": _redirected,
    "variable_assignment": _assignment,
    "declaration_command": _declaration,
    "unset_command": _unset,
    "list": _list,
    "if_statement": _if,
    "case_statement": _case,
    "for_statement": _for,
    "while_statement": _loop,
    "c_style_for_statement": _loop,
    "subshell": _subshell,
    "pipeline": _pipeline,
    "function_definition": _function,
    "test_command": _nothing,
    "comment": _nothing,
    "ERROR": _nothing,
}
