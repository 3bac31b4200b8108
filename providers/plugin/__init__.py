"""What provider plugins written here share: an ordinary gRPC ResourceProvider for a package of declared types.

A package says which types there are, how its configuration reads, and what its client is; the rest is here, and is the
same for each: values on the wire, checks, defaults, names, differences, what is secret, refusals by name.

Layers, bottom to top: `stubs`, `wire` (protocol values), `errors`, `properties` (pure: check, diff), `settings`
(the package's own), `resource` (what a type is), `package` (what a package is), `operations`, `server` (gRPC).
"""
