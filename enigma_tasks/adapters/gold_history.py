"""The history of the gold repository: all branches and tags, and their rewriting with git's own plumbing.

A rewritten commit has the message, the people and the times of the old one. Only pointers to data files differ, and
what follows from them; a signature, which would be wrong, goes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from enigma_tasks.adapters.gold_pointers import read_pointer
from enigma_tasks.adapters.workspace import BRANCH
from enigma_tasks.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from enigma_tasks.adapters.gold_repository import GoldRepository

DataFile = tuple[str, str]
"""Name and MD5."""
_MOVED = ("refs/heads/", "refs/tags/")
_FETCHED = "refs/history/"
_SUFFIX = ".dvc"
_SIGNED = re.compile(rb"-----BEGIN (PGP|SSH) SIGNATURE-----|-----BEGIN SIGNED MESSAGE-----")
_SIGNATURES = ("gpgsig", "gpgsig-sha256", "mergetag")


@dataclass(frozen=True, slots=True)
class NewData:
    """What stands for a data file."""

    md5: str
    size: int


class GoldHistory:
    """Every commit that a branch or tag of the remote leads to, fetched into a workspace. Not thread-safe.

    Raises, from every method:
        DataError: a commit's pointer is not one (`pointer_unexpected`).
        ServiceError: git failed.
    """

    def __init__(self, repository: GoldRepository) -> None:
        self._repository = repository
        listed = (line.split("\t") for line in repository.git("ls-remote", "origin").splitlines())
        refs = {name: target for target, name in listed if name != "HEAD" and not name.endswith("^{}")}
        self.refs = {name: target for name, target in refs.items() if name.startswith(_MOVED)}
        """Branches and tags of the remote -> commit or tag object."""
        self.others = sorted(refs.keys() - self.refs.keys())
        """References that a client cannot move (`refs/pull/...`), or that no version of gold has."""
        if self.refs:
            specifications = [f"+{name}:{_FETCHED}{name}" for name in self.refs]
            repository.git("fetch", "-q", "--no-tags", "origin", *specifications)
        self._pointers: dict[tuple[str, str], str] = {}

    def commits(self) -> list[str]:
        """All commits, parents before their children."""
        return self._repository.git("rev-list", "--topo-order", "--reverse", f"--glob={_FETCHED}*").split()

    def data_files(self) -> set[DataFile]:
        """Name and MD5 of every data file of every commit."""
        return {(name, md5) for commit in self.commits() for name, md5 in self._data_files_of(commit)}

    def rewrite(self, replaced: Mapping[DataFile, NewData | None]) -> dict[str, str]:
        """Write commits with other data files; nothing is visible before `push`.

        Args:
            replaced: data file -> what stands for it, None where it is left out.

        Returns:
            Commit -> the one that stands for it; without those that stay as they are.
        """
        rewritten: dict[str, str] = {}
        for commit in self.commits():
            changed = [(name, md5) for name, md5 in self._data_files_of(commit) if (name, md5) in replaced]
            new = self._commit(commit, {name: replaced[name, md5] for name, md5 in changed}, rewritten)
            if new != commit:
                rewritten[commit] = new
        return rewritten

    def push(self, rewritten: Mapping[str, str]) -> list[str] | None:
        """Move all branches and tags at once; returns those that moved, None where another process moved one.

        Raises:
            UsageError: the server does not let history be rewritten.
        """
        moves = {name: new for name, old in self.refs.items() if (new := self._target(old, rewritten)) != old}
        if not moves:
            return []
        leases = [f"--force-with-lease={name}:{self.refs[name]}" for name in moves]
        updates = [f"{new}:{name}" for name, new in moves.items()]
        done = self._repository.push_to_origin("--atomic", *leases, *updates)
        if done.returncode == 0:
            return sorted(moves)
        refused = [line for line in done.stdout.splitlines() if line.startswith("!")]
        if any("stale info" in line or "fetch first" in line for line in refused):
            return None
        if refused:
            raise UsageError(
                "the server of the gold repository refuses that history is rewritten (protected branches, "
                "receive.denyNonFastForwards, a hook): allow it for this command"
            )
        raise self._repository.failed("git push", done)

    def _data_files_of(self, commit: str) -> Iterator[DataFile]:
        for entry in filter(None, self._repository.git("ls-tree", "-r", "-z", "--full-tree", commit).split("\0")):
            kind, _, path = entry.partition("\t")
            if not path.endswith(_SUFFIX):
                continue
            name, blob = path.removesuffix(_SUFFIX), kind.split()[2]
            if (name, blob) not in self._pointers:
                self._pointers[name, blob] = read_pointer(name, self._repository.object_bytes("blob", blob))
            yield name, self._pointers[name, blob]

    def _commit(self, commit: str, changed: Mapping[str, NewData | None], rewritten: Mapping[str, str]) -> str:
        headers, _, message = self._repository.object_bytes("commit", commit).partition(b"\n\n")
        lines = headers.decode("latin-1").split("\n")  # any bytes, and back
        parents = {line.partition(" ")[2] for line in lines if line.startswith("parent ")}
        if not changed and not parents & rewritten.keys():
            return commit
        kept, signed = [], False
        for line in lines:
            key, _, value = line.partition(" ")
            signed = key in _SIGNATURES or (signed and not key)
            if key == "tree" and changed:
                kept.append(f"tree {self._tree(commit, changed)}")
            elif key == "parent":
                kept.append(f"parent {rewritten.get(value, value)}")
            elif not signed:
                kept.append(line)
        return self._written("commit", "\n".join(kept).encode("latin-1") + b"\n\n" + message)

    def _tree(self, commit: str, changed: Mapping[str, NewData | None]) -> str:
        git = self._repository.git
        git("read-tree", commit)
        for name, new in changed.items():
            path = f"{name}{_SUFFIX}"
            if new is None:
                git("update-index", "--force-remove", "--", path)
                continue
            file = name.rpartition("/")[2]
            pointer = f"outs:\n- md5: {new.md5}\n  size: {new.size}\n  hash: md5\n  path: {file}\n"
            git("update-index", "--cacheinfo", f"100644,{self._written('blob', pointer.encode())},{path}")
        return git("write-tree").strip()

    def _target(self, target: str, rewritten: Mapping[str, str]) -> str:
        """What a branch or tag leads to now: a commit, or a tag object, which may lead to another."""
        if self._repository.git("cat-file", "-t", target).strip() != "tag":
            return rewritten.get(target, target)
        content = self._repository.object_bytes("tag", target)
        first, _, rest = content.partition(b"\n")
        old = first.removeprefix(b"object ").decode()
        new = self._target(old, rewritten)
        if new == old:
            return target
        signature = _SIGNED.search(rest)
        return self._written(
            "tag", b"object " + new.encode() + b"\n" + rest[: signature.start() if signature else None]
        )

    def _written(self, kind: str, content: bytes) -> str:
        file = self._repository.folder.parent / "object"
        file.write_bytes(content)
        return self._repository.git("hash-object", "-w", "--no-filters", "-t", kind, "--", str(file)).strip()


def head_of(history: GoldHistory, rewritten: Mapping[str, str]) -> str | None:
    """The newest version after a rewriting."""
    old = history.refs.get(f"refs/heads/{BRANCH}")
    return rewritten.get(old, old) if old else None
