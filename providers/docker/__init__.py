"""A provider plugin for the resource types of `pulumi-docker`, over the Docker SDK: `python -m providers.docker`.

It serves what the stock plugin serves for the types in `registry`, with the same tokens, inputs, defaults, ids and
replacements, so that a stack moves between the two. Any other type, function or property is refused by name.

An object that was made here says so in two labels, its mark and a digest of what it was made from: a run that is begun
again after it was killed knows what is there. Labels of ours are never among the `labels` that a program sees.

Layers, bottom to top: `errors`, `config`, `client`, `marks`, `images`; `container_spec`, `container_config` and
`container_facts` (pure: what to ask for, what was seen); one module per type; `registry`. The rest is what plugins
share, in `providers.plugin`.
"""
