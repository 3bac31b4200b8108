"""CI for tenants: what a pull request changes in `stacks/`, shown before it is merged and applied after.

`changes` and `report` are pure; `git` asks git, `record` remembers which commit was applied, `run` has it done. It
never decides what an operation does, and never posts to anybody: it writes Markdown, and the workflow posts that.
"""
