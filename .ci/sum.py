"""Sum up suites: reads their JUnit files and prints one closing line as pytest would.

    python .ci/sum.py build/junit/check.xml build/junit/test-clients.xml

A suite without a readable file did not end: it counts as one error. Ends with 1 when anything
failed or nothing passed.
"""

import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

WIDTH = 80
WORDS = ("failed", "passed", "skipped", "xfailed", "error")
OUTCOMES = {"failure": "failed", "error": "error", "skipped": "skipped"}


def count_outcomes(path: Path) -> tuple[Counter[str], float]:
    """How often each outcome came, and the seconds that the suite took."""
    try:
        root = ET.parse(path).getroot()
    except (OSError, ET.ParseError):
        print(f"{path.stem}: no results were written")
        return Counter(error=1), 0.0
    counts: Counter[str] = Counter()
    for case in root.iter("testcase"):
        found = {OUTCOMES[part.tag] for part in case if part.tag in OUTCOMES}
        if any(part.get("type") == "pytest.xfail" for part in case):
            found = {"xfailed"}
        counts.update(found or {"passed"})
    return counts, sum(float(suite.get("time", 0)) for suite in root.iter("testsuite"))


def closing_line(counts: Counter[str], seconds: float) -> str:
    """The line that pytest prints last, over all suites."""
    words = [f"{counts[word]} {word}" for word in WORDS if counts[word]]
    if counts["error"] > 1:
        words[-1] += "s"
    minutes, rest = divmod(int(seconds), 60)
    took = f"{seconds:.2f}s ({minutes // 60}:{minutes % 60:02}:{rest:02})"
    return f" {', '.join(words) or 'no tests ran'} in {took} ".center(WIDTH, "=")


def main(paths: list[str]) -> int:
    """Print the line for the suites at `paths`; 0 when all is well."""
    total: Counter[str] = Counter()
    seconds = 0.0
    for path in paths:
        counts, took = count_outcomes(Path(path))
        print(
            f"{Path(path).stem}: {', '.join(f'{n} {word}' for word, n in sorted(counts.items()))}"
        )
        total += counts
        seconds += took
    print(closing_line(total, seconds))
    return 1 if total["failed"] or total["error"] or not total["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
