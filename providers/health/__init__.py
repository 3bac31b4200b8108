"""Whether each part of a tenant works, found out as its user would: by the tenant's own role, credential and route."""
