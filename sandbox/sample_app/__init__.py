"""A tenant's application, to show that its parts work together: a page that uses database, credential, route.

It runs wherever Python and psycopg are: `python -m sandbox.sample_app` as a process, or in a container image. It needs
nothing else of Tenantry, and is told everything by variables:

HOST, PORT             where it listens
TENANT                 what it calls itself
DATABASE_URL           its role's own login; it writes a row of `events` for each visit, and counts them
OAUTH_TOKEN_ENDPOINT, OAUTH_CLIENT_ID, OAUTH_CLIENT_SECRET, OAUTH_SCOPE, OAUTH_CA_PEM
                       its credential; it gets a token by client_credentials (scope and trusted certificates if given)
PUBLIC_URL             where its route is

ISP_CUSTOMERS, ISP_FEATURES, ISP_CONNECTIONS
                       it is an ISP's, with so many customers: see `isp`

GET /         the page
GET /health   200 while it serves; says nothing of the other parts, so that a slow database does not restart it
GET /parts    each part as JSON: 200 where all that it was given works, 503 otherwise
"""
