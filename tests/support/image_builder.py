"""Builds and runs the image with buildah, in a chroot: no container engine is needed, but root is.

The base image is a Debian that debootstrap makes, so no registry of images is needed.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psutil

from ops.fleet.config import ROOT
from ops.rig import Service, wait_until

USER = 10001
_ROOTS = "/etc/ssl/certs/ca-certificates.crt"
# Debian's first release with Python 3.13.
_DEBIAN = ("--variant=minbase", "--include=python3,python3-venv,ca-certificates", "trixie")
_MIRROR = "http://deb.debian.org/debian"
# As in Debian's own slim images.
_NOT_NEEDED = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale")
_SECONDS = 1_800


def missing() -> str:
    """Return why the image cannot be built here, or an empty text."""
    if os.geteuid() != 0:
        return "building the image in a chroot needs root"
    absent = [name for name in ("buildah", "debootstrap") if shutil.which(name) is None]
    return f"{' and '.join(absent)} not installed" if absent else ""


def _run(*words: str | Path) -> str:
    done = subprocess.run(
        [str(word) for word in words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{words}\n{done.stdout[-3_000:]}\n{done.stderr[-3_000:]}"
    return done.stdout.strip()


class ImageBuilder:
    """The image `gatekeeper`, and containers of it, in a folder that `close` empties."""

    def __init__(self, folder: Path) -> None:
        self._store: list[str | Path] = ["--root", folder / "root", "--runroot", folder / "runroot"]
        self._folder = folder
        self._containers = 0

    def _buildah(self, *words: str | Path) -> str:
        return _run(*self._words(*words))

    def _words(self, *words: str | Path) -> list[str | Path]:
        return ["buildah", *self._store, "--storage-driver", "vfs", *words]

    def build(self) -> None:
        """Build the image from this repository's Containerfile."""
        self._make_base()
        config = self._folder / "pip.conf"
        config.write_text(f"[global]\ncert={_ROOTS}\n")
        # The machine's own certificates: its way to PyPI may be through a proxy that has its own.
        volumes = (f"{config}:/etc/pip.conf:ro", f"{_ROOTS}:{_ROOTS}:ro")
        file = ROOT / "ops" / "deploy" / "Containerfile"
        self._buildah(
            "build", "--isolation", "chroot", "--layers=false",
            "--build-arg", "BASE=localhost/base",
            *(word for volume in volumes for word in ("--volume", volume)),
            "--ignorefile", f"{file}.dockerignore", "--file", file, "--tag", "gatekeeper", ".",
        )  # fmt: skip

    def _make_base(self) -> None:
        base = self._folder / "base"
        _run("debootstrap", *_DEBIAN, base, _MIRROR)
        for name in _NOT_NEEDED:
            shutil.rmtree(base / name)
        container = self._buildah("from", "scratch")
        self._buildah("add", "--quiet", container, base, "/")
        self._buildah("commit", "--quiet", "--rm", container, "base")
        shutil.rmtree(base)

    def mount(self) -> Path:
        """Return the folder of a new container's files."""
        return Path(self._buildah("mount", self._buildah("from", "gatekeeper")))

    def container(
        self, words: tuple[str, ...], environ: Mapping[str, str], volumes: Mapping[Path, str]
    ) -> "Container":
        """Return a container that is not started: the entry point with `words`."""
        self._containers += 1
        name = f"container-{self._containers}"
        self._buildah("from", "--name", name, "gatekeeper")
        mounts = [f"{host}:{inside}" for host, inside in volumes.items()]
        return Container(
            self._words(
                "run", "--isolation", "chroot", "--user", f"{USER}:{USER}",
                *(word for pair in environ.items() for word in ("--env", "=".join(pair))),
                *(word for mount in mounts for word in ("--volume", mount)),
                name, "--", "python", "-m", "ops.fleet.container", *words,
            ),
            log=self._folder / f"{name}.log",
        )  # fmt: skip

    def close(self) -> None:
        self._buildah("umount", "--all")
        self._buildah("rm", "--all")
        shutil.rmtree(self._folder, ignore_errors=True)


class Container(Service):
    """A running container; what it writes to standard output is in `log`."""

    @property
    def first_process(self) -> psutil.Process:
        """The process that a container engine would send SIGTERM to."""

        def found() -> psutil.Process | None:
            children = psutil.Process(self.pid).children(recursive=True)
            # buildah's own process in the container has the same user.
            ours = (each for each in children if each.uids().real == USER)
            own = [each for each in ours if each.name().startswith("python")]
            return min(own, key=lambda each: each.create_time()) if own else None

        return wait_until(found, 120, "the container's first process")

    def drain(self) -> int:
        """Send SIGTERM as a container engine does; return the exit status."""
        self.first_process.terminate()
        return self.wait(120)
