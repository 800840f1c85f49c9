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
    workers: int = Field(default=1, ge=1, le=256)
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

    @field_validator("tokens", mode="before")
    @classmethod
    def _split_tokens(cls, value: object) -> object:
        """Tokens in the environment are set apart by white space or commas."""
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
