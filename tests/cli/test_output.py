"""What verbs print: JSON that says its shape, results alone with -q, progress on the side."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import shutil
import tarfile
from pathlib import Path

import pytest

from cli.conftest import Ready
from support.busy import Context
from support.command import Done, Oakum

CHANGING = {
    "build": "build CONTEXT -t NAME",
    "bump": "bump CONTEXT",
    "rebuild": "rebuild CONTEXT",
    "lock": "lock CONTEXT",
    "pull": "pull NAME",
    "push": "push NAME",
    "copy": "copy NAME oci:HERE/layout:1",
    "tag": "tag NAME NAME",
    "rmi": "rmi again:1",
    "store check": "store check",
    "store prune": "store prune",
}
"""Verbs that change something, or would with another option."""
ASKING = {
    "scan": "scan NAME",
    "verify": "verify NAME",
    "images": "images",
    "inspect": "inspect NAME",
    "ls": "ls NAME /bin",
    "store info": "store info",
}


def run(ready: Ready, line: str, here: Path, *more: str) -> Done:
    copied = here / "context"
    if "CONTEXT" in line and not copied.exists():
        shutil.copytree(ready.context, copied)
    known = {"CONTEXT": str(copied), "NAME": ready.name}
    words = [known.get(word, word.replace("HERE", str(here))) for word in line.split()]
    if "again:1" in words:
        ready.oakum.done("tag", ready.name, "again:1")
    return ready.oakum(*words, *more)


@pytest.mark.parametrize("line", CHANGING.values(), ids=CHANGING.keys())
def test_a_verb_that_changes_something_tells_its_outcome(
    ready: Ready, line: str, tmp_path: Path
) -> None:
    ended = run(ready, line, tmp_path, "--format", "json")
    assert ended.code == 0, ended.err
    assert ended.document["schema"] == 1
    outcomes = ("done", "nothing-to-do", "partly-done", "not-possible", "failed")
    assert ended.document["outcome"] in outcomes


@pytest.mark.parametrize("line", ASKING.values(), ids=ASKING.keys())
def test_a_verb_that_answers_can_answer_in_json(ready: Ready, line: str, tmp_path: Path) -> None:
    ended = run(ready, line, tmp_path, "--format", "json")
    assert ended.code == 0, ended.err
    assert ended.document["schema"] == 1


@pytest.mark.parametrize("line", CHANGING.values(), ids=CHANGING.keys())
def test_the_result_can_go_to_a_file(ready: Ready, line: str, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    ended = run(ready, line, tmp_path, "--result-file", str(file))
    assert ended.code == 0, ended.err
    assert json.loads(file.read_text())["schema"] == 1


def test_a_result_file_that_is_a_device_stays_one(ready: Ready) -> None:
    ready.oakum.done("tag", ready.name, ready.name, "--result-file", "/dev/null")
    assert not Path("/dev/null").is_file()


def test_quiet_prints_the_result_alone(ready: Ready, tmp_path: Path) -> None:
    built = run(ready, "build CONTEXT", tmp_path, "-q")
    assert re.fullmatch(r"sha256:[0-9a-f]{64}\n", built.out)
    pulled = run(ready, "pull NAME", tmp_path, "-q")
    assert pulled.out == ready.digest + "\n"
    pushed = run(ready, "push NAME", tmp_path, "-q")
    assert pushed.out == ready.digest + "\n"
    assert built.err + pulled.err + pushed.err == ""


def test_progress_goes_to_standard_error_and_the_answer_to_standard_output(
    ready: Ready, tmp_path: Path
) -> None:
    ended = run(ready, "build CONTEXT --format json", tmp_path)
    assert ended.document["digest"] == ready.digest
    assert "RUN echo hello" in ended.err


@pytest.mark.parametrize("mode", ["auto", "plain"])
def test_without_a_terminal_progress_is_plain_lines(
    oakum: Oakum, context: Context, mode: str
) -> None:
    context.write("RUN echo one; echo two")
    ended = oakum.done("build", context.place, "--progress", mode)
    assert re.search(r"^#4 \[0\] RUN echo one; echo two$", ended.err, re.M)
    assert re.search(r"^#4 \d+\.\d two$", ended.err, re.M)
    assert re.search(r"^#4 DONE \d+\.\ds$", ended.err, re.M)
    assert "\x1b" not in ended.err


def test_quiet_progress_is_none(ready: Ready, tmp_path: Path) -> None:
    assert run(ready, "build CONTEXT --progress quiet", tmp_path).err == ""


def test_an_unknown_progress_is_a_usage_error(ready: Ready, tmp_path: Path) -> None:
    ended = run(ready, "build CONTEXT --progress fancy", tmp_path)
    assert ended.code == 2
    assert ended.complaint == ("unknown progress mode 'fancy'", "auto, plain, tty or quiet")


def on_terminal(oakum: Oakum, *words: str, **env: str) -> str:
    """What a terminal gets of standard error."""
    import subprocess
    import sys

    near, far = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "oakum", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=far,
        env=oakum.environment(TERM="xterm-256color", **env),
    )
    os.close(far)
    seen = bytearray()
    try:
        while piece := os.read(near, 65536):
            seen += piece
    except OSError:
        pass
    finally:
        os.close(near)
    assert process.wait() == 0, seen
    return seen.decode()


def test_no_color_is_respected_on_a_terminal(ready: Ready) -> None:
    other = Oakum(ready.oakum.store.with_name("terminal"), ready.oakum.home)
    seen = on_terminal(other, "pull", ready.name, NO_COLOR="1")
    assert "\x1b[3" not in seen
    assert "\x1b[9" not in seen


def test_a_terminal_can_be_told_to_get_plain_lines(ready: Ready) -> None:
    seen = on_terminal(ready.oakum, "build", str(ready.context), "--progress", "plain")
    assert "\x1b" not in seen


def test_cat_gives_the_bytes_of_a_file(ready: Ready) -> None:
    assert ready.oakum.done("cat", ready.name, "/greeting").out == "hello\n"


def test_a_closed_pipe_is_no_traceback(ready: Ready) -> None:
    shell = Oakum(ready.oakum.store, ready.oakum.home, "sh", "-c", '"$@" | true', "sh")
    ended = shell("ls", ready.name, "/bin", "-R")
    assert ended.err == ""


@pytest.mark.parametrize("output", ["-", "type=tar,dest=-"])
def test_a_tar_on_standard_output_is_all_that_is_there(
    oakum: Oakum, tmp_path: Path, output: str
) -> None:
    place = Context(tmp_path / "context").write_all("FROM scratch", "COPY text /text", text="hi")
    raw = oakum.done("build", place, "-o", output).out.encode()
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        assert [member.name for member in tar] == ["text"]
        end = tar.offset
    assert not raw[end:].strip(b"\0")
    refused = oakum("build", place, "-o", output, "--format", "json")
    assert refused.code == 2
    assert refused.document["outcome"] == "failed"
