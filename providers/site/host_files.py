"""A bench's files, as they are seen on its machine or in its container. `host` sends this text there.

Needs nothing but Python 3.8 and its library. Decides where our notes are, and that what holds anybody's files is not
deleted. Of a site's configuration it tells no more than its mark and the name of its database.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import re
import shutil
import sys
import zlib
from pathlib import Path
from typing import Any, BinaryIO

OWN = ".tenantry"
"""Our folder among the sites, which bench takes for none: it has no site_config.json."""
CHUNK = 1024 * 1024
_TAR_END = 1024
"""Bytes, all of them zero, that an archive of tar ends with."""


class Refused(Exception):  # noqa: N818 - as its caller's errors are called otherwise
    """What cannot be done, in words. `busy`: because another command is at work."""

    def __init__(self, words: str, busy: bool = False) -> None:
        super().__init__(words)
        self.busy = busy


def sites_of(bench: str) -> Path:
    """Raises Refused where it is none."""
    sites = Path(bench) / "sites"
    if not sites.is_dir():
        raise Refused(f"{bench} is no bench: it has no folder sites")
    return sites


def own_folder(bench: str) -> Path:
    folder = sites_of(bench) / OWN
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def config_of(folder: Path) -> dict[str, Any] | None:
    """A site's site_config.json; None where there is none."""
    try:
        found = json.loads((folder / "site_config.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        raise Refused(f"{folder}/site_config.json is no JSON: restore it") from None
    return found if isinstance(found, dict) else {}


def write(path: Path, text: str, mode: int) -> None:
    """Never seen half written."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    descriptor = os.open(str(partial), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    partial.replace(path)


def look(request: dict[str, Any]) -> dict[str, Any]:
    """Nothing of a site's configuration but its mark and the name of its database."""
    folder = sites_of(request["bench"]) / request["site"]
    config = config_of(folder) or {}
    begun = None
    with contextlib.suppress(FileNotFoundError):
        begun = json.loads((own_folder(request["bench"]) / f"{request['site']}.json").read_text(encoding="utf-8"))
    mark, database = config.get(request["key"]), config.get("db_name")
    return {"made": os.path.lexists(str(folder)), "mark": mark or "", "database": database or "", "begun": begun}


def note(request: dict[str, Any]) -> dict[str, Any]:
    """Writes down what is begun, or that it is done."""
    path = own_folder(request["bench"]) / f"{request['site']}.json"
    if request["begun"] is not None:
        write(path, json.dumps(request["begun"]), 0o600)
    else:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
    return {}


def configure(request: dict[str, Any]) -> dict[str, Any]:
    """Sets values in a site's configuration: `values`, and those of `keys` in the configuration that `source` holds."""
    folder = sites_of(request["bench"]) / request["site"]
    config = config_of(folder)
    if config is None:
        raise Refused(f"{folder} has no site_config.json")
    values = dict(request.get("values") or {})
    if request.get("source"):
        kept = json.loads(inside(request["bench"], request["source"]).read_text(encoding="utf-8"))
        values.update({key: kept[key] for key in request["keys"] if kept.get(key)})
    path = folder / "site_config.json"
    mode = path.stat().st_mode & 0o777
    write(path, json.dumps({**config, **values}, indent=1, sort_keys=True), mode)
    return {}


def inside(bench: str, path: str) -> Path:
    """A file below the sites. Raises Refused for any other place."""
    sites = sites_of(bench).resolve()
    found = (sites / path).resolve()
    if sites not in found.parents:
        raise Refused(f"{path} is not below {sites}")
    return found


def digests(request: dict[str, Any]) -> dict[str, Any]:
    """Size and SHA-256 of files, by their path below the sites; `cut` says of which archives the end is missing."""
    rows, cut = [], []
    for path in request["paths"]:
        found = inside(request["bench"], path)
        if not found.is_file():
            raise Refused(f"{path} is not there")
        with found.open("rb") as handle:
            read = _Digested(handle)
            why = _cut_off(read, found.name)
            # What is left of an archive that is not right.
            while read.read(CHUNK):
                pass
        rows.append([read.size, read.digest.hexdigest()])
        cut += [f"{path}: {why}"] if why else []
    return {"rows": rows, "cut": cut}


class _Digested:
    """A file that is digested as it is read. `tail` is its end."""

    def __init__(self, handle: BinaryIO) -> None:
        self._handle, self.digest, self.size, self.tail = handle, hashlib.sha256(), 0, b""

    def read(self, size: int) -> bytes:
        chunk = self._handle.read(size)
        self.digest.update(chunk)
        self.size += len(chunk)
        self.tail = (self.tail + chunk)[-_TAR_END:]
        return chunk


def _cut_off(read: _Digested, name: str) -> str:
    """Why an archive is not whole, empty where it is. Reads as far as it has to.

    Bench pipes a dump into gzip, and older versions end well whatever becomes of either. An encrypted one is no archive
    to us.
    """
    if "-enc." in name:
        return ""
    if name.endswith((".gz", ".tgz")):
        try:
            # Of several parts, as bench writes a part of its own first; never more of it in memory than a chunk.
            with gzip.GzipFile(fileobj=read, mode="rb") as stream:  # type: ignore[call-overload]
                while stream.read(CHUNK):
                    pass
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            return str(error)
        return "" if read.size else "it is empty"
    if name.endswith(".tar"):
        while read.read(CHUNK):
            pass
        return "" if read.tail == bytes(_TAR_END) else "it has no end"
    return ""


def receive(request: dict[str, Any]) -> dict[str, Any]:
    """Takes a file of `size` bytes from standard input, readable for its owner alone."""
    folder = own_folder(request["bench"]) / f"{request['site']}.restore"
    folder.mkdir(mode=0o700, exist_ok=True)
    path, digest, left = folder / request["name"], hashlib.sha256(), int(request["size"])
    with os.fdopen(os.open(str(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as handle:
        while left:
            chunk = sys.stdin.buffer.read(min(left, CHUNK))
            if not chunk:
                raise Refused(f"{request['name']} was cut off")
            handle.write(chunk)
            digest.update(chunk)
            left -= len(chunk)
    if digest.hexdigest() != request["sha256"]:
        path.unlink()
        raise Refused(f"{request['name']} came over with another checksum")
    return {"path": str(path.resolve())}


def send(request: dict[str, Any], out: BinaryIO) -> None:
    """The bytes of a file."""
    with inside(request["bench"], request["path"]).open("rb") as handle:
        shutil.copyfileobj(handle, out, CHUNK)
    out.flush()


def remove(request: dict[str, Any]) -> dict[str, Any]:
    """Deletes files below the sites, and what was received for a restore."""
    for path in request.get("paths") or []:
        with contextlib.suppress(FileNotFoundError):
            inside(request["bench"], path).unlink()
    shutil.rmtree(str(own_folder(request["bench"]) / f"{request['site']}.restore"), ignore_errors=True)
    return {}


def unmake(request: dict[str, Any]) -> dict[str, Any]:
    """Deletes the folder of a site that bench had hardly begun: without a configuration there is no database either.

    One that holds anybody's files stays.
    """
    folder = sites_of(request["bench"]) / request["site"]
    if not os.path.lexists(str(folder)):
        return {}
    if folder.is_symlink() or config_of(folder) is not None:
        raise Refused(f"{folder} is more than bench leaves of a site that it has hardly begun")
    for place, _, files in os.walk(str(folder)):
        if files and Path(place).name not in ("locks", "logs"):
            raise Refused(f"{folder} holds files that nobody knows, such as {files[0]}: look at them, and remove it")
    shutil.rmtree(str(folder))
    return {}


def unarchive(request: dict[str, Any]) -> dict[str, Any]:
    """Deletes what drop-site has moved to archived/sites, where its configuration says that it is this site."""
    wanted = re.compile(re.escape(request["site"]) + r"\d*")
    archived = Path(request["bench"]) / "archived" / "sites"
    for folder in sorted(archived.iterdir()) if archived.is_dir() else ():
        config = config_of(folder) if wanted.fullmatch(folder.name) and not folder.is_symlink() else None
        if config is None:
            continue
        mark = config.get(request["key"])
        if mark == request["mark"] or (not mark and config.get("db_name") == request["database"]):
            shutil.rmtree(str(folder))
    return {}


FILES = {
    "look": look,
    "note": note,
    "configure": configure,
    "digests": digests,
    "receive": receive,
    "remove": remove,
    "unmake": unmake,
    "unarchive": unarchive,
}
