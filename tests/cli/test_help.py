"""Help, version and completion: what a user asks first, answered at once."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import typer.main

from oakum.cli.app import app
from oakum.version import version
from support.command import Oakum

HEAVY = ("dockerfile", "httpx", "isal", "msgspec", "pysequoia", "rich", "tree_sitter", "univers")


def verbs() -> list[tuple[str, ...]]:
    """Every verb, with the group that it is in."""
    found: list[tuple[str, ...]] = []
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", {})
        found += [(name, verb) for verb in inner] if inner else [(name,)]
    return found


def test_every_verb_of_the_product_is_there() -> None:
    wanted = "scan bump build rebuild lock verify pull push copy images tag rmi inspect ls cat"
    assert {" ".join(verb) for verb in verbs()} == {
        *wanted.split(),
        "store info",
        "store mounts",
        "store check",
        "store prune",
    }


@pytest.mark.parametrize("verb", verbs(), ids=" ".join)
def test_the_help_of_a_verb_has_an_example_of_it(oakum: Oakum, verb: tuple[str, ...]) -> None:
    shown = oakum.done(*verb, "--help").out
    examples = re.split(r"Examples?:", shown)[1]
    assert f"oakum {' '.join(verb)}" in examples
    assert shown.startswith(f"Usage: oakum {' '.join(verb)} ")


@pytest.mark.parametrize("verb", verbs(), ids=" ".join)
def test_every_option_of_a_verb_is_explained(verb: tuple[str, ...]) -> None:
    command = typer.main.get_command(app)
    for name in verb:
        command = command.commands[name]  # type: ignore[attr-defined]
    options = [p for p in command.params if p.param_type_name == "option"]
    assert [p.name for p in options if not getattr(p, "help", "")] == []
    assert command.help


def test_the_help_tells_the_exit_codes_and_gives_an_example(oakum: Oakum) -> None:
    shown = " ".join(oakum.done("--help").out.split())
    assert "0 done or nothing to do, 1 failed, 2 usage, 3 findings" in shown
    assert "Example: oakum build" in shown


def test_h_is_short_for_help(oakum: Oakum) -> None:
    assert oakum.done("-h").out == oakum.done("--help").out


@pytest.mark.parametrize("words", [["--help"], ["build", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    code = (
        "import atexit, sys\n"
        "from oakum.cli.app import main\n"
        f"heavy = lambda: print(*(set(sys.modules) & {set(HEAVY)!r}), file=sys.stderr)\n"
        "atexit.register(heavy)\n"
        f"sys.argv = ['oakum', *{words!r}]\n"
        "main()\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr.strip()) == (0, "")
    assert ran.stdout


def test_the_version_is_that_of_the_package(oakum: Oakum) -> None:
    assert oakum.done("--version").out == f"oakum {version()}\n"


@pytest.mark.parametrize("verb", [(), ("store",)], ids=["oakum", "oakum store"])
def test_without_a_verb_the_help_is_shown(oakum: Oakum, verb: tuple[str, ...]) -> None:
    ended = oakum(*verb)
    assert ended.code == 2
    assert "Commands:" in ended.out + ended.err


def in_shell(oakum: Oakum, shell: str, *words: str) -> Oakum:
    """The command, started from a shell, which is how it tells for which one to complete."""
    return Oakum(oakum.store, oakum.home, shell, "-c", '"$@"; exit $?', shell)


def test_completion_can_be_shown_and_installed_from_a_shell(oakum: Oakum) -> None:
    bash = in_shell(oakum, "bash")
    assert "complete" in bash.done("--show-completion").out
    bash.done("--install-completion")
    script = oakum.home / ".bash_completions" / "oakum.sh"
    assert str(script) in (oakum.home / ".bashrc").read_text()
    assert "_OAKUM_COMPLETE=complete_bash" in script.read_text()


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("oakum re", ["rebuild"]),
        ("oakum store c", ["check"]),
        ("oakum build --no-c", ["--no-cache", "--no-cache-filter"]),
    ],
)
def test_a_shell_completes_verbs_and_options(oakum: Oakum, typed: str, offered: list[str]) -> None:
    count = str(len(typed.split()) - 1)
    answer = oakum.done(_OAKUM_COMPLETE="complete_bash", COMP_WORDS=typed, COMP_CWORD=count)
    assert answer.out.split() == offered
