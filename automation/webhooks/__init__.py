"""Webhooks: telling other systems what happened, signed, until they have heard, and never to internal addresses."""
