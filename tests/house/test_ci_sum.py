"""The closing line of continuous integration: a sum of suites, never green by accident."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUITE = '<testsuites><testsuite name="pytest" time="{seconds}">{cases}</testsuite></testsuites>'
PASSED = "<testcase/>"
FAILED = "<testcase><failure/></testcase>"
SKIPPED = '<testcase><skipped type="pytest.skip"/></testcase>'
XFAILED = '<testcase><skipped type="pytest.xfail"/></testcase>'
BROKEN = "<testcase><error/></testcase>"


def sum_up(folder, **suites):
    for name, (seconds, cases) in suites.items():
        text = SUITE.format(seconds=seconds, cases="".join(cases))
        (folder / f"{name}.xml").write_text(text)
    paths = [folder / f"{name}.xml" for name in suites]
    command = [sys.executable, ROOT / ".ci" / "sum.py", *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()[-1].strip("= ")


def test_suites_are_summed_into_one_line(tmp_path):
    first = (60.5, [PASSED] * 3 + [SKIPPED, XFAILED])
    assert sum_up(tmp_path, check=first, clients=(2.25, [PASSED] * 2)) == (
        0, "5 passed, 1 skipped, 1 xfailed in 62.75s (0:01:02)",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("case", "line"),
    [
        (FAILED, "1 failed, 1 passed in 2.00s (0:00:02)"),
        (BROKEN, "1 passed, 1 error in 2.00s (0:00:02)"),
    ],
)
def test_one_bad_test_fails_the_whole(tmp_path, case, line):
    assert sum_up(tmp_path, check=(1, [PASSED]), clients=(1, [case])) == (1, line)


def test_a_suite_that_wrote_nothing_is_an_error(tmp_path):
    (tmp_path / "clients.xml").write_text("<testsuites>")
    command = [
        sys.executable,
        ROOT / ".ci" / "sum.py",
        tmp_path / "clients.xml",
        tmp_path / "no.xml",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert " 2 errors in " in done.stdout


def test_nothing_at_all_is_not_a_success(tmp_path):
    assert sum_up(tmp_path, check=(0, [])) == (1, "no tests ran in 0.00s (0:00:00)")


def test_every_folder_of_tests_is_run_by_a_target(pytestconfig):
    run = {Path(path).name for path in pytestconfig.getini("testpaths")}
    makefile = (ROOT / "Makefile").read_text()
    folders = {path.name for path in (ROOT / "tests").iterdir() if list(path.rglob("test_*.py"))}
    forgotten = {name for name in folders - run if f"tests/{name}" not in makefile}
    assert forgotten == set()
