"""What must be there before anything is measured: the peers' environment, the limit, wrk, descriptors."""

from __future__ import annotations

import hashlib
import json
import re
import resource
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent
PEERS = HERE / ".peers"
PYTHON = PEERS / "bin" / "python"
PROGRAMS = HERE / "programs"
LIMIT = HERE / "limit"
STAMP = PEERS / "installed.json"
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)\s*(?P<optional># optional.*)?$")


class NotReadyError(Exception):
    """Something the benchmark cannot do without is missing; the message says what to install."""


def pins() -> tuple[list[str], list[str]]:
    """Read peers.txt: the lines that must install, and those that may fail to build."""
    needed: list[str] = []
    optional: list[str] = []
    for line in (HERE / "peers.txt").read_text().splitlines():
        if match := PIN.match(line.strip()):
            (optional if match["optional"] else needed).append(f"{match['name']}=={match['version']}")
    return needed, optional


def prepare(python: Path) -> dict[str, str]:
    """Make the environment, the limit and room for descriptors; return what did not build: name to reason.

    `python` is the interpreter that every server runs on.

    Raises NotReadyError when wrk or a C compiler is missing or a needed package does not install.
    """
    if not shutil.which("wrk"):
        raise NotReadyError(
            "wrk is not installed: it makes the load (Debian and Ubuntu: apt-get install wrk)"
        )
    if not shutil.which("taskset"):
        raise NotReadyError(
            "taskset is not installed: it pins servers to a core (Debian: apt-get install util-linux)"
        )
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    compile_limit()
    return install(python)


def compile_limit() -> None:
    """Compile limit.c when it is newer than the program."""
    source = HERE / "limit.c"
    if LIMIT.exists() and LIMIT.stat().st_mtime >= source.stat().st_mtime:
        return
    if not (compiler := shutil.which("cc")):
        raise NotReadyError(
            "no C compiler (cc): the limit is written in C (Debian and Ubuntu: apt-get install gcc)"
        )
    subprocess.run([compiler, "-O2", "-Wall", "-Wextra", "-o", str(LIMIT), str(source)], check=True)


def install(python: Path) -> dict[str, str]:
    """Install the peers and this checkout unless all that decides about them is as it was the last time."""
    inputs = (HERE / "peers.txt").read_bytes() + (CHECKOUT / "pyproject.toml").read_bytes()
    key = hashlib.sha256(inputs + f"{python.resolve()} {interpreter(python)}".encode()).hexdigest()
    if STAMP.exists():
        stamp: dict[str, dict[str, str] | str] = json.loads(STAMP.read_text())
        failures = stamp["failures"]
        if stamp["key"] == key and isinstance(failures, dict):
            return failures
    print(f"Installing the peers into {PEERS.relative_to(CHECKOUT)} (once; a minute or two) ...", flush=True)
    try:
        subprocess.run([str(python), "-m", "venv", "--clear", str(PEERS)], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotReadyError(
            f"{python} could not make an environment (Debian: apt-get install python3-venv): {error}"
        ) from None
    needed, optional = pins()
    if reason := pip(*needed):
        raise NotReadyError(f"the peers did not install: {reason}")
    failures = {pin.partition("==")[0]: reason for pin in optional if (reason := pip(pin))}
    # Kirsch's own dependencies stand in peers.txt, so that all figures of a day come from the same versions.
    if reason := pip("--no-deps", "--editable", str(CHECKOUT)):
        failures["kirsch"] = reason
    STAMP.write_text(json.dumps({"key": key, "failures": failures}))
    return failures


ABOUT = """
import platform, sysconfig
fast = "--enable-optimizations" in str(sysconfig.get_config_var("CONFIG_ARGS"))
print(f"{platform.python_implementation()} {platform.python_version()}, {platform.python_compiler()},",
      "built" if fast else "not declared to be built", "with --enable-optimizations")
"""


def interpreter(python: Path = PYTHON) -> str:
    """Name an interpreter and how it was built, which moves every cost of Python code by a good part."""
    done = subprocess.run([str(python), "-c", ABOUT], check=True, capture_output=True, text=True, timeout=30)
    return done.stdout.strip()


def pip(*arguments: str) -> str:
    """Run pip in the peers' environment; return its last error line, or nothing when it succeeded."""
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)
    if done.returncode == 0:
        return ""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\berror\b", line, re.IGNORECASE)]
    return (errors or lines or ["pip failed without a word"])[0][:160]


def versions() -> dict[str, str]:
    """Return name (lower case) to version of what is installed beside Kirsch."""
    command = [str(PYTHON), "-m", "pip", "list", "--format=json", "--disable-pip-version-check"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return {entry["name"].lower(): entry["version"] for entry in json.loads(listed.stdout)}
