"""Running git without anything of the machine's own configuration, and without any question.

Names, passwords and tokens reach git in its environment, which only its own user can read; what
git says is shown without them.
"""

from __future__ import annotations

import base64
import functools
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from oakum.builder.git_address import GitAddress
from oakum.builder.request import BuildRequest
from oakum.builder.sandbox.certificates import STORES
from oakum.builder.sandbox.process import tied
from oakum.errors import BuildError, UsageError

_CONFIG = {
    "advice.detachedHead": "false",
    "core.attributesFile": os.devnull,
    "core.autocrlf": "false",
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.logAllRefUpdates": "false",
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "gc.auto": "0",
    "http.lowSpeedLimit": "100",
    "http.lowSpeedTime": "60",
    "maintenance.auto": "false",
    "protocol.allow": "never",
    "protocol.file.allow": "user",
    "protocol.git.allow": "always",
    "protocol.http.allow": "always",
    "protocol.https.allow": "always",
    "protocol.ssh.allow": "always",
    # What the cache holds is this user's; inside a user namespace git may not see that.
    "safe.directory": "*",
}
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
_GITHUB = ("https://github.com/", "https://www.github.com/")
_WAIT = 0.3
_IDLE = ("Cloning into", "Please make sure", "and the repository exists", "hint:", "warning:")
"""What git says besides what happened."""


class GitFailed(BuildError):
    """git did not do what it was asked to."""


class Git:
    """git for one repository: how it is run, and what it may show."""

    def __init__(
        self, address: GitAddress, request: BuildRequest, scratch: Path, stopped: Callable[[], bool]
    ) -> None:
        self._address = address
        self._request = request
        self._scratch = scratch
        self._stopped = stopped
        self._hidden: list[str] = []
        self._config = self._trust() | self._login()

    def run(
        self,
        *words: str,
        place: Path | None = None,
        config: Mapping[str, str] | None = None,
        own: bool = True,
    ) -> str:
        """What ``git WORDS`` prints.  `own` is for addresses that come from the user.

        `GitFailed` with git's own words, without a password or token.
        """
        program = shutil.which("git")
        if program is None:
            raise BuildError(
                f"{self._address.remote} cannot be fetched: there is no git on this machine",
                "install git",
            )
        command = [program, *words]
        # A server that is asked by https does not send its client on to http.
        plain = {"protocol.http.allow": "never"} if self._address.scheme == "https" else {}
        ours = {**_CONFIG, **self._config, **(plain if own else {}), **(config or {})}
        env = self._env(ours, own)
        process = subprocess.Popen(
            tied(command) if _can_be_tied() else command,
            cwd=place or self._scratch,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            umask=0o022,
        )
        out, err = self._finished(process)
        if process.returncode:
            raise GitFailed(
                f"git {words[0]} of {self._address.remote} failed: {self._said(err)}",
                _advice(err, self._address),
            )
        return out.decode("utf-8", "surrogateescape")

    def _finished(self, process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
        while True:
            try:
                return process.communicate(timeout=_WAIT)
            except subprocess.TimeoutExpired:
                if self._stopped():
                    process.kill()
            except BaseException:
                process.kill()
                raise

    def _env(self, config: Mapping[str, str], own: bool) -> dict[str, str]:
        env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": os.devnull,
            "LC_ALL": "C",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_PROTOCOL_FROM_USER": "1" if own else "0",
            "GIT_SSH_COMMAND": _ssh_command(),
            "GIT_TEMPLATE_DIR": "",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_COUNT": str(len(config)),
        }
        for number, (name, value) in enumerate(config.items()):
            env[f"GIT_CONFIG_KEY_{number}"] = name
            env[f"GIT_CONFIG_VALUE_{number}"] = value
        for name in (*_PROXIES, *map(str.upper, _PROXIES), "SSH_AUTH_SOCK"):
            if name in os.environ:
                env[name] = os.environ[name]
        return env

    def _trust(self) -> dict[str, str]:
        """The certificates that https servers are judged by, with those of the request."""
        more = self._request.ca_certificates
        named = more or os.environ.get("SSL_CERT_FILE")
        if not named:
            return {}
        known = next((store for store in STORES if Path(store).is_file()), None) if more else None
        bundle = self._scratch / "certificates"
        try:
            parts = [Path(path).read_bytes() for path in (known, named) if path]
            bundle.write_bytes(b"\n".join(parts))
        except OSError as error:
            raise UsageError(
                f"the CA certificates {named} cannot be read: {error.strerror}",
                "name a file of PEM certificates",
            ) from error
        return {"http.sslCAInfo": str(bundle)}

    def _login(self) -> dict[str, str]:
        """The header that carries the address's own login, or the secret that is for its host.

        A server that wants it is not followed to another place.
        """
        address = self._address
        if address.scheme not in ("http", "https"):
            return {}
        parts = urlsplit(address.remote)
        scope, header = "", ""
        if address.login:
            name, _, password = address.login.partition(":")
            self._hide(address.login, password or name)
            scope, header = f"{parts.scheme}://{parts.netloc}/", self._basic(f"{name}:{password}")
        else:
            header = self._secret(address.host)
            scope = next((g for g in _GITHUB if address.remote.startswith(g)), address.remote)
        if not header:
            return {}
        if any(character in header for character in "\r\n\0"):
            raise BuildError("the secret for git has more than one line", "give the token alone")
        return {
            f"http.{scope}.extraHeader": f"Authorization: {header}",
            "http.followRedirects": "false",
        }

    def _secret(self, host: str) -> str:
        for place in (f".{host}", ""):
            for kind in ("HEADER", "TOKEN"):
                value = self._request.secret(f"GIT_AUTH_{kind}{place}")
                if value is None:
                    continue
                text = value.decode("utf-8", "surrogateescape")
                self._hide(text, text.strip(), *text.split())
                text = text.strip("\r\n")
                return text if kind == "HEADER" else self._basic(f"x-access-token:{text}")
        return ""

    def _basic(self, login: str) -> str:
        coded = base64.b64encode(login.encode("utf-8", "surrogateescape")).decode()
        self._hide(coded)
        return f"basic {coded}"

    def _hide(self, *texts: str) -> None:
        self._hidden += [text for text in texts if len(text) > 2 and text.lower() != "basic"]

    def _said(self, err: bytes) -> str:
        """The last of what git said, without what is hidden."""
        text = err.decode("utf-8", "replace")
        for hidden in sorted(self._hidden, key=len, reverse=True):
            text = text.replace(hidden, "***")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        telling = [line for line in lines if not line.startswith(_IDLE)]
        return "; ".join(telling[-3:])[:600] or "it said nothing"


