"""The program: from a tenant's manifest to its components. It validates and wires, and does nothing else.

May import `components` and `providers`; is imported by `automation`.
"""
