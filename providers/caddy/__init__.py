"""Routes of a Caddy, one per tenant, through its admin API.

`routes` and `plan` decide, and are pure; `admin` talks to Caddy, `batch` puts changes of one process together, `probe`
asks the gateway itself, and `route` is the dynamic provider. None of them starts, stops or sets up a Caddy: the server,
its address and its TLS policy are the operator's, and are refused by name where they are missing.
"""
