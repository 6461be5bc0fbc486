"""Reads the server of the tests with Microsoft's own clients, and prints what they make of it."""
import json
import sys
import time

from azure.core.credentials import AccessToken
from azure.mgmt.appcontainers import ContainerAppsAPIClient
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.cosmosdb import CosmosDBManagementClient
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.redis import RedisManagementClient
from azure.mgmt.signalr import SignalRManagementClient

url, subscription, token = sys.argv[1:4]
group = "rg-studio"


class Credential:
    def get_token(self, *scopes, **_):
        return AccessToken(token, int(time.time()) + 3600)


def client(kind, **more):
    made = kind(Credential(), subscription, base_url=url, **more)
    return made


plain = {"enforce_https": False}
said = {}
apps = client(ContainerAppsAPIClient)
app = apps.container_apps.get(group, "api", **plain)
said["app"] = [app.name, app.template.scale.min_replicas, app.configuration.ingress.target_port, app.template.containers[0].resources.memory]
said["revisions"] = sorted([one.name, one.active] for one in apps.container_apps_revisions.list_revisions(group, "api", **plain))
app.template.scale.max_replicas = 7
poller = apps.container_apps.begin_update(group, "api", app, polling_interval=0, **plain)
said["scaled"] = apps.container_apps.get(group, "api", **plain).template.scale.max_replicas
apps.container_apps_revisions.restart_revision(group, "api", "api--2", **plain)
try:
    apps.container_apps.get(group, "nobody", **plain)
except Exception as problem:
    said["missing"] = [problem.status_code, problem.error.code]
store = client(CosmosDBManagementClient).database_accounts.get(group, "store", **plain)
said["store"] = [store.name, store.backup_policy.type, store.ip_rules[0].ip_address_or_range]
rules = client(NetworkManagementClient).security_rules.list(group, "nsg", **plain)
said["rules"] = [[one.name, one.priority, one.access] for one in rules]
cache = client(RedisManagementClient).redis.get(group, "cache", **plain)
said["cache"] = [cache.host_name, cache.ssl_port]
hub = client(SignalRManagementClient).signal_r.get(group, "hub", **plain)
said["hub"] = [hub.host_name, hub.cors.allowed_origins]
scope = f"/subscriptions/{subscription}/resourceGroups/{group}"
roles = client(AuthorizationManagementClient).role_assignments.list_for_scope(scope, **plain)
said["roles"] = len(list(roles))
print(json.dumps(said))
