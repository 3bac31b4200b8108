"""A simulator of an ERPNext site: the part of its HTTP API that a point of sale is made with.

**It is built from a reading of sources, not from an observed site.** What it holds to be so is in `facts.ROWS`, each
row with how sure it is, and each of its rules cites its row as [its-key]; `tests/erpnext/test_contract.py` runs the
same tests against it and against a real site, where ERPNEXT_URL, ERPNEXT_KEY and ERPNEXT_SECRET name one, and says row
by row what differs. It never leaves this machine, sells nothing and keeps no books: its ledgers are there to be in the
way of deletes.
"""
