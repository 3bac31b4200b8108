"""A simulator of n8n 2.41.1: its public API, its owner's set-up, and the webhooks of what was published.

It is held to recordings of a real server (tests/n8n/test_recordings.py): what it accepts, refuses and answers is
theirs, publishing included, which takes effect some time after it was confirmed. It runs webhook, set and respond
nodes; one that would reach another server is said to have failed, as n8n says it. It never leaves this machine.
"""
