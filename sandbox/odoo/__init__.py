"""A simulator of an Odoo database: the part of its external API that a point of sale is made with.

**It is built from a reading of sources, not from an observed server.** What it holds to be so is in `facts.ROWS`, each
row with how sure it is (docs/odoo-facts.md says where each was read), and each of its rules cites its row as [its-key];
`tests/odoo/test_contract.py` runs the same tests against it and against a real server, where ODOO_URL, ODOO_DB,
ODOO_USER and ODOO_KEY name one, and says row by row what differs. It never leaves this machine, sells nothing and keeps
no books: its entries and orders are there to be in the way of deletes.
"""
