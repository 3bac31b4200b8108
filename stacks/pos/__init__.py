"""The line of points of sale (POS): manifest, settings, steps, and the component of a resolved manifest."""
