"""Containers on Railway, through its public GraphQL API: a project for each tenant, with one service in it.

`api` calls it, `queries` are what it is asked, and each other module is one dynamic provider: `project`, `service`,
`variables`, `domain`, `deployment`. An object is known again by its name and its place; a project, which has no place,
by the tenant mark in its description.
"""
