"""A region's backend for sites: which bench makes them, how it is reached, and where their backups go.

    site:
      driver: bench
      folder: /home/frappe/frappe-bench
      # or docker: {container: erpnext-backend}
      ssh: {host: frappe@bench.eu.example, identityFile: /etc/tenantry/bench_key}
      dbRootPasswordFrom: TENANTRY_BACKEND_EU_BENCH
      backups: {target: s3, bucket: eu-sites, accessKeyFrom: TENANTRY_BACKEND_EU_S3_KEY, secretKeyFrom: ...}

Without `ssh` and `docker` the bench is on the machine that Tenantry's worker runs on, in the account that it runs in.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from providers.backend_model import BackendModel, SecretName, Url

# Each becomes an argument of its own, which must not look like an option.
_Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9_/][^\s\x00-\x1f]{0,300}$")]
_Program = Annotated[str, Field(pattern=r"^[A-Za-z0-9_./][^\x00-\x1f]{0,300}$")]
_Folder = Annotated[str, Field(pattern=r"^/[^\x00-\x1f]{0,300}$")]
_Domain = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,60}[a-z0-9])?$")]
_Limit = Annotated[float, Field(gt=0, le=86_400)]


class SiteSeconds(BackendModel):
    """How long each command may take, in seconds. `look`: whatever only looks, or moves a note."""

    look: _Limit = 60.0
    create: _Limit = 900.0
    install: _Limit = 1800.0
    backup: _Limit = 3600.0
    restore: _Limit = 3600.0
    drop: _Limit = 900.0


class SshPlace(BackendModel):
    """A host that has to be known already (known_hosts); nothing asks for a password."""

    host: _Word
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    identity_file: _Folder | None = None
    known_hosts_file: _Folder | None = None

    def arguments(self) -> tuple[str, ...]:
        """What `ssh` is told, its host last."""
        port = ("-p", str(self.port)) if self.port else ()
        key = ("-i", self.identity_file, "-oIdentitiesOnly=yes") if self.identity_file else ()
        known = (f"-oUserKnownHostsFile={self.known_hosts_file}",) if self.known_hosts_file else ()
        return (*port, *key, *known, self.host)


class DockerPlace(BackendModel):
    """A running container; `host` is its engine's address, as DOCKER_HOST has it."""

    container: _Word
    host: _Word | None = None
    user: _Word | None = None

    def arguments(self) -> tuple[str, ...]:
        """What `docker` is told, the container last."""
        engine = ("-H", self.host) if self.host else ()
        user = ("-u", self.user) if self.user else ()
        return (*engine, "exec", "-i", *user, self.container)


class FileBackups(BackendModel):
    """Backups in a folder of the machine that Tenantry's worker runs on, such as a mounted one."""

    target: Literal["file"]
    folder: _Folder


class S3Backups(BackendModel):
    """Backups in a bucket. `endpoint` is another server's than Amazon's. `prefix` is put before their keys.

    Without keys they are found as the AWS tools find them, such as the machine's role. `encryption` is the server's.
    """

    target: Literal["s3"]
    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    prefix: Annotated[str, Field(pattern=r"^([A-Za-z0-9._-]+/)*$")] = ""
    endpoint: Url | None = None
    region: str | None = None
    access_key_from: SecretName | None = None
    secret_key_from: SecretName | None = None
    encryption: Literal["AES256", "aws:kms"] | None = None
    ca_file: _Folder | None = None

    @model_validator(mode="after")
    def _keys(self) -> Self:
        if (self.access_key_from is None) != (self.secret_key_from is None):
            raise ValueError("accessKeyFrom and secretKeyFrom go together")
        return self


Backups = Annotated[FileBackups | S3Backups, Field(discriminator="target")]


class BenchBackend(BackendModel):
    """A bench, by its own commands. `command` is bench, `python` a Python 3.8 or later, where the bench is.

    Each tenant has a site under `domain`, where it asks for no other name. `db_root_user` and the password are those
    that bench makes databases with; without a password, bench's own configuration has to have one.
    """

    driver: Literal["bench"]
    folder: _Folder
    command: _Program = "bench"
    python: _Program = "python3"
    ssh: SshPlace | None = None
    docker: DockerPlace | None = None
    db_root_user: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,79}$")] = "root"
    db_root_password_from: SecretName | None = None
    seconds: SiteSeconds = SiteSeconds()
    domain: _Domain | None = None
    backups: Backups | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.ssh and self.docker:
            raise ValueError("a bench is reached by ssh or by docker, not by both")
        return self


class SimulatedBackend(BackendModel):
    """Sites that are folders and nothing else, for demos and tests. `seconds_each` is how long a command takes."""

    driver: Literal["simulated"]
    folder: _Folder
    seconds_each: Annotated[float, Field(ge=0, le=60)] = 0.0
    domain: _Domain | None = None
    backups: Backups | None = None


SiteBackend = Annotated[BenchBackend | SimulatedBackend, Field(discriminator="driver")]
