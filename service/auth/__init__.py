"""Who calls, and what they may do: tokens, roles, permissions, rate limits. It never decides what an operation does."""
