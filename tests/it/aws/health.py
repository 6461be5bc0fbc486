"""The emulator, with targets that are as healthy as their security groups let them be.

The emulator itself calls every registered address healthy. Here a balancer reaches one when a rule of its interface's groups lets the
balancer's group into its port, or any address; otherwise its check times out, as the service says it.
"""

from moto.elbv2.models import FakeHealthStatus, FakeTargetGroup, elbv2_backends
from moto.server import main

plain = FakeTargetGroup.health_for


def reached(group, target, ec2):
    balancers = elbv2_backends[group.account_id][group.region_name].load_balancers
    sources = {name for arn in group.load_balancer_arns for name in balancers[arn].security_groups}
    interfaces = [known for known in ec2.enis.values() if known.private_ip_address == target["Id"]]
    port = int(target["Port"])
    for rule in (rule for known in interfaces for owner in known.group_set for rule in owner.ingress_rules):
        fits = rule.ip_protocol == "-1" or rule.ip_protocol == "tcp" and rule.from_port <= port <= rule.to_port
        if fits and (rule.source_group.get("GroupId") in sources or rule.ip_range.get("CidrIp") == "0.0.0.0/0"):
            return True
    return False


def health_for(group, target, ec2_backend):
    health = plain(group, target, ec2_backend)
    known = group.targets.get(target["Id"])
    if health.status != "healthy" or reached(group, known, ec2_backend):
        return health
    told = ("unhealthy", "Target.Timeout", "Request timed out")
    return FakeHealthStatus(health.instance_id, health.port, health.health_check_port, *told)


FakeTargetGroup.health_for = health_for
main()
