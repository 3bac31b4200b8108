"""`python -m providers.kubernetes [ENGINE_ADDRESS]`: prints its port, then serves until it is told to stop."""

from providers.kubernetes.service import Kubernetes
from providers.plugin.server import main

if __name__ == "__main__":
    raise SystemExit(main(Kubernetes()))
