"""The policy of `seccomp` as a program for the kernel, made by the machine's libseccomp.

runc and crun compile the policy themselves; bubblewrap wants it compiled.  libseccomp knows the
numbers of system calls on each architecture; Debian's and Ubuntu's apt need it, so it is there.
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Mapping
from typing import Any

from oakum.builder.sandbox.seccomp import oci_policy
from oakum.errors import SandboxError

LIBRARY = "libseccomp.so.2"
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_UNKNOWN = -1
"""__NR_SCMP_ERROR of seccomp.h: no architecture has a call of that name."""
_OPERATORS = {"SCMP_CMP_NE": 1, "SCMP_CMP_EQ": 4, "SCMP_CMP_MASKED_EQ": 7}


class _Comparison(ctypes.Structure):
    """``struct scmp_arg_cmp``."""

    _fields_ = [
        ("index", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    ]


def open_filter() -> int:
    """A file descriptor that the filter can be read from, for ``bwrap --seccomp``."""
    handle = os.memfd_create("seccomp")
    os.write(handle, compiled())
    os.lseek(handle, 0, os.SEEK_SET)
    return handle


@functools.cache
def compiled() -> bytes:
    """The policy as a BPF program (seccomp_export_bpf(3)); SandboxError without libseccomp."""
    library = _load()
    policy = oci_policy()
    context = library.seccomp_init(ctypes.c_uint32(_ERRNO | int(str(policy["defaultErrnoRet"]))))
    if not context:
        raise SandboxError("libseccomp makes no filter", "run steps with runc or crun")
    filter_ = ctypes.c_void_p(context)
    try:
        _fill(library, filter_, policy)
        return _export(library, filter_)
    finally:
        library.seccomp_release(filter_)


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(LIBRARY, use_errno=True)
    except OSError as error:
        raise SandboxError(
            f"bubblewrap needs {LIBRARY} to keep a step from harmful system calls",
            "install libseccomp2 (Debian, Ubuntu) or libseccomp, or runc",
        ) from error
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_arch_resolve_name.restype = ctypes.c_uint32
    return library


def _fill(library: ctypes.CDLL, filter_: ctypes.c_void_p, policy: Mapping[str, Any]) -> None:
    for name in policy.get("architectures", []):
        short = name.removeprefix("SCMP_ARCH_").lower().encode()
        library.seccomp_arch_add(filter_, library.seccomp_arch_resolve_name(short))
    for rule in policy["syscalls"]:
        action = _ALLOW if rule["action"] == "SCMP_ACT_ALLOW" else _ERRNO | rule["errnoRet"]
        comparisons = [_comparison(one) for one in rule.get("args", [])]
        array = (_Comparison * len(comparisons))(*comparisons)
        for name in rule["names"]:
            number = library.seccomp_syscall_resolve_name(name.encode())
            if number != _UNKNOWN:
                library.seccomp_rule_add_array(
                    filter_, ctypes.c_uint32(action), number, len(comparisons), array
                )


def _comparison(rule: Mapping[str, Any]) -> _Comparison:
    operator = _OPERATORS[rule["op"]]
    return _Comparison(rule["index"], operator, rule["value"], rule.get("valueTwo", 0))


def _export(library: ctypes.CDLL, filter_: ctypes.c_void_p) -> bytes:
    handle = os.memfd_create("seccomp")
    try:
        if library.seccomp_export_bpf(filter_, handle) != 0:
            raise SandboxError("libseccomp exports no filter", "run steps with runc or crun")
        return os.pread(handle, os.fstat(handle).st_size, 0)
    finally:
        os.close(handle)
