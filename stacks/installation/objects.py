"""All objects of an installation, in the order in which they are made: what others refer to comes first. Pure."""

from __future__ import annotations

from stacks.installation import network, pods, rights, scaling, variables
from stacks.installation.names import SERVICE, Document
from stacks.installation.settings import Platform


def documents(platform: Platform) -> tuple[Document, ...]:
    """The objects as Kubernetes takes them."""
    settings = [variables.settings_map(platform), variables.regions_map(platform)]
    accounts = [pods.service_account(platform, SERVICE, "service"), *rights.documents(platform)]
    way_in = [network.service(platform)]
    if platform.ingress is not None:
        way_in.append(network.ingress(platform, platform.ingress))
    running = [pods.service_deployment(platform), pods.worker_deployment(platform)]
    found = [
        *settings,
        *accounts,
        *network.policies(platform),
        *scaling.budgets(platform),
        *running,
        *way_in,
        scaling.autoscaler(platform),
    ]
    return tuple(document for document in found if document is not None)


def key(document: Document) -> str:
    """What an object is called in Pulumi's state: it never changes, and no two have the same."""
    return f"{document['kind']}-{document['metadata']['name']}".lower()
