from __future__ import annotations

from tests.odoo.running import engine, here, quick

__all__ = ["engine", "here", "quick"]
