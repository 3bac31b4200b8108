"""OAuth clients by dynamic registration: RFC 7591 and 7592, with Keycloak's administration where the standards end.

`server`: an authorization server and what it says of itself. `registration`: the two RFCs. `token`: a client's own
requests. `keycloak`: Keycloak's administration. `finding`: how a client is found whose registration was cut off.
`clients`: one tenant's clients, adopted or registered, read, changed, deleted. `rotation`: how a secret is exchanged.
`resource`: the dynamic provider.
"""
