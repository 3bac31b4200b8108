"""What a tenant has in Odoo: a company that can sell, made of records, and a look at the engine before it.

`api` is how the database is talked to and `errors` what its refusals mean; `health` is whether it can be worked with.
`marks` says by which external identifier a record is known as ours, `wanted` what a record should be and how it differs
(both pure), `lifecycle` brings it up and takes it away, and `record` is the dynamic provider of it all. The typed
resources are small ones on top: `company`, `charts`, `stock`, `selling`, `till`, `session`, `settings`. What is said of
Odoo's behaviour is a reading of its sources (docs/odoo-facts.md), not seen on a running server.
"""
