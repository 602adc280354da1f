"""A few records in a file that its owner alone can read, changed by one process and seen by the others at once."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

from backtest_pipelines.atomic import write_atomic
from backtest_pipelines.errors import BadDataError, UnavailableError

R = TypeVar("R")


class PrivateFile(Generic[R]):
    """Records by their keys, as JSON.

    Parameters
    ----------
    path : Path
    from_json : callable
        Makes a record of its JSON; raises KeyError, TypeError or ValueError where it is none.
    to_json : callable
    """

    def __init__(
        self, path: Path, from_json: Callable[[Mapping[str, Any]], R], to_json: Callable[[R], Mapping[str, object]]
    ) -> None:
        self._path = path
        self._from_json = from_json
        self._to_json = to_json
        self._seen: tuple[object, Mapping[str, R]] = (None, {})

    def read(self) -> Mapping[str, R] | None:
        """Return the records; None where there is no file. Costs one look at the file where it is the same as before.

        Raises
        ------
        BadDataError
            If the file is damaged.
        UnavailableError
            If it cannot be read.
        """
        try:
            found = os.stat(self._path)  # noqa: PTH116 - asked for each request: half the time of Path.stat
            # A file is replaced, never changed, so that another content is another inode or another time.
            stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
            if self._seen[0] != stamp:
                self._seen = (stamp, self._load())
        except FileNotFoundError:
            return None
        except OSError as error:
            msg = f"{self._path}: cannot be read: {error}"
            raise UnavailableError(msg) from error
        return self._seen[1]

    @contextmanager
    def change(self) -> Iterator[dict[str, R]]:
        """Yield the records to be changed, and write them where the block does not raise. Others wait meanwhile."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            records = dict(self.read() or {})
            yield records
            text = json.dumps({key: self._to_json(record) for key, record in records.items()}, indent=2)
            write_atomic(self._path, lambda file: file.write(text.encode()))

    def _load(self) -> Mapping[str, R]:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            return {key: self._from_json(record) for key, record in content.items()}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # The error itself might quote what the file holds.
            reason = f"not a file that this program wrote ({type(error).__name__}); put it right or remove it"
            raise BadDataError(str(self._path), reason) from None