@functools.cache
def _can_be_tied() -> bool:
    """Whether git and what it starts can be made to end with oakum, however that ends."""
    try:
        return subprocess.run(tied(["true"]), capture_output=True).returncode == 0
    except OSError:
        return False


def _ssh_command() -> str:
    """ssh without the user's configuration; only hosts whose keys are known."""
    known = Path("~/.ssh/known_hosts").expanduser()
    file = known if known.exists() and '"' not in str(known) else os.devnull
    options = ["BatchMode=yes", "ConnectTimeout=30", "StrictHostKeyChecking=yes"]
    options.append(f'UserKnownHostsFile="{file}"')
    return f"ssh -F {os.devnull} " + " ".join(f"-o {shlex.quote(one)}" for one in options)


def _advice(err: bytes, address: GitAddress) -> str:
    text = err.decode("utf-8", "replace").lower()
    if address.scheme == "ssh":
        if "host key" in text:
            return f"put the key of {address.host} into ~/.ssh/known_hosts (ssh-keyscan prints it)"
        if "permission denied" in text:
            return "load the key into ssh-agent (ssh-add), and run oakum with its SSH_AUTH_SOCK"
        return "check that the host can be reached by ssh"
    if any(words in text for words in ("could not read username", "authentication", "403", "401")):
        return "pass --secret id=GIT_AUTH_TOKEN,env=NAME, or …,src=FILE, with a token for it"
    if "redirect" in text or "returned error: 30" in text:
        return "use the address that it has now; a token is not sent to another place"
    return "check the address, the ref and the network"


def check_agent(address: GitAddress) -> None:
    """`BuildError` for an ssh address where no key can be had."""
    if address.scheme != "ssh":
        return
    if shutil.which("ssh") is None:
        raise BuildError(
            f"{address.remote} is fetched by ssh, which is not there", "install openssh-client"
        )
    if not os.environ.get("SSH_AUTH_SOCK"):
        raise BuildError(
            f"{address.remote} is fetched by ssh, and there is no ssh agent",
            "start ssh-agent, load the key with ssh-add and run oakum in that shell, or use https",
        )


def lines_of(text: str) -> Sequence[tuple[str, str]]:
    """The lines of ``ls-remote``: object and name."""
    pairs = [line.partition("\t") for line in text.splitlines()]
    return [(one, name) for one, tab, name in pairs if tab]
