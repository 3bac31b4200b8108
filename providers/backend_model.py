"""What the backends of regions are written with: how a secret's variable, a URL and an address look."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from providers.masking import SECRET_PREFIX

SecretName = Annotated[str, Field(pattern=rf"^{SECRET_PREFIX}[A-Z0-9_]{{1,60}}$")]
Url = Annotated[str, Field(pattern=r"^https?://[^\s/@]+[^\s@]*$")]
Address = Annotated[str, Field(pattern=r"^(\[[0-9a-fA-F:]+\]|[^\s:/@]+):[1-9][0-9]{0,4}$")]


class BackendModel(BaseModel):
    """camelCase in files, and nothing that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)
