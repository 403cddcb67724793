"""Airflow's wrapper of the engine can be imported, as in a DAG file. One engine and one image for all tests here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import docker
from tests.docker.built_images import BuiltImages
from tests.docker.docker_engine import Daemon, running_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

sys.path.append(str(Path(__file__).parents[2] / "dags"))


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """The engine as a process."""
    with running_engine(tmp_path_factory.mktemp("engine")) as found:
        yield found


@pytest.fixture(scope="session")
def engine(daemon: Daemon) -> docker.APIClient:
    """The engine's API."""
    return docker.APIClient(base_url=daemon.address)


@pytest.fixture(scope="session")
def images(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> BuiltImages:
    """The images of the working tree."""
    return BuiltImages(daemon.address, tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def image(images: BuiltImages) -> str:
    """The tag of the image of the stages."""
    return images.of_the_stages()
