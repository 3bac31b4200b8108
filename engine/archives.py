"""What is in assets and archives: the bytes that their hashes are made of. It reads, and writes nothing.

An archive that is a file is hashed as that file; any other as the tar stream that the stock engine makes of it, byte
for byte (Go's archive/tar: USTAR headers, PAX where a name needs it, mode 0600, no owner, no time, sorted names).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from engine.resource import ARCHIVE_SIG, ASSET_SIG, SIG_KEY

FETCH_SECONDS: Final = 60.0
_BLOCK: Final = 512
_NAME_SIZE: Final = 100
_PREFIX_SIZE: Final = 155
_ENDINGS: Final = {".tar": "tar", ".tgz": "tgz", ".tar.gz": "tgz", ".zip": "zip", ".jar": "zip"}
# Pulumi's own folder is never part of an archive.
_BOOKKEEPING: Final = ".pulumi"


class ContentError(Exception):
    """Contents that cannot be read; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive: its name, with slashes, and its bytes."""

    name: str
    data: bytes


def asset_hash(asset: Mapping[str, Any], folder: Path) -> str:
    """The SHA-256 of an asset's contents, in hex. Raises ContentError."""
    return hashlib.sha256(_asset_bytes(asset, folder)).hexdigest()


def archive_hash(archive: Mapping[str, Any], folder: Path) -> str:
    """The SHA-256 of an archive's file, or of the tar stream of its members, in hex. Raises ContentError."""
    path, uri = archive.get("path"), archive.get("uri")
    if path and _format_of(path):
        return hashlib.sha256(_file_bytes(folder / path, "archive")).hexdigest()
    if uri:
        return hashlib.sha256(_fetch(uri)).hexdigest()
    digest = hashlib.sha256()
    seen: set[str] = set()
    for member in members_of(archive, folder):
        # One file may be in an archive twice, as itself and in a folder: the first one counts.
        if member.name not in seen:
            seen.add(member.name)
            digest.update(tar_entry(member))
    digest.update(bytes(2 * _BLOCK))
    return digest.hexdigest()


def members_of(archive: Mapping[str, Any], folder: Path) -> Iterator[Member]:
    """The files of an archive in the order of its tar stream. Raises ContentError."""
    if archive.get("path"):
        yield from _of_path(folder / archive["path"])
    elif archive.get("uri"):
        yield from _of_file(_fetch(archive["uri"]), _format_of(urlsplit(archive["uri"]).path), archive["uri"])
    else:
        assets = archive.get("assets") or {}
        for name in sorted(assets):
            yield from _of_asset(name, assets[name], folder)


def _of_asset(name: str, value: Any, folder: Path) -> Iterator[Member]:
    signature = value.get(SIG_KEY) if isinstance(value, Mapping) else None
    if signature == ASSET_SIG:
        yield Member(name, _asset_bytes(value, folder))
    elif signature == ARCHIVE_SIG:
        for member in members_of(value, folder):
            yield Member(f"{name}/{member.name}", member.data)
    else:
        raise ContentError(f"archive member '{name}' is not an asset or archive")


def _of_path(path: Path) -> Iterator[Member]:
    kind = _format_of(path.name)
    if kind:
        yield from _of_file(_file_bytes(path, "archive"), kind, str(path))
        return
    if not path.exists():
        raise ContentError(f"couldn't read archive path '{path}': there is no such file or folder")
    if not path.is_dir():
        raise ContentError(f"'{path}' is neither a recognized archive type nor a directory")
    for found in _walk(path):
        yield Member(found.relative_to(path).as_posix(), _file_bytes(found, "asset"))


def _walk(folder: Path) -> Iterator[Path]:
    """Files below a folder in the order of Go's filepath.Walk: by name, a folder where its name stands."""
    for entry in sorted(os.scandir(folder), key=lambda e: e.name.encode("utf-8", "surrogateescape")):
        if entry.name == _BOOKKEEPING:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))
        elif not entry.is_dir():
            yield Path(entry.path)


