"""Which of the optional objects a point of sale has. Pure.

Decides by, in this order: the steps that the manifest leaves out; its own flags; what template and customSettings say;
the provisioning type. Demo items are never there unasked.
"""

from __future__ import annotations

from collections.abc import Mapping

from stacks.pos.manifest import PosManifest
from stacks.pos.settings import Includes, PosSettings, ProvisioningType

_ALL = {"pos_store": True, "settings": True, "demo_items": False, "session": True}
_NONE = dict.fromkeys(_ALL, False)
PRESETS: Mapping[ProvisioningType, Mapping[str, bool]] = {"FULL_POS": _ALL, "BASIC": _NONE, "CUSTOM": _NONE}
"""A CUSTOM one has what it says, and nothing else that is optional."""
_STEPS = {"settings": "step_5_settings", "demo_items": "step_6_items", "session": "step_9_pos_session"}


def provisioning_type(manifest: PosManifest, settings: PosSettings) -> ProvisioningType:
    """The manifest's, else the template's."""
    return manifest.provisioning_type or settings.provisioning_type


def included(manifest: PosManifest, settings: PosSettings) -> Includes:
    """Each of them true or false."""
    said = settings.includes.model_dump()
    preset = PRESETS[provisioning_type(manifest, settings)]
    own = {"pos_store": manifest.pos_store_enabled, "demo_items": manifest.include_demo_data}
    chosen: dict[str, bool] = {}
    for name, default in preset.items():
        first = next((value for value in (own.get(name), said[name]) if value is not None), default)
        chosen[name] = first and _STEPS.get(name) not in manifest.skip
    return Includes.model_validate({Includes.model_fields[name].alias: value for name, value in chosen.items()})
