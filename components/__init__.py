"""Components: one file per part of a tenant. Each turns plain arguments into resources, and decides their order.

May import `providers`; is imported by `stacks`.
"""
