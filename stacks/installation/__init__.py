"""Tenantry itself on Kubernetes, without Helm: settings become plain documents, and these a Pulumi program or YAML.

`settings` says what may be decided, `objects` which documents that makes (pure, from the modules beside it), `program`
registers them with Pulumi, `rendering` writes them for kubectl. Nothing here talks to a cluster, or knows a secret:
the Secrets are the operator's own and only named.
"""
