"""What Railway is asked. Held to its schema by the simulator in `sandbox.railway`, which refuses any other field."""

from __future__ import annotations

_ENVIRONMENTS = "environments { edges { node { id name } } }"

PROJECTS = f"""
query projects($workspaceId: String, $after: String) {{
  projects(workspaceId: $workspaceId, first: 100, after: $after) {{
    edges {{ node {{ id name description deletedAt {_ENVIRONMENTS} }} }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}"""
PROJECT = f"""
query project($id: String!) {{
  project(id: $id) {{
    id name description deletedAt {_ENVIRONMENTS}
    services {{ edges {{ node {{ id name deletedAt }} }} }}
  }}
}}"""
PROJECT_CREATE = f"""
mutation projectCreate($input: ProjectCreateInput!) {{
  projectCreate(input: $input) {{ id name description deletedAt {_ENVIRONMENTS} }}
}}"""
PROJECT_DELETE = "mutation projectDelete($id: String!) { projectDelete(id: $id) }"

SERVICE_CREATE = """
mutation serviceCreate($input: ServiceCreateInput!) { serviceCreate(input: $input) { id } }"""
SERVICE_INSTANCE = """
query serviceInstance($environmentId: String!, $serviceId: String!) {
  serviceInstance(environmentId: $environmentId, serviceId: $serviceId) {
    source { image } startCommand healthcheckPath deletedAt
  }
}"""
SERVICE_UPDATE = """
mutation serviceInstanceUpdate($serviceId: String!, $environmentId: String, $input: ServiceInstanceUpdateInput!) {
  serviceInstanceUpdate(serviceId: $serviceId, environmentId: $environmentId, input: $input)
}"""
SERVICE_LIMITS = """
mutation serviceInstanceLimitsUpdate($input: ServiceInstanceLimitsUpdateInput!) {
  serviceInstanceLimitsUpdate(input: $input)
}"""
SERVICE_DELETE = "mutation serviceDelete($id: String!) { serviceDelete(id: $id) }"

VARIABLES = """
query variables($projectId: String!, $environmentId: String!, $serviceId: String) {
  variables(projectId: $projectId, environmentId: $environmentId, serviceId: $serviceId, unrendered: true)
}"""
VARIABLES_SET = """
mutation variableCollectionUpsert($input: VariableCollectionUpsertInput!) {
  variableCollectionUpsert(input: $input)
}"""

DOMAINS = """
query domains($projectId: String!, $environmentId: String!, $serviceId: String!) {
  domains(projectId: $projectId, environmentId: $environmentId, serviceId: $serviceId) {
    serviceDomains { id domain targetPort }
  }
}"""
DOMAIN_CREATE = """
mutation serviceDomainCreate($input: ServiceDomainCreateInput!) {
  serviceDomainCreate(input: $input) { id domain targetPort }
}"""
DOMAIN_DELETE = "mutation serviceDomainDelete($id: String!) { serviceDomainDelete(id: $id) }"

DEPLOY = """
mutation serviceInstanceDeployV2($serviceId: String!, $environmentId: String!) {
  serviceInstanceDeployV2(serviceId: $serviceId, environmentId: $environmentId)
}"""
DEPLOYMENT = "query deployment($id: String!) { deployment(id: $id) { id status } }"
DEPLOYMENT_REMOVE = "mutation deploymentRemove($id: String!) { deploymentRemove(id: $id) }"
