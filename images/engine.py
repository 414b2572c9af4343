"""The Docker engine as the builder needs it: import a root, build without any network, ask an image about itself."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import docker
from docker.errors import APIError, DockerException, ImageNotFound

from images.context import Part, write_context
from images.failures import CannotBuild

_LAST_LINES = 15


class Engine:
    """One engine, reached as DOCKER_HOST says. Raises CannotBuild where none answers."""

    def __init__(self, timeout_s: int = 300) -> None:
        try:
            self._client: Any = docker.from_env(timeout=timeout_s)
            self.version = str(self._client.version()["Version"])
        except DockerException as error:
            raise CannotBuild(
                f"No Docker engine answers ({error}).",
                "Install one (Debian: apt-get install docker.io) and start it (systemctl start docker, or `.ci/engine`"
                " as root); where it listens elsewhere, set DOCKER_HOST.",
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self._client.close()

    def has(self, image: str) -> bool:
        """Whether the image is there, by tag or id."""
        try:
            self._client.api.inspect_image(image)
        except ImageNotFound:
            return False
        return True

    def id(self, image: str) -> str:
        """The digest of an image that is there."""
        return str(self._client.api.inspect_image(image)["Id"])

    def labels(self, image: str) -> dict[str, str]:
        """The labels of an image that is there."""
        return dict(self._client.api.inspect_image(image)["Config"]["Labels"] or {})

    def size(self, image: str) -> int:
        """Bytes of an image with all its layers."""
        return int(self._client.api.inspect_image(image)["Size"])

    def tag(self, image: str, repository: str, tag: str) -> None:
        """Gives the image one more name."""
        self._client.api.tag(image, repository, tag)

    def pull(self, image: str) -> None:
        """Fetches a public image."""
        try:
            self._client.images.pull(image)
        except DockerException as error:
            raise CannotBuild(
                f"BASE_IMAGE={image} is not on this machine and cannot be fetched: {error}",
                "Load it (docker load), or leave BASE_IMAGE out: the base is then made by debootstrap.",
            ) from error

    def import_root(self, tar: Iterator[bytes], repository: str, tag: str) -> None:
        """An image of one layer from a tar of a root file system."""
        self._client.api.import_image_from_stream(tar, repository=repository, tag=tag)

    def ask(self, image: str, program: str) -> str:
        """What a Python program prints in a container of the image that can reach nothing."""
        try:
            printed: bytes = self._client.containers.run(
                image,
                ["-c", program],
                entrypoint=["python3"],
                name=f"datacanal-ask-{uuid.uuid4().hex[:12]}",
                network_mode="none",
                user="65532:65532",
                remove=True,
            )
        except DockerException as error:
            raise CannotBuild(
                f"The base image {image} does not run Python: {error}",
                "A base image needs python3 (3.11 to 3.13) with its venv module, glibc, and useradd.",
            ) from error
        return printed.decode()

    def build(
        self,
        parts: Mapping[str, Part],
        tags: Sequence[str],
        arguments: Mapping[str, str],
        labels: Mapping[str, str],
        scratch: Path,
    ) -> None:
        """Builds the Dockerfile among the parts with no network and names the result; raises CannotBuild."""
        first, *others = tags
        with tempfile.TemporaryFile(dir=scratch) as context:
            write_context(parts, context)
            context.seek(0)
            said = self._client.api.build(
                fileobj=context,
                custom_context=True,
                tag=first,
                buildargs=dict(arguments),
                labels=dict(labels),
                network_mode="none",
                use_config_proxy=False,  # an address of this machine's proxy has no business in an image
                rm=True,
                forcerm=True,
                decode=True,
            )
            self._follow(said, first)
        for other in others:
            self.tag(first, *other.split(":"))

    @staticmethod
    def _follow(said: Any, tag: str) -> None:
        lines: list[str] = []
        try:
            for each in said:
                lines += str(each.get("stream", "")).splitlines()
                if "error" in each:
                    last = "\n".join(f"  {line}" for line in lines[-_LAST_LINES:] if line.strip())
                    raise CannotBuild(f"The build of {tag} failed: {each['error']}\n{last}", "Correct the step named.")
        except APIError as error:
            raise CannotBuild(f"The engine broke off the build of {tag}: {error}", "See the engine's log.") from error
