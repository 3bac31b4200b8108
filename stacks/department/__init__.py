"""The line of departments (DEP): manifest, settings, steps, and the component of a resolved manifest."""
