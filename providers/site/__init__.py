"""Frappe/ERPNext sites: operations behind one seam, the Site resource on it, and backups.

`seam` says what a site's operations are. `bench` runs them with bench (here, by SSH or in a container), `simulated`
over a folder. `lifecycle` decides when they are called, and `resource` does so for Pulumi. `backups` takes and restores
what `manifest` describes, in one of the `stores`; `schedule` and `retention` decide what is due, and what is to go.
"""
