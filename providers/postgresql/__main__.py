"""`python -m providers.postgresql [ENGINE_ADDRESS]`: prints its port, then serves until it is told to stop."""

from providers.plugin.declared import Declared
from providers.plugin.server import main
from providers.postgresql.registry import PACKAGE

if __name__ == "__main__":
    raise SystemExit(main(Declared(PACKAGE)))
