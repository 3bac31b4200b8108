"""`python -m providers.postgresql [ENGINE_ADDRESS]`: prints its port, then serves until it is told to stop."""

from providers.postgresql.server import main

if __name__ == "__main__":
    raise SystemExit(main())
