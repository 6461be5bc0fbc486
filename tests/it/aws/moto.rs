//! Operations of the models and those of the interface text, against the emulator.

use super::{Moto, done, json, text, texts};
use serde_json::json as j;
use starr::provider::Outcome;
use starr::value::{Reason, Value};

fn field<'a>(value: &'a Value, name: &str) -> &'a Value {
    value
        .as_record()
        .unwrap_or_else(|| panic!("{value:?}"))
        .get(name)
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn services_and_tasks_of_ecs() {
    let moto = Moto::start(1_000_000);
    let world = moto.world("AKIAEXAMPLE", "any");
    done(&world, "ecs.create_cluster", &[("clusterName", text("shop"))]).await;
    let containers = json(j!([{"name": "web", "image": "web:1", "memory": 128}]));
    let definition = [("family", text("web")), ("containerDefinitions", containers)];
    done(&world, "ecs.register_task_definition", &definition).await;
    let args = [
        ("cluster", text("shop")),
        ("serviceName", text("web")),
        ("taskDefinition", text("web")),
        ("desiredCount", Value::Int(2)),
    ];
    done(&world, "ecs.create_service", &args).await;
    let named = [("cluster", text("shop")), ("services", texts(&["web", "none"]))];
    let services = world.json("ecs.describe_services", &named).await;
    assert_eq!(services["services"][0]["desiredCount"], 2, "{services}");
    // What is not there is among the failures.
    assert_eq!(services["failures"][0]["reason"], "MISSING", "{services}");
    let clusters = world
        .json("ecs.describe_clusters", &[("clusters", texts(&["shop"]))])
        .await;
    assert_eq!(clusters["clusters"][0]["status"], "ACTIVE");
    assert!(world.json("ecs.list_tasks", &[("cluster", text("shop"))]).await["taskArns"].is_array());
    let found = [("taskDefinition", text("web"))];
    let definition = world.json("ecs.describe_task_definition", &found).await;
    assert_eq!(definition["taskDefinition"]["containerDefinitions"][0]["memory"], 128);
    let args = [
        ("cluster", text("shop")),
        ("service", text("web")),
        ("desiredCount", Value::Int(4)),
    ];
    assert_eq!(
        done(&world, "ecs.update_service", &args).await["service"]["desiredCount"],
        4
    );

    // The same, typed, and taken back.
    let named = [("cluster", text("shop")), ("name", text("web"))];
    let service = world.read("services.get", &named).await;
    assert_eq!(
        (field(&service, "desired"), field(&service, "name")),
        (&Value::Int(4), &text("web"))
    );
    let scaled = world
        .change("services.scale", &[("service", service.clone()), ("to", Value::Int(1))])
        .await;
    assert!(
        matches!(&scaled, Outcome::Done(now) if field(now, "desired") == &Value::Int(1)),
        "{scaled:?}"
    );
    let none = world
        .read("services.get", &[("cluster", text("shop")), ("name", text("none"))])
        .await;
    assert_eq!(none.as_unknown().unwrap().reason, Reason::Missing);
    let stopped = world
        .read("tasks.stopped", &[("cluster", text("shop")), ("service", text("web"))])
        .await;
    assert!(stopped.as_list().is_some(), "{stopped:?}");
    // A cluster that is not there.
    let gone = [("cluster", text("gone")), ("services", texts(&["web"]))];
    let gone = world.read("ecs.describe_services", &gone).await;
    assert_eq!(gone.as_unknown().unwrap().reason, Reason::Missing, "{gone:?}");
    // Its services are waited for; one that is not there can never be stable.
    let gone = [("cluster", text("shop")), ("services", texts(&["none"]))];
    assert_eq!(world.read("ecs.wait_services_stable", &gone).await, Value::Bool(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_alarms_metrics_and_logs() {
    let moto = Moto::start(1_000_000);
    let world = moto.world("AKIAEXAMPLE", "any");
    let key = json(j!([{"AttributeName": "id", "KeyType": "HASH"}]));
    let attributes = json(j!([{"AttributeName": "id", "AttributeType": "S"}]));
    let args = [
        ("TableName", text("orders")),
        ("KeySchema", key),
        ("AttributeDefinitions", attributes),
        (
            "ProvisionedThroughput",
            json(j!({"ReadCapacityUnits": 5, "WriteCapacityUnits": 3})),
        ),
    ];
    done(&world, "dynamodb.create_table", &args).await;
    assert_eq!(
        world
            .read("dynamodb.wait_table_exists", &[("TableName", text("orders"))])
            .await,
        Value::Bool(true)
    );
    for index in 0..3 {
        let item =
            json(j!({"id": {"S": format!("{index}")}, "deep": {"M": {"l": {"L": [{"N": "1"}, {"BOOL": true}]}}}}));
        done(
            &world,
            "dynamodb.put_item",
            &[("TableName", text("orders")), ("Item", item)],
        )
        .await;
    }
    let scanned = world.json("dynamodb.scan", &[("TableName", text("orders"))]).await;
    assert_eq!(
        (
            scanned["Count"].as_i64(),
            &scanned["Items"][0]["deep"]["M"]["l"]["L"][1]["BOOL"]
        ),
        (Some(3), &j!(true))
    );
    // Who says how large a page is gets one, and learns that there are more.
    let limited = [("TableName", text("orders")), ("Limit", Value::Int(1))];
    let limited = world.json("dynamodb.scan", &limited).await;
    assert!(
        limited["Items"].as_array().unwrap().len() == 1 && limited["LastEvaluatedKey"].is_object(),
        "{limited}"
    );
    let table = world.read("tables.get", &[("name", text("orders"))]).await;
    assert_eq!(
        (field(&table, "mode"), field(&table, "reads")),
        (&text("PROVISIONED"), &Value::Int(5))
    );
    let paid = world
        .change(
            "tables.set_billing",
            &[("table", table.clone()), ("mode", text("PAY_PER_REQUEST"))],
        )
        .await;
    assert!(
        matches!(&paid, Outcome::Done(now) if field(now, "mode") == &text("PAY_PER_REQUEST")),
        "{paid:?}"
    );
    let back = [
        ("table", table),
        ("mode", text("PROVISIONED")),
        ("reads", Value::Int(5)),
        ("writes", Value::Int(3)),
    ];
    let back = world.change("tables.set_billing", &back).await;
    assert!(
        matches!(&back, Outcome::Done(now) if field(now, "reads") == &Value::Int(5)),
        "{back:?}"
    );

    let alarm = [
        ("AlarmName", text("web-cpu")),
        ("MetricName", text("CPUUtilization")),
        ("Namespace", text("AWS/ECS")),
        ("Statistic", text("Average")),
        ("Period", Value::Int(300)),
        ("EvaluationPeriods", Value::Int(2)),
        ("Threshold", Value::float(75.0)),
        ("ComparisonOperator", text("GreaterThanThreshold")),
        ("AlarmActions", texts(&["arn:aws:sns:eu-west-1:123456789012:oncall"])),
    ];
    done(&world, "cloudwatch.put_metric_alarm", &alarm).await;
    let alarms = world.read("alarms.list", &[("prefix", text("web"))]).await;
    let first = alarms.as_list().unwrap().items[0].clone();
    assert_eq!(field(&first, "threshold"), &Value::float(75.0));
    let set = world
        .change("alarms.set_threshold", &[("alarm", first), ("to", Value::float(90.0))])
        .await;
    assert!(matches!(set, Outcome::Done(_)), "{set:?}");
    let all = world
        .json("cloudwatch.describe_alarms", &[("AlarmNamePrefix", text("web"))])
        .await;
    // All else of it is as it was.
    assert_eq!(all["MetricAlarms"][0]["Threshold"], 90.0, "{all}");
    assert_eq!(
        all["MetricAlarms"][0]["AlarmActions"][0], "arn:aws:sns:eu-west-1:123456789012:oncall",
        "{all}"
    );
    let data = json(j!([{"MetricName": "Errors", "Value": 3.0, "Dimensions": [{"Name": "Service", "Value": "web"}]}]));
    done(
        &world,
        "cloudwatch.put_metric_data",
        &[("Namespace", text("Shop")), ("MetricData", data)],
    )
    .await;
    let series = world
        .read(
            "metrics.series",
            &[
                ("namespace", text("Shop")),
                ("metric", text("Errors")),
                ("dimensions", json(j!({"Service": "web"}))),
                ("statistic", text("Sum")),
            ],
        )
        .await;
    assert!(matches!(&series, Value::Series(_)), "{series:?}");

    done(&world, "logs.create_log_group", &[("logGroupName", text("/ecs/web"))]).await;
    let again = world
        .change("logs.create_log_group", &[("logGroupName", text("/ecs/web"))])
        .await;
    assert!(
        matches!(&again, Outcome::Failed(why) if why.detail.contains("ResourceAlreadyExists")),
        "{again:?}"
    );
    let stream = [("logGroupName", text("/ecs/web")), ("logStreamName", text("one"))];
    done(&world, "logs.create_log_stream", &stream).await;
    let now = jiff::Timestamp::now().as_millisecond();
    let events = json(j!([{"timestamp": now, "message": "DENIED by policy"}, {"timestamp": now, "message": "fine"}]));
    let put = [stream[0].clone(), stream[1].clone(), ("logEvents", events)];
    done(&world, "logs.put_log_events", &put).await;
    let lines = world
        .read(
            "logs.tail",
            &[("group", text("/ecs/web")), ("matching", text("DENIED"))],
        )
        .await;
    let lines = lines.as_list().unwrap_or_else(|| panic!("{lines:?}")).items.clone();
    assert_eq!(field(&lines[0], "text"), &text("DENIED by policy"));
    let groups = world
        .json("logs.describe_log_groups", &[("logGroupNamePrefix", text("/ecs"))])
        .await;
    assert_eq!(groups["logGroups"][0]["logGroupName"], "/ecs/web");
}

#[tokio::test(flavor = "multi_thread")]
async fn networks_balancers_names_and_who_asks() {
    let moto = Moto::start(1_000_000);
    let world = moto.world("AKIAEXAMPLE", "any");
    let vpc = done(&world, "ec2.create_vpc", &[("CidrBlock", text("10.0.0.0/16"))]).await;
    let vpc = vpc["Vpc"]["VpcId"].as_str().unwrap().to_owned();
    let group = [
        ("GroupName", text("web")),
        ("Description", text("web")),
        ("VpcId", text(&vpc)),
    ];
    let group = done(&world, "ec2.create_security_group", &group).await["GroupId"]
        .as_str()
        .unwrap()
        .to_owned();
    let rule =
        json(j!([{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}]));
    let allow = [("GroupId", text(&group)), ("IpPermissions", rule)];
    done(&world, "ec2.authorize_security_group_ingress", &allow).await;
    let twice = world.change("ec2.authorize_security_group_ingress", &allow).await;
    assert!(
        matches!(&twice, Outcome::Failed(why) if why.detail.contains("Duplicate")),
        "{twice:?}"
    );
    let groups = world
        .json("ec2.describe_security_groups", &[("GroupIds", texts(&[&group]))])
        .await;
    assert_eq!(
        groups["SecurityGroups"][0]["IpPermissions"][0]["FromPort"], 443,
        "{groups}"
    );
    let filter = json(j!([{"Name": "vpc-id", "Values": [vpc]}]));
    let acls = world.json("ec2.describe_network_acls", &[("Filters", filter)]).await;
    assert!(!acls["NetworkAcls"].as_array().unwrap().is_empty(), "{acls}");
    assert!(world.json("ec2.describe_flow_logs", &[]).await["FlowLogs"].is_array());
    let subnets = ["10.0.1.0/24", "10.0.2.0/24"].map(|block| (block, vpc.clone()));
    let mut ids = Vec::new();
    for (index, (block, vpc)) in subnets.iter().enumerate() {
        let zone = if index == 0 { "eu-west-1a" } else { "eu-west-1b" };
        let args = [
            ("VpcId", text(vpc)),
            ("CidrBlock", text(block)),
            ("AvailabilityZone", text(zone)),
        ];
        let subnet = done(&world, "ec2.create_subnet", &args).await;
        ids.push(subnet["Subnet"]["SubnetId"].as_str().unwrap().to_owned());
    }
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    done(
        &world,
        "elbv2.create_load_balancer",
        &[("Name", text("web")), ("Subnets", texts(&ids))],
    )
    .await;
    let balancers = world
        .json("elbv2.describe_load_balancers", &[("Names", texts(&["web"]))])
        .await;
    assert_eq!(balancers["LoadBalancers"][0]["LoadBalancerName"], "web", "{balancers}");
    let args = [
        ("Name", text("web")),
        ("Protocol", text("HTTP")),
        ("Port", Value::Int(80)),
        ("VpcId", text(&vpc)),
        ("TargetType", text("ip")),
    ];
    let made = done(&world, "elbv2.create_target_group", &args).await;
    let arn = made["TargetGroups"][0]["TargetGroupArn"].as_str().unwrap().to_owned();
    let target = json(j!([{"Id": "10.0.1.5", "Port": 80}]));
    done(
        &world,
        "elbv2.register_targets",
        &[("TargetGroupArn", text(&arn)), ("Targets", target)],
    )
    .await;
    let targets = world.read("targets.health", &[("group", text(&arn))]).await;
    assert_eq!(
        field(&targets.as_list().unwrap().items[0], "id"),
        &text("10.0.1.5"),
        "{targets:?}"
    );
    let role = [
        ("RoleName", text("web")),
        (
            "AssumeRolePolicyDocument",
            text("{\"Version\": \"2012-10-17\", \"Statement\": []}"),
        ),
    ];
    done(&world, "iam.create_role", &role).await;
    let policies = world
        .json("iam.list_attached_role_policies", &[("RoleName", text("web"))])
        .await;
    assert_eq!(policies["AttachedPolicies"], j!([]), "{policies}");
    done(
        &world,
        "acm.request_certificate",
        &[("DomainName", text("shop.example.com"))],
    )
    .await;
    let certificates = world.read("certificates.list", &[]).await;
    assert_eq!(
        field(&certificates.as_list().unwrap().items[0], "domain"),
        &text("shop.example.com")
    );
    let me = world.json("sts.get_caller_identity", &[]).await;
    assert_eq!(me["Account"], "123456789012", "{me}");
    assert!(world.json("cloudtrail.describe_trails", &[]).await["trailList"].is_array());
    done(
        &world,
        "servicediscovery.create_http_namespace",
        &[("Name", text("shop"))],
    )
    .await;
    assert!(world.json("servicediscovery.list_services", &[]).await["Services"].is_array());
    let bucket = [
        ("Bucket", text("orders-backup")),
        (
            "CreateBucketConfiguration",
            json(j!({"LocationConstraint": "eu-west-1"})),
        ),
    ];
    done(&world, "s3.create_bucket", &bucket).await;
    let buckets = world.json("s3.list_buckets", &[]).await;
    assert_eq!(buckets["Buckets"][0]["Name"], "orders-backup", "{buckets}");
    let listed = world
        .json("s3.list_objects_v2", &[("Bucket", text("orders-backup"))])
        .await;
    assert_eq!(listed["KeyCount"], 0, "{listed}");
    // Secrets stay where they are.
    let kept = [("Name", text("db")), ("SecretString", text("canary-51d0aa"))];
    done(&world, "secretsmanager.create_secret", &kept).await;
    let secret = world
        .json("secretsmanager.get_secret_value", &[("SecretId", text("db"))])
        .await;
    assert_eq!(secret["SecretString"], "(secret)");
}

fn between<'a>(text: &'a str, tag: &str) -> &'a str {
    let from = text.find(&format!("<{tag}>")).unwrap_or_else(|| panic!("{text}")) + tag.len() + 2;
    &text[from..from + text[from..].find('<').unwrap()]
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_and_rights_are_looked_at() {
    // Three calls make the user; all others are looked at.
    let moto = Moto::start(3);
    moto.ask("iam", "Action=CreateUser&UserName=starr&Version=2010-05-08");
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ecs:ListClusters","dynamodb:ListTables","s3:ListAllMyBuckets","ec2:DescribeVpcs","elasticloadbalancing:DescribeLoadBalancers"],"Resource":"*"}]}"#;
    let encoded: String = url::form_urlencoded::byte_serialize(policy.as_bytes()).collect();
    moto.ask(
        "iam",
        &format!("Action=PutUserPolicy&UserName=starr&PolicyName=p&PolicyDocument={encoded}&Version=2010-05-08"),
    );
    let made = moto.ask("iam", "Action=CreateAccessKey&UserName=starr&Version=2010-05-08");
    let (id, key) = (between(&made, "AccessKeyId"), between(&made, "SecretAccessKey"));

    let right = moto.world(id, key);
    // One of each wire format that the emulator speaks: JSON 1.1, JSON 1.0, XML, EC2, query.
    for path in [
        "ecs.list_clusters",
        "dynamodb.list_tables",
        "s3.list_buckets",
        "ec2.describe_vpcs",
        "elbv2.describe_load_balancers",
    ] {
        let value = right.read(path, &[]).await;
        assert!(matches!(value, Value::Json(_)), "{path}: {value:?}");
    }
    let refused = |value: Value, what: &str| {
        let unknown = value
            .as_unknown()
            .unwrap_or_else(|| panic!("{what}: {value:?}"))
            .clone();
        assert_eq!(unknown.reason, Reason::Denied, "{what}: {unknown}");
        assert!(unknown.detail.contains(what), "{unknown}");
        assert!(!unknown.detail.contains(key), "{unknown}");
    };
    refused(right.read("iam.list_roles", &[]).await, "AccessDenied");
    let change = right.change("ecs.create_cluster", &[("clusterName", text("x"))]).await;
    assert!(
        matches!(&change, Outcome::Failed(why) if why.reason == Reason::Denied),
        "{change:?}"
    );
    let wrong = moto.world(id, "wrong-secret-wrong-secret-wrong-secret-x");
    refused(wrong.read("ecs.list_clusters", &[]).await, "Signature");
    let unknown = moto.world("AKIAUNKNOWNUNKNOWN00", key);
    let value = unknown.read("ecs.list_clusters", &[]).await;
    assert_eq!(value.as_unknown().unwrap().reason, Reason::Denied, "{value:?}");
}
