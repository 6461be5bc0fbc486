"""The emulator, with rights that look at the resource and at the conditions, and with the simulation of a policy.

The emulator itself takes every resource for `*`, and no condition for fulfilled. Here a call of DynamoDB is about its table, one of ECS about its
service in its cluster; the region is the one of the signature. Policies are read by the emulator's own code, in the simulation as well.
"""

import json
import threading
from fnmatch import fnmatchcase

from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.responses import ActionResult
from moto.iam.access_control import IAMPolicy, IAMPolicyStatement, PermissionResult
from moto.iam.responses import IamResponse
from moto.server import main

asked = threading.local()
plain = ActionAuthenticatorMixin._authenticate_and_authorize_normal_action


def about(call):
    """The resource of a call, and what its conditions may be about."""
    here = f"{call.region}:{call.current_account}"
    facts = {"aws:RequestedRegion": call.region}
    body = call.body
    if not isinstance(body, dict):
        try:
            body = json.loads(body)
        except (TypeError, ValueError):
            body = {}
    if call.service_name == "dynamodb" and "TableName" in body:
        return f"arn:aws:dynamodb:{here}:table/{body['TableName']}", facts
    if call.service_name == "ecs" and "cluster" in body:
        facts["ecs:cluster"] = f"arn:aws:ecs:{here}:cluster/{body['cluster']}"
        services = body.get("services") or [body.get("service")]
        if services[0]:
            return f"arn:aws:ecs:{here}:service/{body['cluster']}/{services[0]}", facts
    return "*", facts


def authorize(call, resource="*"):
    resource, asked.facts = about(call)
    plain(call, resource)


def conditions_hold(statement, _):
    for operator, keys in statement._statement.get("Condition", {}).items():
        for key, wanted in keys.items():
            have = asked.facts.get(key)
            wanted = [wanted] if isinstance(wanted, str) else wanted
            fits = {"StringEquals": str.__eq__, "ArnLike": fnmatchcase}[operator]
            if have is None or not any(fits(have, one) for one in wanted):
                return False
    return True


def simulate_principal_policy(call):
    kind, name = call._get_param("PolicySourceArn").split(":")[5].split("/", 1)
    known = call.backend
    if kind == "user":
        known.get_user(name)
        policies = [known.get_user_policy(name, one)["policy_document"] for one in known.list_user_policies(name)]
    else:
        policies = [known.get_role_policy(name, one)[1] for one in known.list_role_policies(name)]
    asked.facts = {one["ContextKeyName"]: one["ContextKeyValues"][0] for one in call._get_param("ContextEntries", [])}
    results = []
    for action in call._get_param("ActionNames"):
        for resource in call._get_param("ResourceArns", ["*"]):
            found = [IAMPolicy(policy).is_action_permitted(action, resource) for policy in policies]
            decision = "implicitDeny"
            if PermissionResult.PERMITTED in found:
                decision = "allowed"
            if PermissionResult.DENIED in found:
                decision = "explicitDeny"
            results.append({"EvalActionName": action, "EvalResourceName": resource, "EvalDecision": decision})
    return ActionResult({"EvaluationResults": results, "IsTruncated": False})


ActionAuthenticatorMixin._authenticate_and_authorize_normal_action = authorize
IAMPolicyStatement._check_conditions = conditions_hold
IamResponse.simulate_principal_policy = simulate_principal_policy
main()
