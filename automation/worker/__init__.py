"""The worker: takes jobs from the queue, claims them with a lease, and runs each attempt in a process of its own.

`outcome` decides how an attempt ends a job (pure), `attempt` sees to one of them, `service` is the process that holds
it all. What an operation does is none of the worker's business: `jobs.run` is the process that does it.
"""
