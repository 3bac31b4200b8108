"""Backups in an S3 bucket, Amazon's or any other server's that speaks its API, by boto3.

Decides the limits of a call, and how a refusal reads: by its code, never by the request, which holds the key. A stream
is sent in parts as it comes; one that fails leaves no part behind.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from providers.backends import secret
from providers.errors import ProviderError, UnreachableError
from providers.masking import masked
from providers.site.errors import BackupError
from providers.site_backend import S3Backups

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0
ATTEMPTS = 4
_MOST_AT_ONCE = 1000
"""Keys that one request may delete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Store:
    """`client` is boto3's. `secrets` are never shown."""

    bucket: str
    prefix: str
    client: Any = field(repr=False)
    encryption: str | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    def demand(self) -> None:
        with self._told("look for the bucket"):
            self.client.list_objects_v2(Bucket=self.bucket, Prefix=self.prefix, MaxKeys=1)

    def put(self, key: str, stream: BinaryIO) -> None:
        more = {"ServerSideEncryption": self.encryption} if self.encryption else {}
        with self._told(f"write {key}"):
            self.client.upload_fileobj(stream, self.bucket, self.prefix + key, ExtraArgs=more)

    def fetch(self, key: str, path: Path) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with self._told(f"read {key}"), os.fdopen(descriptor, "wb") as handle:
            self.client.download_fileobj(self.bucket, self.prefix + key, handle)

    def keys(self, prefix: str) -> list[str]:
        with self._told(f"list {prefix}"):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self.prefix + prefix
            )
            found = [str(row["Key"]) for page in pages for row in page.get("Contents", ())]
        return sorted(key.removeprefix(self.prefix) for key in found)

    def delete(self, keys: Iterable[str]) -> None:
        left = iter([{"Key": self.prefix + key} for key in keys])
        while some := list(itertools.islice(left, _MOST_AT_ONCE)):
            with self._told(f"delete {len(some)} objects"):
                answer = self.client.delete_objects(Bucket=self.bucket, Delete={"Objects": some, "Quiet": True})
            if refused := answer.get("Errors"):
                first = refused[0]
                raise BackupError(
                    f"{self.name}: {first.get('Key')} is not deleted: {first.get('Code')}. Check what this key of "
                    "access may do there."
                )

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        """What boto3 raises, in our words."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            code, status = _code(error)
            if status == 404:
                raise BackupError(f"{self.name}: cannot {doing}: it is not there ({code}).") from None
            raise BackupError(
                f"{self.name}: cannot {doing}: the server answered {code}. Check the bucket and what this key of "
                "access may do there."
            ) from None
        except (Boto3Error, BotoCoreError) as error:
            reason = " ".join(masked(str(error), self.secrets).split())[:200]
            raise UnreachableError(f"{self.name}: cannot {doing}: {reason}. Check that it can be reached.") from None


def _code(error: Any) -> tuple[str, int]:
    answer = error.response
    return (
        str(answer.get("Error", {}).get("Code", "an error")),
        int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)),
    )


def s3_store(backend: S3Backups) -> S3Store:
    """The store of a region's backend. Raises ConfigurationError where a variable of it is not set."""
    keys = tuple(secret(name) for name in (backend.access_key_from, backend.secret_key_from) if name)
    return S3Store(
        bucket=backend.bucket,
        prefix=backend.prefix,
        client=_client(backend, keys),
        encryption=backend.encryption,
        secrets=keys,
    )


@functools.lru_cache(maxsize=16)
def _client(backend: S3Backups, keys: tuple[str, ...]) -> Any:
    # One per process: boto3 reads its description of the API each time.
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    access = {"aws_access_key_id": keys[0], "aws_secret_access_key": keys[1]} if keys else {}
    # Another server's buckets are mostly no host names.
    style = {"addressing_style": "path"} if backend.endpoint else {}
    try:
        return boto3.session.Session().client(
            "s3",
            endpoint_url=backend.endpoint,
            region_name=backend.region or ("us-east-1" if backend.endpoint else None),
            verify=backend.ca_file,
            config=Config(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
                s3=style,
            ),
            **access,
        )
    except (BotoCoreError, ValueError) as error:
        raise ProviderError(f"s3://{backend.bucket}: {masked(str(error), keys)}. Correct site.backups.") from None
