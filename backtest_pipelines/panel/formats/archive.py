"""Bytes of a text file that lies plain or as the only member of a zip archive.

Here belongs what concerns the container; the text inside is not looked at.
"""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from backtest_pipelines.errors import BadDataError

HEAD_BYTES: Final = 65_536
MAX_BYTES: Final = 256 * 1024 * 1024
_ZIP_MAGICS: Final = (b"PK\x03\x04", b"PK\x05\x06")
_LOCAL_HEADER: Final = struct.Struct("<26xHH")
"""Lengths of name and extra field, which lie between this header and the member's bytes."""


@dataclass(frozen=True, slots=True)
class Content:
    """Text of a file as bytes.

    Attributes
    ----------
    names : tuple[str, ...]
        Name of the file, and of the member where it is a zip archive.
    data : bytes
        The text, or its first ``HEAD_BYTES``.
    """

    names: tuple[str, ...]
    data: bytes


def read_content(path: Path, *, head_only: bool = False) -> Content:
    """Read a plain or zipped text file; what it is, is told by its first bytes.

    Parameters
    ----------
    path : Path
        The file.
    head_only : bool
        Read no more than ``HEAD_BYTES`` of the text. A zip's checksum is then not verified.

    Returns
    -------
    Content
        Never empty.

    Raises
    ------
    BadDataError
        The file cannot be read or is empty, larger than ``MAX_BYTES``, or a zip archive that is truncated,
        damaged, encrypted or without exactly one member.
    """
    name = path.name
    size = HEAD_BYTES if head_only else MAX_BYTES + 1
    try:
        with path.open("rb") as file:
            magic = file.read(4)
            file.seek(0)
            if magic in _ZIP_MAGICS:
                member, data = _read_member(name, file, size)
                names: tuple[str, ...] = (name, member)
            elif magic and path.suffix.lower() == ".zip":
                raise BadDataError(name, "is not a zip archive, whatever its name says; download it again")
            else:
                names, data = (name,), file.read(size)
    except OSError as error:
        raise BadDataError(name, f"cannot be read: {error.strerror or error}") from error
    if not data:
        raise BadDataError(name, "is empty")
    if len(data) > MAX_BYTES:
        raise BadDataError(name, f"holds more than {MAX_BYTES} bytes of text; no daily file is that large")
    return Content(names, data)


def _read_member(name: str, file: IO[bytes], size: int) -> tuple[str, bytes]:
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if len(members) != 1:
                found = ", ".join(member.filename for member in members) or "none"
                raise BadDataError(name, f"must hold exactly one file, holds {len(members)}: {found}")
            (member,) = members
            if member.file_size > MAX_BYTES:
                raise BadDataError(name, f"holds {member.file_size} bytes of text, more than {MAX_BYTES}")
            if size > member.file_size and member.compress_type == zipfile.ZIP_DEFLATED and not member.flag_bits & 1:
                return member.filename, _inflate(file, member)
            with archive.open(member) as stream:
                return member.filename, stream.read(size)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        reason = f"is a truncated or damaged zip archive ({error}); download it again"
        raise BadDataError(name, reason) from error
    except (RuntimeError, NotImplementedError) as error:
        raise BadDataError(name, f"is a zip archive that cannot be unpacked: {error}") from error


def _inflate(file: IO[bytes], member: zipfile.ZipInfo) -> bytes:
    """Inflate a member into one buffer of its size; ``zipfile`` joins a growing chain and takes half as long again."""
    file.seek(member.header_offset)
    header = file.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size or not header.startswith(_ZIP_MAGICS[0]):
        raise zipfile.BadZipFile("no local header")
    name_length, extra_length = _LOCAL_HEADER.unpack(header)
    file.seek(name_length + extra_length, os.SEEK_CUR)
    data = zlib.decompress(file.read(member.compress_size), -zlib.MAX_WBITS, max(member.file_size, 1))
    if len(data) != member.file_size or zlib.crc32(data) != member.CRC:
        raise zipfile.BadZipFile("Bad CRC-32 or size")
    return data
