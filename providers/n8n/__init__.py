"""What a department has in n8n: a tag that marks all that is its, credentials, and workflows that run.

`naming` says how each is called and found again, `definition` what a workflow is made of and when it has drifted (both
pure), `api` how the server is talked to. `tag`, `credential` and `workflow` are the dynamic providers.
"""
