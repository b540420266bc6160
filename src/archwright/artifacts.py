"""Large things (weights, checkpoints) stored as files named by the hash of their content."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from archwright.errors import LedgerError


class Artifacts:
    """A folder of content-addressed files, safe under concurrent writers and crashes.

    A file appears whole or not at all; reading checks the hash, so a torn or damaged file is never used.

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
        if target.exists():
            return digest
        temporary = None
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".new-")
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except OSError as error:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)
            cause = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else (error.strerror or str(error))
            raise LedgerError(f"Could not store {len(content):,} bytes in {self.root}: {cause}. Free some space or make the folder writable, then resume.") from error
        return digest

    def get(self, digest: str) -> bytes:
        """The bytes of an artifact.

        Raises:
            LedgerError: Where it is missing or its content does not match its hash.
        """
        try:
            content = self.path(digest).read_bytes()
        except OSError as error:
            raise LedgerError(f"The artifact {digest[:12]} is not in {self.root} ({error.strerror}). Was the folder moved or cleaned?") from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise LedgerError(f"The artifact {digest[:12]} in {self.root} is damaged: its content does not match its hash. Delete it; the trial that made it can be run again.")
        return content

    def __contains__(self, digest: str) -> bool:
        return self.path(digest).exists()

    def keep_only(self, digests: Iterable[str]) -> int:
        """Deletes every other artifact and leftovers of interrupted writes; returns the bytes freed."""
        kept, freed = set(digests), 0
        for file in self.root.glob("??/*"):
            if file.name not in kept:
                freed += file.stat().st_size
                file.unlink(missing_ok=True)
        return freed
