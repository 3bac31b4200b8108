"""A provider plugin for the resource types of `pulumi-postgresql`, over psycopg: `python -m providers.postgresql`.

It serves what the stock plugin serves for the types in `registry`, with the same tokens, inputs, defaults, ids and
replacements, so that a stack moves between the two. Any other type, function or property is refused by name.

Layers, bottom to top: `errors`, `config`, `client` (connections), `acl`, one module per type, `registry`. The rest is
what plugins share, in `providers.plugin`.
"""
