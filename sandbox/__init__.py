"""Backing servers for one machine: for the demo and the tests, never for production. Imports nothing of ours."""
