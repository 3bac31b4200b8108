"""The embedded Pulumi engine: one deployment engine in Python, with nothing of Tenantry in it.

Modules import only from those above them in this list: errors, resource, source, secrets, events, snapshot, checkpoint,
diff, callbacks, providers, steps, deletions, step_generator, step_executor, deployment, resource_monitor, cli, command.
"""
