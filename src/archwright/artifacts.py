"""Large things (weights, checkpoints) stored as files named by the hash of their content."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from archwright.errors import LedgerError


class Artifacts:
    """A folder of content-addressed files, safe under concurrent writers and crashes.

    A file appears whole or not at all; reading checks the hash, so a torn or damaged file is never used.

    >>> artifacts = Artifacts(tempfile.mkdtemp())
    >>> digest = artifacts.put(b"weights")
    >>> digest in artifacts, artifacts.get(digest)
    (True, b'weights')

    Args:
        root: The folder; made on first write.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)

    def path(self, digest: str) -> Path:
        """Where the artifact with this hash lies."""
        return self.root / digest[:2] / digest

    def put(self, content: bytes) -> str:
        """Stores the bytes and returns their hash (64 hexadecimal digits).

        Raises:
            LedgerError: Where the disk is full or not writable.
        """
        digest = hashlib.sha256(content).hexdigest()
        target = self.path(digest)
        temporary = None
        try:
            if target.exists() and target.read_bytes() == content:
                os.utime(target)
                return digest
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".new-")
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
            _sync_folder(target.parent)
        except OSError as error:
            if temporary is not None:
                with suppress(OSError):
                    os.unlink(temporary)
            raise LedgerError(
                f"Could not store {len(content):,} bytes in {self.root}: {_cause(error)}. "
                "Free some space or make the folder writable, then resume."
            ) from error
        return digest

    def get(self, digest: str) -> bytes:
        """The bytes of an artifact.

        Raises:
            LedgerError: Where it is missing or its content does not match its hash.
        """
        try:
            content = self.path(digest).read_bytes()
        except OSError as error:
            raise LedgerError(
                f"The artifact {digest[:12]} is not in {self.root} ({error.strerror}). Was the folder moved or cleaned?"
            ) from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise LedgerError(
                f"The artifact {digest[:12]} in {self.root} is damaged: its content does not match its hash. "
                "Delete it; the trial that made it can be run again."
            )
        return content

    def __contains__(self, digest: str) -> bool:
        return self.path(digest).exists()

    def remove(self, digest: str) -> None:
        """Deletes an artifact that is needed no more; one that is gone already is no error."""
        with suppress(OSError):
            self.path(digest).unlink(missing_ok=True)

    def keep_only(self, digests: Iterable[str], *, older: float = 0.0) -> int:
        """Deletes every other artifact and leftovers of interrupted writes; returns the bytes freed.

        Args:
            digests: What is kept.
            older: Files younger than this many seconds are kept too. While evaluations run, give as long as one may take from storing a
                file to telling of it.

        Raises:
            LedgerError: Where a file cannot be deleted.
        """
        kept, freed, now = set(digests), 0, time.time()
        for file in list(self.root.glob("??/*")):
            if file.name in kept:
                continue
            try:
                status = file.stat()
                if now - status.st_mtime >= older:
                    file.unlink()
                    freed += status.st_size
            except FileNotFoundError:
                continue  # another process cleans as well
            except OSError as error:
                raise LedgerError(f"Could not delete {file}: {_cause(error)}. Make the folder writable.") from error
        return freed


def _cause(error: OSError) -> str:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return "the disk is full" if full else (error.strerror or str(error))


def _sync_folder(folder: Path) -> None:
    """Makes a new name in a folder survive a power cut, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
