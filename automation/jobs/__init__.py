"""Jobs: who asked for which operation on which tenant, what became of it, and what to tell whoever watches.

Decides when an operation runs and remembers what happened; the row is the truth, the queue only carries its id. It
never decides what an operation does: `operations` does, in a process of its own.
"""
