"""Put a model of the hub into a directory of its own, which then needs no hub and no cache."""

from __future__ import annotations

import shutil
from pathlib import Path

from leanbert.bundle.bundle import Bundle
from leanbert.bundle.hub.fetching import Snapshot, fetch
from leanbert.bundle.hub.names import check_repository
from leanbert.bundle.manifest import MANIFEST
from leanbert.errors import InputError
from leanbert.files import whole_directory

__all__ = ["pull"]


def pull(
    name: str,
    directory: str | Path,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    file_name: str | None = None,
    subfolder: str | None = None,
    force: bool = False,
) -> Snapshot:
    """Fetch a model as :func:`fetch` does, and copy it to ``directory``, whole or not at all.

    Args:
        name: ``owner/name``.
        directory: is made.
        revision: see :func:`fetch`.
        token: see :func:`fetch`.
        file_name: see :func:`fetch`.
        subfolder: see :func:`fetch`.
        force: whether a model or an empty directory that is there may be replaced. Nothing else
            is, ever.

    Returns:
        What was copied, with the place in the cache.

    Raises:
        BundleError: see :func:`fetch`; or what came cannot be opened.
        InputError: ``directory`` exists and must stay, or another argument cannot be used.
        OSError: the directory cannot be made.
    """
    check_repository(name)
    output = Path(directory)

    def check() -> None:
        _check_output(output, force=force)

    with whole_directory(output, check) as fresh:
        snapshot = fetch(
            name, revision=revision, token=token, file_name=file_name, subfolder=subfolder
        )
        for file in snapshot.files:
            target = fresh / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(snapshot.path / file, target)
        Bundle.open(fresh, file_name=snapshot.graph)
    return snapshot


def _check_output(output: Path, *, force: bool) -> None:
    """Refuse to overwrite what is at ``output``; with ``force``, a model may be replaced."""
    if not output.exists():
        return
    if not force:
        raise InputError(f"{output}: exists already; pass force=True to replace it")
    model = (output / MANIFEST).is_file() or (
        (output / "config.json").is_file() and (output / "tokenizer.json").is_file()
    )
    if not output.is_dir() or (any(output.iterdir()) and not model):
        raise InputError(f"{output}: is no model, so it is not replaced; choose another directory")
