"""Speed and memory, measured on the machine at hand and written to RESULTS.md. Never part of the tests."""
