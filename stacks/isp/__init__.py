"""The line of ISP containers (ISP): manifest, settings, sizing, steps, and the component of a resolved manifest."""
