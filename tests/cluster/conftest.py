"""A small cluster of Ray for the tests of this folder; without Ray they are skipped."""

import logging

import pytest


@pytest.fixture(scope="session")
def ray():
    """Ray with two cores, in this process for all tests."""
    package = pytest.importorskip("ray")
    pytest.importorskip("pyarrow")
    package.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False,
                 logging_level=logging.CRITICAL, object_store_memory=100 << 20)
    yield package
    package.shutdown()
