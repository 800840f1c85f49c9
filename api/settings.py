"""Settings of the service: environment variables ``BODYSITE_…`` and options of `bodysite serve`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import DirectoryPath, Field, FilePath, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from api.limits import Limits
from api.phi import PhiPolicy

_DEFAULTS = Limits()


class Settings(BaseSettings):
    """What can be set, with the defaults that `bodysite serve` starts with.

    `tokens` are bearer tokens, one of which each request must show; none means no check, which is
    allowed on loopback only. `public_url` is the address that clients know the service by, where
    a proxy stands in front of it. `releases` are indexes of SNOMED CT that `bodysite terminology
    build` made, the default first; the embedded body structures are served beside them. `workers`
    is the number of processes that answer. `max_expansion` is the number of concepts in a value
    set that is expanded without paging. `mappings` is the folder of a site's own tables, which are
    read again when they change; `header_settings` a TOML file that says how headers are read, and
    how they are joined with images.
    `log_format` and `log_level` are of the lines on stderr. `drain_seconds` is how long a service
    that was told to end still takes requests while `/health/ready` says 503, `shutdown_seconds` how
    long those that run then may take. `metrics_access` is who may read `/metrics`: whoever may use
    the service, only programs on this machine, or anyone; `metrics_token` opens it, and only it.
    `token_file` holds more tokens, by name and with scopes (`api.security.tokens`); tokens of the
    OpenID provider `oidc_issuer` are taken when they are for `oidc_audience`.
    `terminology_access` says whether looking up terminology takes a scope. `rate_limit` is how many
    requests a client may send a minute to one process, 0 for any number, with `rate_burst` at once.
    A body may come no slower than `min_bytes_per_second`, and its next part within
    `max_idle_seconds`. `trusted_proxies` are addresses or networks whose X-Forwarded-For is
    believed, `allowed_hosts` names that the service is called by beside that of `public_url`,
    `cors_origins` pages of browsers that may call it. `audit` says what becomes an AuditEvent,
    `audit_days` how long those are kept, 0 for good. `phi_key_file` holds the key of pseudonyms
    instead of the database, so that several databases have the same ones.
    `profiles` are national profiles that resources follow: "mii" is the German medical informatics
    initiative, module imaging.
    `data_dir` is the folder where large uploads wait for the job that annotates them; without it,
    it lies beside the database file, or in the current folder. `job_lease_seconds` is how long a
    process may be silent before its job is taken by another, `job_retention_hours` how long what a
    job made can be fetched, `job_part_bytes` how large a file that a job makes becomes, and
    `max_jobs` how many unfinished jobs one client may have.
    `model` is the file of the model that reads pixels, "none" for none, and without it the one that
    comes with Bodysite. `runtime` is what the network runs on. `model_threads` is how many threads
    the network uses, `model_batch` how many frames of concurrent requests it is shown at once, and
    `model_wait_ms` how long the first of them waits for those that are being decoded.
    """

    model_config = SettingsConfigDict(env_prefix="BODYSITE_", extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    database: str = "sqlite:///bodysite.sqlite"
    phi: PhiPolicy = PhiPolicy.HASH
    tokens: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    public_url: str | None = None
    releases: Annotated[tuple[Path, ...], NoDecode] = ()
    profiles: Annotated[tuple[Literal["mii"], ...], NoDecode] = ()
    workers: int = Field(default=1, ge=1, le=256)
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    drain_seconds: float = Field(default=0, ge=0, le=600)
    shutdown_seconds: float = Field(default=30, ge=0, le=3600)
    metrics_access: Literal["service", "loopback", "anyone"] = "service"
    metrics_token: SecretStr | None = None
    token_file: FilePath | None = None
    oidc_issuer: str | None = None
    oidc_audience: str | None = None
    oidc_leeway: float = Field(default=30, ge=0, le=600)
    terminology_access: Literal["open", "scoped"] = "open"
    rate_limit: int = Field(default=0, ge=0)
    rate_burst: int = Field(default=0, ge=0)
    max_uploads_per_client: int = Field(default=128, ge=1)
    max_idle_seconds: float = Field(default=30, gt=0)
    min_bytes_per_second: int = Field(default=500, ge=1)
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    audit: Literal["all", "writes", "off"] = "writes"
    audit_days: int = Field(default=365, ge=0)
    phi_key_file: FilePath | None = None
    data_dir: Path | None = None
    job_lease_seconds: float = Field(default=60, ge=1, le=3600)
    job_retention_hours: float = Field(default=24, gt=0, le=8760)
    job_part_bytes: int = Field(default=8 << 20, ge=1024)
    max_jobs: int = Field(default=8, ge=1, le=10_000)
    mappings: DirectoryPath | None = None
    header_settings: FilePath | None = None
    model: Literal["none"] | Path | None = None
    runtime: Literal["onnx", "openvino"] = "onnx"
    model_threads: int = Field(default=1, ge=1, le=256)
    model_batch: int = Field(default=16, ge=1, le=1024)
    model_wait_ms: float = Field(default=2.0, ge=0, le=1000)
    max_body_bytes: int = Field(default=_DEFAULTS.max_body_bytes, ge=1)
    max_files: int = Field(default=_DEFAULTS.max_files, ge=1)
    max_unzipped_bytes: int = Field(default=_DEFAULTS.max_unzipped_bytes, ge=1)
    max_zip_ratio: int = Field(default=_DEFAULTS.max_zip_ratio, ge=1)
    max_header_bytes: int = Field(default=_DEFAULTS.max_header_bytes, ge=1024)
    max_seconds_per_file: float = Field(default=_DEFAULTS.max_seconds_per_file, gt=0)
    max_seconds_per_request: float = Field(default=_DEFAULTS.max_seconds_per_request, gt=0)
    max_seconds_per_image: float = Field(default=_DEFAULTS.max_seconds_per_image, gt=0)
    max_decoding_bytes: int = Field(default=_DEFAULTS.max_decoding_bytes, ge=1 << 28)
    page_size: int = Field(default=20, ge=1)
    max_page_size: int = Field(default=1000, ge=1)
    max_expansion: int = Field(default=10_000, ge=1)

    @field_validator(
        "tokens", "trusted_proxies", "allowed_hosts", "cors_origins", "profiles", mode="before"
    )
    @classmethod
    def _split_tokens(cls, value: object) -> object:
        """Split a list of the environment, set apart by white space or commas."""
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @field_validator("releases", mode="before")
    @classmethod
    def _split_releases(cls, value: object) -> object:
        """Paths in the environment are a JSON list, or set apart as in PATH."""
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith("["):
            try:
                return tuple(json.loads(value))
            except ValueError as error:
                raise ValueError("the value begins as a JSON list and is none") from error
        return tuple(part for part in value.split(os.pathsep) if part)

    @property
    def limits(self) -> Limits:
        """The bounds on input."""
        return Limits(
            max_body_bytes=self.max_body_bytes,
            max_files=self.max_files,
            max_unzipped_bytes=self.max_unzipped_bytes,
            max_zip_ratio=self.max_zip_ratio,
            max_header_bytes=self.max_header_bytes,
            max_seconds_per_file=self.max_seconds_per_file,
            max_seconds_per_request=self.max_seconds_per_request,
            max_seconds_per_image=self.max_seconds_per_image,
            max_decoding_bytes=self.max_decoding_bytes,
        )
