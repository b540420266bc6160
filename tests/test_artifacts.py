from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.artifacts import Artifacts
from archwright.errors import LedgerError


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "deep" / "artifacts")


def files(artifacts: Artifacts) -> list[str]:
    return sorted(path.name for path in artifacts.root.rglob("*") if path.is_file())


@settings(deadline=None, max_examples=25)
@given(st.binary(max_size=2000))
def test_what_is_put_is_got_under_its_hash(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    artifacts = Artifacts(tmp_path_factory.getbasetemp() / "law")
    digest = artifacts.put(content)
    assert digest == hashlib.sha256(content).hexdigest() == artifacts.put(content)
    assert digest in artifacts
    assert artifacts.get(digest) == content
    assert artifacts.path(digest).read_bytes() == content


def test_equal_content_is_stored_once(artifacts: Artifacts) -> None:
    first, other = artifacts.put(b"a"), artifacts.put(b"b")
    assert artifacts.put(b"a") == first
    assert files(artifacts) == sorted([first, other])


def test_missing_and_damaged_artifacts_are_errors_and_can_be_stored_again(artifacts: Artifacts) -> None:
    digest = artifacts.put(b"weights")
    for damage in (b"weightz", b"wei", b""):
        artifacts.path(digest).write_bytes(damage)
        with pytest.raises(LedgerError, match=f"{digest[:12]} in .* is damaged"):
            artifacts.get(digest)
    artifacts.path(digest).unlink()
    assert digest not in artifacts
    with pytest.raises(LedgerError, match=f"{digest[:12]} is not in .*No such file"):
        artifacts.get(digest)
    artifacts.put(b"weights")
    artifacts.path(digest).write_bytes(b"torn")
    artifacts.put(b"weights")
    assert artifacts.get(digest) == b"weights"


@pytest.mark.parametrize(("code", "cause"), [(errno.ENOSPC, "the disk is full"), (errno.EIO, "Input/output error")])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failing_disk_leaves_nothing_half_written(
    artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch, code: int, cause: str, step: str
) -> None:
    kept = artifacts.put(b"old")

    def fail(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises(LedgerError, match=f"Could not store 3 bytes in .*: {cause}. Free some space"):
            artifacts.put(b"new")
    assert files(artifacts) == [kept]
    assert artifacts.get(artifacts.put(b"new")) == b"new"


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="Could not store 1 bytes"):
        Artifacts(tmp_path / "file").put(b"x")


def test_cleaning_keeps_what_is_named_and_what_is_new(artifacts: Artifacts) -> None:
    assert artifacts.keep_only([]) == 0  # no folder yet
    keep, old, new = artifacts.put(b"keep"), artifacts.put(b"old!!"), artifacts.put(b"new")
    leftover = artifacts.path(old).parent / ".new-killed"
    leftover.write_bytes(b"123")
    hour_ago = time.time() - 3600
    for path in (artifacts.path(keep), artifacts.path(old), leftover):
        os.utime(path, (hour_ago, hour_ago))
    assert artifacts.keep_only([keep], older=600) == len(b"old!!") + 3
    assert files(artifacts) == sorted([keep, new])
    assert artifacts.keep_only(iter([keep])) == len(b"new")
    assert files(artifacts) == [keep]


def test_storing_again_makes_an_artifact_new(artifacts: Artifacts) -> None:
    digest = artifacts.put(b"shared")
    os.utime(artifacts.path(digest), (0, 0))
    artifacts.put(b"shared")
    assert artifacts.keep_only([], older=600) == 0
    assert digest in artifacts


def test_writers_that_are_killed_leave_whole_files_only(artifacts: Artifacts) -> None:
    code = """
import sys
from archwright.artifacts import Artifacts
artifacts = Artifacts(sys.argv[1])
for number in range(100_000):
    artifacts.put(bytes([number % 50]) * 200_000)
    print(number, flush=True)
"""
    writers = [subprocess.Popen([sys.executable, "-c", code, artifacts.root], stdout=subprocess.PIPE) for _ in range(2)]
    for writer in writers:
        assert writer.stdout is not None
        for _ in range(15):
            writer.stdout.readline()
    for writer in writers:
        writer.kill()
        writer.communicate()
    stored = [name for name in files(artifacts) if not name.startswith(".new-")]
    assert len(stored) >= 15
    for digest in stored:
        assert len(artifacts.get(digest)) == 200_000
