"""The line of ERPNext sites (SITE): manifest, settings, steps, and the component of a resolved manifest."""
