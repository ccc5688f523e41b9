"""Configuration: flags, then ``LASTGOOD_*``, then a TOML file, then what stands here.

The file is ``lastgood.toml`` in ``$XDG_CONFIG_HOME/lastgood`` (normally ``~/.config/lastgood``), or what ``LASTGOOD_CONFIG``
names. Its keys are the names below.
"""

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator
from pydantic_settings import (
    BaseSettings,
    CliImplicitFlag,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from lastgood_daemon.authority.memory import BUDGET


def _folder(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / default) / "lastgood"


def config_file() -> Path:
    """Give where the TOML file is, or would be.

    Raises:
        FileNotFoundError: one was named that is not there.
    """
    named = os.environ.get("LASTGOOD_CONFIG")
    if not named:
        return _folder("XDG_CONFIG_HOME", ".config") / "lastgood.toml"
    if not Path(named).is_file():
        message = f"LASTGOOD_CONFIG names {named}, which is not a file"
        raise FileNotFoundError(message)
    return Path(named)


class Config(BaseSettings):
    """Runs the daemon in the foreground until SIGTERM. For example `lastgood serve --data-dir ~/agents`."""

    model_config = SettingsConfigDict(
        env_prefix="LASTGOOD_",
        extra="forbid",
        cli_kebab_case=True,
        cli_exit_on_error=False,
        cli_prog_name="lastgood serve",
        cli_hide_none_type=True,
        cli_avoid_json=True,
    )

    data_dir: Annotated[Path, Field(description="the folder that the daemon owns")] = Field(
        default_factory=lambda: _folder("XDG_STATE_HOME", ".local/state")
    )
    address: Annotated[str | None, Field(description="unix:/path or host:port; normally a socket in the data folder")] = None
    token: Annotated[str | None, Field(description="what clients must present; best set by LASTGOOD_TOKEN")] = None
    tls_certificate: Annotated[Path | None, Field(description="PEM file, for an address on the network")] = None
    tls_key: Annotated[Path | None, Field(description="PEM file")] = None
    memory: Annotated[
        int, Field(ge=0, description="bytes of states to keep in memory; others are read again when they are asked for")
    ] = BUDGET
    idle_exit: Annotated[
        float, Field(gt=0, description="seconds without clients after which an autostarted daemon ends")
    ] = 60.0
    housekeeping_interval: Annotated[
        float, Field(gt=0, description="seconds between rounds of housekeeping, which apply the retention policies")
    ] = 600.0
    autostarted: Annotated[CliImplicitFlag[bool], Field(description="set by the client that starts the daemon")] = False

    @model_validator(mode="after")
    def _tls_is_whole(self) -> "Config":
        if (self.tls_certificate is None) != (self.tls_key is None):
            message = "tls-certificate and tls-key go together"
            raise ValueError(message)
        if self.address is not None and not self.address.startswith("unix:"):
            host = self.address.rpartition(":")[0].strip("[]")
            if self.tls_certificate is None and host not in {"localhost", "127.0.0.1", "::1"}:
                message = f"address {self.address} is on the network; give tls-certificate and tls-key, or a loopback one"
                raise ValueError(message)
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Add the TOML file behind the environment."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, config_file())
