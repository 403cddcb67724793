"""Airflow's wrapper of the engine can be imported, as in a DAG file. One engine and one image for all tests here."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import docker
from infra.images.build import BuildError, Engine
from infra.images.engine import CLIENT, Daemon, running_engine
from tests.docker.built_images import BuiltImages

if TYPE_CHECKING:
    from collections.abc import Iterator

sys.path.append(str(Path(__file__).parents[2] / "dags"))

Running = tuple[Engine, Daemon | None]


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The engine of DOCKER_HOST, this machine's, or one that is started here.

    The latter keeps its images in the folder ENIGMA_TEST_ENGINE, if that is set.
    """
    images = Path(os.environ.get("ENIGMA_TEST_ENGINE") or tmp_path_factory.mktemp("engine"))
    with ExitStack() as stack:
        try:
            found = stack.enter_context(running_engine(CLIENT, images))
        except BuildError as missing:
            pytest.skip(str(missing))
        yield found


@pytest.fixture(scope="session")
def command_line(running: Running) -> Engine:
    """The engine's command line."""
    return running[0]


@pytest.fixture(scope="session")
def daemon(running: Running) -> Daemon:
    """The engine as a process that a test may restart."""
    if running[1] is None:
        pytest.skip("this engine is not the test's to restart: unset DOCKER_HOST, or stop the machine's engine")
    return running[1]


@pytest.fixture(scope="session")
def address(command_line: Engine) -> str:
    """Where the engine answers."""
    return command_line.address or "unix:///var/run/docker.sock"


@pytest.fixture(scope="session")
def engine(address: str) -> docker.APIClient:
    """The engine's API."""
    return docker.APIClient(base_url=address)


@pytest.fixture(scope="session")
def images(command_line: Engine, tmp_path_factory: pytest.TempPathFactory) -> BuiltImages:
    """The images of the working tree."""
    return BuiltImages(command_line, tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def image(images: BuiltImages) -> str:
    """The tag of the image of the stages."""
    return images.of_the_stages()
