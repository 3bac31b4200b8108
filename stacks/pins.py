"""Which template version a tenant was built from, so that a newer template never changes it unasked (CORE-8).

Reads the record in the main database; decides nothing and writes nothing.
"""

from __future__ import annotations

from providers.cabinet_record import recorded_template
from stacks.manifest import CabinetManifest


def pinned_template(manifest: CabinetManifest, mark: str) -> tuple[str, str] | None:
    """(template id, version) of the tenant's record; None for a new tenant, or where the manifest names a version.

    Raises ProviderError when the main database cannot be read.
    """
    if manifest.template_version is not None:
        return None
    return recorded_template(manifest.slug, mark)
