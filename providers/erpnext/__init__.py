"""What a tenant has in ERPNext: a company that can sell, made of documents, and a look at the engine before it.

`api` is how the site is talked to and `errors` what its refusals mean; `health` is whether it can be worked with.
`wanted` says what a document should be, `merging` how it differs from what is there (both pure), `own_company` whether
it is in the tenant's company still, `lifecycle` brings it up, `removal` takes it away, and `document` is the dynamic
provider of it all. The typed resources are small ones on top:
`company`, `charts`, `stock`, `selling`, `session`, `settings`. What is said of ERPNext's behaviour is a reading of its
sources (facts/erpnext.md), not seen on a running site.
"""
