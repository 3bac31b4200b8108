"""The parts of the Kubernetes SDK that are used here, in one place: importing it takes a while, so it is done late.

Its configuration and its connections (TLS, proxies, tokens that are renewed, commands that give credentials) are used;
its models are not, since they refuse objects of which only a part is given.
"""

from kubernetes.client import Configuration
from kubernetes.client.rest import RESTClientObject
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config_from_dict
from urllib3 import BaseHTTPResponse, Timeout
from urllib3 import exceptions as http_errors

__all__ = [
    "BaseHTTPResponse",
    "ConfigException",
    "Configuration",
    "RESTClientObject",
    "Timeout",
    "http_errors",
    "load_incluster_config",
    "load_kube_config_from_dict",
]
