"""`python -m providers.docker [ENGINE_ADDRESS]`: prints its port, then serves until it is told to stop."""

from providers.docker.registry import PACKAGE
from providers.plugin.declared import Declared
from providers.plugin.server import main

if __name__ == "__main__":
    raise SystemExit(main(Declared(PACKAGE)))
