import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import people  # the folder of this file is on the path only now


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A workspace that tests of the module only read."""
    with people.make_shop(tmp_path_factory.mktemp("person")) as made:
        people.add_task(made, people.add_messages(made)[people.ANA])
        people.add_derived(made)
        people.add_online(made)
        people.add_point(made)
        yield made
