"""What provider plugins written here share: an ordinary gRPC ResourceProvider for one package.

Most packages declare their types one by one: such a package says which there are, how its configuration reads, and
what its client is; the rest is here, and is the same for each: checks, defaults, names, differences, what is secret,
refusals by name. A package of free documents (kubernetes) is a `service` of its own.

Layers, bottom to top: `stubs`, `wire` (protocol values), `errors`, `properties` (pure: check, diff), `settings`
(the package's own), `engine_log`, `service` (what the gRPC layer asks of a package); `resource` (what a type is),
`package`, `operations` and `declared` for declared types; `server` (gRPC).
"""
