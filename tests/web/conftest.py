"""Fixtures of the page: a valid cabinet."""

from typing import Any

import pytest


@pytest.fixture
def manifest_data() -> dict[str, Any]:
    """A cabinet's manifest, with every optional key left out."""
    return {
        "kind": "cabinet",
        "name": "Cabinet Acme",
        "slug": "acme",
        "address": {"country": "CH", "street": "1, rue du Lac", "city": "Genève", "postalCode": "1207"},
        "phone": "+41225550142",
        "email": "contact@acme.example",
        "templateId": "default-dental",
    }