def _of_file(data: bytes, kind: str, source: str) -> Iterator[Member]:
    try:
        if kind == "zip":
            with zipfile.ZipFile(io.BytesIO(data)) as opened:
                for info in opened.infolist():
                    if not info.is_dir():
                        yield Member(str(PurePosixPath(info.filename)), opened.read(info))
            return
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data) if kind == "tgz" else data)) as tar:
            for entry in tar:
                file = tar.extractfile(entry) if entry.isfile() else None
                if file is not None:
                    yield Member(str(PurePosixPath(entry.name)), file.read())
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise ContentError(f"'{source}' is not a {kind} archive that can be read: {error}") from error


def _format_of(path: str) -> str:
    return next((kind for ending, kind in _ENDINGS.items() if path.endswith(ending)), "")


# ------------------------------------------------------------------ bytes


def _asset_bytes(asset: Mapping[str, Any], folder: Path) -> bytes:
    if asset.get("path"):
        return _file_bytes(folder / asset["path"], "asset")
    if asset.get("uri"):
        return _fetch(asset["uri"])
    return str(asset.get("text") or "").encode()


def _file_bytes(path: Path, what: str) -> bytes:
    if path.is_dir():
        raise ContentError(f"{what} path '{path}' is a directory; try using an archive")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ContentError(f"failed to open {what} file '{path}': {error.strerror}") from error


def _fetch(uri: str) -> bytes:
    parts = urlsplit(uri)
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise ContentError(f"file:// host '{parts.netloc}' not supported (only localhost)")
        return _file_bytes(Path(unquote(parts.path)), "asset")
    if parts.scheme not in ("http", "https"):
        raise ContentError(f"Unrecognized or unsupported URI scheme: {parts.scheme}")
    import httpx

    transport = httpx.HTTPTransport(retries=2)
    try:
        with httpx.Client(transport=transport, timeout=FETCH_SECONDS, follow_redirects=True) as client:
            answer = client.get(uri).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # Neither the address in full nor the library's words: a query may hold a token.
        status = getattr(getattr(error, "response", None), "status_code", None)
        why = f"HTTP status {status}" if status else type(error).__name__
        raise ContentError(f"cannot fetch {parts.scheme}://{parts.hostname}{parts.path}: {why}") from None
    return answer.content


# ------------------------------------------------------------------ tar, as Go writes it


def tar_entry(member: Member) -> bytes:
    """Header, contents and padding of one file."""
    size = len(member.data)
    prefix, name, extended = _split_name(member.name)
    header = b""
    if extended:
        record = _pax_record("path", member.name)
        folder, _, file = member.name.rpartition("/")
        # What is too long to be shown is cut: only the record counts.
        label = _ascii("/".join(part for part in (folder, "PaxHeaders.0", file) if part))[:_NAME_SIZE].rstrip("/")
        header = _header(label, "", b"x", 0, len(record)) + _padded(record)
    return header + _header(name, prefix, b"0", 0o600, size) + _padded(member.data)


def _split_name(name: str) -> tuple[str, str, bool]:
    """(prefix, name, whether a PAX record must hold the whole name)."""
    if not name.isascii():
        return "", _ascii(name)[:_NAME_SIZE], True
    if len(name) <= _NAME_SIZE:
        return "", name, False
    at = name[: _PREFIX_SIZE + 1].rfind("/")
    rest = len(name) - at - 1
    if at <= 0 or rest > _NAME_SIZE or rest == 0:
        return "", name[:_NAME_SIZE], True
    return name[:at], name[at + 1 :], False


def _ascii(name: str) -> str:
    return "".join(c for c in name if "\0" < c < "\x80")


def _pax_record(key: str, value: str) -> bytes:
    body = f" {key}={value}\n".encode()
    length = len(body)
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return str(length).encode() + body


def _header(name: str, prefix: str, kind: bytes, mode: int, size: int) -> bytes:
    fields = (
        name.encode().ljust(_NAME_SIZE, b"\0"),
        b"%07o\0" % mode,
        b"0000000\0" * 2,
        b"%011o\0" % size,
        b"00000000000\0",
        b" " * 8,
        kind,
        bytes(100),
        b"ustar\x0000",
        bytes(64),
        # Go leaves the device numbers out of the headers that hold records.
        bytes(16) if kind == b"x" else b"0000000\0" * 2,
        prefix.encode().ljust(_PREFIX_SIZE, b"\0"),
    )
    block = b"".join(fields).ljust(_BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _BLOCK)
