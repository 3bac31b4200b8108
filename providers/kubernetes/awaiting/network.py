"""When what leads traffic to pods is ready: Service and Ingress. Pure.

A Service has an endpoint and none that is not ready, and a load balancer's address if it asks for one. One without a
selector, a headless one and an ExternalName have no endpoints to wait for. The services of an Ingress exist and have
an endpoint (an ExternalName needs none), and its controller has given it an address.
"""

from providers.kubernetes.awaiting.documents import (
    items,
    labels_selector,
    name_of,
    namespace_of,
    part,
    table,
    text,
)
from providers.kubernetes.awaiting.verdict import Query, Ready, Related, Verdict, Waiting
from providers.kubernetes.seam import Document

SLICES = "endpointslices"
SERVICE_NAME = "kubernetes.io/service-name"


def service_pods(obj: Document) -> str:
    return labels_selector(table(obj, "spec", "selector")) if _has_endpoints(obj) else ""


def service_queries(obj: Document) -> tuple[Query, ...]:
    return (_slices_of(obj, (name_of(obj),)),) if _has_endpoints(obj) else ()


def service(obj: Document, related: Related, _first: Document) -> Verdict:
    balanced = text(obj, "spec", "type") == "LoadBalancer"
    steps = 2 if balanced and _has_endpoints(obj) else 1
    if _has_endpoints(obj):
        ready, unready = _endpoints(related.get(SLICES) or [], name_of(obj))
        if not ready and not unready:
            labels = labels_selector(table(obj, "spec", "selector"))
            reason = f"Waiting for endpoints: no Pod with an address matches the selector {labels}"
            return Waiting(reason=reason, step=(1, steps))
        if unready or not ready:
            return Waiting(reason=f"Waiting for endpoints: {ready} ready, {unready} not ready", step=(1, steps))
    if balanced and not items(obj, "status", "loadBalancer", "ingress"):
        reason = "Waiting for the load balancer to have an address: does this cluster make load balancers?"
        return Waiting(reason=reason, step=(steps, steps))
    return Ready()


def _has_endpoints(obj: Document) -> bool:
    return (
        bool(table(obj, "spec", "selector"))
        and text(obj, "spec", "type") != "ExternalName"
        and text(obj, "spec", "clusterIP") != "None"
    )


def _slices_of(obj: Document, services: tuple[str, ...]) -> Query:
    names = f"{SERVICE_NAME} in ({','.join(services)})"
    return Query(
        key=SLICES,
        api_version="discovery.k8s.io/v1",
        kind="EndpointSlice",
        namespace=namespace_of(obj),
        labels=names,
        watched=True,
    )


def _endpoints(slices: list[Document], service_name: str) -> tuple[int, int]:
    """How many are ready and how many are not; those that are ending count as neither."""
    ready = unready = 0
    for each in slices:
        if text(each, "metadata", "labels", SERVICE_NAME) != service_name:
            continue
        for endpoint in items(each, "endpoints"):
            if part(endpoint, "conditions", "terminating") is True:
                continue
            # Unknown counts as ready: so the API says.
            if part(endpoint, "conditions", "ready") is False:
                unready += 1
            else:
                ready += 1
    return ready, unready


def backends_of(obj: Document) -> tuple[str, ...]:
    """The names of the services to which an Ingress leads, each once. The forms of v1 and of v1beta1."""
    spec = table(obj, "spec")
    found = [spec.get("defaultBackend") or spec.get("backend")]
    for rule in items(spec, "rules"):
        found += [part(each, "backend") for each in items(rule, "http", "paths")]
    names = (text(each, "service", "name") or text(each, "serviceName") for each in found)
    return tuple(dict.fromkeys(filter(None, names)))


def ingress_queries(obj: Document) -> tuple[Query, ...]:
    names = backends_of(obj)
    if not names:
        return ()
    namespace = namespace_of(obj)
    services = (
        Query(key=_key(name), api_version="v1", kind="Service", namespace=namespace, name=name) for name in names
    )
    return (*services, _slices_of(obj, names))


def ingress(obj: Document, related: Related, _first: Document) -> Verdict:
    for name in backends_of(obj):
        found = related.get(_key(name)) or []
        if not found:
            return Waiting(reason=f"Waiting for Service {name}, to which it leads: there is none", step=(1, 2))
        if text(found[0], "spec", "type") == "ExternalName":
            continue
        ready, unready = _endpoints(related.get(SLICES) or [], name)
        if not ready:
            reason = f"Waiting for Service {name}, to which it leads: no endpoint is ready, {unready} are not"
            return Waiting(reason=reason, step=(1, 2))
    if not items(obj, "status", "loadBalancer", "ingress"):
        controller = text(obj, "spec", "ingressClassName")
        whose = f"of class {controller}" if controller else "of the default class"
        return Waiting(reason=f"Waiting for an ingress controller {whose} to give it an address", step=(2, 2))
    return Ready()


def _key(service_name: str) -> str:
    return f"service/{service_name}"
