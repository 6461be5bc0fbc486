//! The rights that are printed, held against the emulator: with them a runbook does its work, and nothing else can be done.

use super::{Moto, World, json, text, texts};
use crate::support::desk::{Desk, on_a_thread};
use crate::support::terminal::Terminal;
use serde_json::{Value as Json, json as j};
use starr::provider::Outcome;
use starr::value::{Reason, Value};

const BOOK: &str = r#"use std.aws.{Account}

runbook grow(account: Account = "prod", table: Text = "orders") "More tasks, and a table that takes more" {
  owner    "team-shop"
  status   production
  reviewed 2026-11-01 valid 90 d
  timebox  30 min then escalate
  reads    aws
  changes  aws.tables, aws.services

  read all = aws.ecs.list_clusters(account) within 10 s
  check fixed "Is the capacity of {table} fixed?" {
    read now = aws.tables.get(account, name: table) within 10 s
    yes when now.mode is "PROVISIONED"
  }
  check few "Are there too few tasks?" {
    read service = aws.services.get(account, cluster: "shop", name: "web") within 10 s
    yes when service.desired < 3
  }
  require all is not missing else stop "no answer"

  action pay "Pay {table} by request" {
    > It costs more.
    risk    low
    approve by oncall within 5 min
    do      aws.tables.set_billing(fixed.now, mode: "PAY_PER_REQUEST") within 20 s
    undo    restore
    verify  not fixed within 30 s every 1 s
    failed  -> undo, escalate
  }
  action scale "Three tasks" {
    > It costs more.
    risk    low
    approve by oncall within 5 min
    do      aws.services.scale(few.service, to: 3) within 20 s
    undo    restore
    verify  not few within 30 s every 1 s
    failed  -> undo, escalate
  }

  result {
    resolved when not fixed and not few
  }

  reflection {
    prevent "Let it scale by itself" by "team-shop" in 14 d
    ask     "What made it grow?"
  }
}
"#;

async fn made(world: &World, path: &str, args: &[(&str, Value)]) {
    let outcome = world.change(path, args).await;
    assert!(matches!(outcome, Outcome::Done(_)), "{path}: {outcome:?}");
}

async fn table(world: &World, name: &str) {
    let args = [
        ("TableName", text(name)),
        ("KeySchema", json(j!([{"AttributeName": "id", "KeyType": "HASH"}]))),
        (
            "AttributeDefinitions",
            json(j!([{"AttributeName": "id", "AttributeType": "S"}])),
        ),
        (
            "ProvisionedThroughput",
            json(j!({"ReadCapacityUnits": 5, "WriteCapacityUnits": 3})),
        ),
    ];
    made(world, "dynamodb.create_table", &args).await;
}

async fn service(world: &World, cluster: &str) {
    made(world, "ecs.create_cluster", &[("clusterName", text(cluster))]).await;
    let args = [
        ("cluster", text(cluster)),
        ("serviceName", text("web")),
        ("taskDefinition", text("web")),
        ("desiredCount", Value::Int(1)),
    ];
    made(world, "ecs.create_service", &args).await;
}

/// Two tables and two clusters, of which the runbook means one each, and a user who may do nothing.
struct Shop {
    moto: Moto,
    /// Who made all of it; he may nothing either once rights are looked at.
    maker: World,
    key: (String, String),
    secrets: tempfile::TempDir,
}

impl Shop {
    async fn new() -> Self {
        let moto = Moto::with_rights();
        let maker = moto.world("AKIAEXAMPLE", "swordfish-4714");
        let container = j!([{"name": "web", "image": "web:1", "memory": 128}]);
        let args = [("family", text("web")), ("containerDefinitions", json(container))];
        made(&maker, "ecs.register_task_definition", &args).await;
        for name in ["orders", "other"] {
            table(&maker, name).await;
        }
        for name in ["shop", "elsewhere"] {
            service(&maker, name).await;
        }
        made(&maker, "iam.create_user", &[("UserName", text("starr"))]).await;
        let made = moto.ask("iam", "Action=CreateAccessKey&UserName=starr&Version=2010-05-08");
        let part = |tag: &str| {
            let (_, rest) = made.split_once(&format!("<{tag}>")).unwrap();
            rest.split_once('<').unwrap().0.to_owned()
        };
        let key = (part("AccessKeyId"), part("SecretAccessKey"));
        let secrets = tempfile::tempdir().unwrap();
        Self {
            moto,
            maker,
            key,
            secrets,
        }
    }

    fn entry(&self, region: &str) -> String {
        let entry = self.moto.entry(self.secrets.path(), &self.key.0, &self.key.1);
        entry
            .replace("eu-west-1", region)
            .replace("{ region", "{ id: \"123456789012\", region")
    }

    fn desk(&self) -> Desk {
        let desk = Desk::new(&format!(
            "    aws: {{ accounts: {{ prod: {} }} }}
    grants:
      - {{ capability: aws, effects: [read, change], targets: [prod] }}
",
            self.entry("eu-west-1")
        ));
        std::fs::write(desk.path().join("book.starr"), BOOK).unwrap();
        desk
    }

    /// Gives the user these policies, and has rights looked at from now on.
    async fn may(&self, policies: &[String]) {
        for (number, policy) in policies.iter().enumerate() {
            self.also(&format!("p{number}"), policy).await;
        }
    }

    /// Gives him one more, by somebody who is not looked at.
    async fn also(&self, name: &str, policy: &str) {
        let args = [
            ("UserName", text("starr")),
            ("PolicyName", text(name)),
            ("PolicyDocument", text(policy)),
        ];
        self.moto.look_away();
        made(&self.maker, "iam.put_user_policy", &args).await;
        self.moto.look_at_rights();
    }

    /// The user in a region.
    fn user(&self, region: &str) -> World {
        World::new(&self.entry(region), tempfile::tempdir().unwrap())
    }
}

/// Runs it, and says yes so many times. What was on the screen, and the code.
async fn run(desk: &Desk, approvals: usize) -> (String, i32) {
    let command = desk.command(&["run", "book.starr"]);
    on_a_thread(move || {
        let mut terminal = Terminal::start(command);
        for _ in 0..approvals {
            terminal.wait_for("Approve?");
            terminal.answer("yes");
        }
        terminal.pass("What made it grow?");
        let code = terminal.end();
        (terminal.seen, code)
    })
    .await
}

/// The policies that `starr grants --to iam` prints.
fn printed(desk: &Desk) -> Vec<String> {
    let (said, code) = desk.run(&["grants", "book.starr", "--to", "iam"]);
    assert_eq!(code, Some(0), "{said}");
    let policies = said.split("# account prod: the role for ").skip(1);
    policies
        .map(|policy| policy.split_once('\n').unwrap().1.trim().to_owned())
        .collect()
}

fn denied(value: &Value, what: &str) {
    let unknown = value.as_unknown().unwrap_or_else(|| panic!("{what}: {value:?}"));
    assert_eq!(unknown.reason, Reason::Denied, "{what}: {unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_printed_is_enough_for_the_runbook_and_for_nothing_else() {
    let shop = Shop::new().await;
    let desk = shop.desk();
    let (checked, code) = desk.run(&["check", "book.starr"]);
    assert_eq!(code, Some(0), "{checked}");
    let policies = printed(&desk);
    assert_eq!(policies.len(), 2, "{policies:?}");
    let all: Vec<Json> = policies
        .iter()
        .map(|policy| serde_json::from_str(policy).unwrap())
        .collect();
    let statements = || all.iter().flat_map(|policy| policy["Statement"].as_array().unwrap());
    let resources: Vec<&str> = statements()
        .flat_map(|statement| statement["Resource"].as_array().unwrap())
        .map(|arn| arn.as_str().unwrap())
        .collect();
    let (orders, web) = (
        "arn:aws:dynamodb:eu-west-1:123456789012:table/orders",
        "arn:aws:ecs:eu-west-1:123456789012:service/shop/web",
    );
    // The list of clusters is about none in particular.
    for arn in &resources {
        assert!([orders, web, "*"].contains(arn), "{resources:?}");
    }
    assert!(resources.contains(&orders) && resources.contains(&web), "{resources:?}");
    for statement in statements() {
        let region = &statement["Condition"]["StringEquals"]["aws:RequestedRegion"];
        assert_eq!(*region, j!(["eu-west-1"]), "{statement}");
    }
    let cluster = &statements()
        .find(|statement| statement["Resource"] == j!([web]))
        .unwrap()["Condition"]["ArnLike"]["ecs:cluster"];
    assert_eq!(*cluster, j!(["arn:aws:ecs:eu-west-1:123456789012:cluster/shop"]));

    shop.may(&policies).await;
    let (ran, code) = run(&desk, 2).await;
    assert!(code == 0 && ran.contains("RESOLVED"), "{ran}");

    let user = shop.user("eu-west-1");
    let now = user
        .json("dynamodb.describe_table", &[("TableName", text("orders"))])
        .await;
    assert_eq!(
        now["Table"]["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST",
        "{now}"
    );
    let other = [("TableName", text("other"))];
    denied(&user.read("dynamodb.describe_table", &other).await, "another table");
    let other = [("cluster", text("elsewhere")), ("services", texts(&["web"]))];
    denied(&user.read("ecs.describe_services", &other).await, "another cluster");
    let other = [
        ("cluster", text("elsewhere")),
        ("service", text("web")),
        ("desiredCount", Value::Int(0)),
    ];
    let changed = user.change("ecs.update_service", &other).await;
    assert!(
        matches!(&changed, Outcome::Failed(why) if why.reason == Reason::Denied),
        "{changed:?}"
    );
    denied(&user.read("dynamodb.list_tables", &[]).await, "another action");
    // The same names in another region.
    let abroad = shop.user("eu-central-1");
    let orders = [("TableName", text("orders"))];
    denied(&abroad.read("dynamodb.describe_table", &orders).await, "another region");
    denied(&abroad.read("ecs.list_clusters", &[]).await, "another region");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_what_is_printed_for_changes_nothing_is_changed() {
    let shop = Shop::new().await;
    let desk = shop.desk();
    let policies = printed(&desk);
    let checks: Vec<String> = policies
        .into_iter()
        .filter(|policy| !policy.contains("Update"))
        .collect();
    assert_eq!(checks.len(), 1, "{checks:?}");
    shop.may(&checks).await;
    let (ran, code) = run(&desk, 1).await;
    assert!(code != 0 && ran.contains("AccessDenied"), "{ran}");
    let user = shop.user("eu-west-1");
    let now = user
        .json("dynamodb.describe_table", &[("TableName", text("orders"))])
        .await;
    assert_ne!(
        now["Table"]["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST",
        "{now}"
    );
}

/// What `starr grants --ask` says of an action, and its exit code.
fn asked(desk: &Desk) -> (Vec<(String, String)>, String, Option<i32>) {
    let (said, code) = desk.run(&["grants", "book.starr", "--to", "iam", "--ask", "--json"]);
    let told: Json = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"));
    let rights = told["rights"].as_array().unwrap().iter();
    let rights = rights.map(|right| {
        let of = |value: &Json| value.as_str().unwrap().to_owned();
        (of(&right["action"]), of(&right["allowed"]["state"]))
    });
    (rights.collect(), said, code)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_login_is_asked_about_and_what_could_not_be_asked_is_not_allowed() {
    let shop = Shop::new().await;
    let desk = shop.desk();
    let policies = printed(&desk);
    let of = |state: &str, all: &[(String, String)]| {
        let these = all.iter().filter(|(_, found)| found == state);
        these.map(|(action, _)| action.clone()).collect::<Vec<_>>()
    };
    let simulate = j!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iam:SimulatePrincipalPolicy", "Resource": "*"}]});

    // Whoever may not even ask is told so, for each.
    let checks = policies
        .iter()
        .find(|policy| !policy.contains("Update"))
        .unwrap()
        .clone();
    shop.may(&[checks]).await;
    let (rights, said, code) = asked(&desk);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        rights.len() >= 5 && of("unknown", &rights).len() == rights.len(),
        "{said}"
    );
    assert!(
        said.contains("could not be asked") && said.contains("AccessDenied"),
        "{said}"
    );
    assert!(!said.contains(&shop.key.1));

    // With the rights for checks alone.
    shop.also("ask", &simulate.to_string()).await;
    let (rights, said, code) = asked(&desk);
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(
        of("no", &rights),
        ["dynamodb:UpdateTable", "ecs:UpdateService"],
        "{said}"
    );
    assert_eq!(
        of("yes", &rights),
        ["dynamodb:DescribeTable", "ecs:DescribeServices", "ecs:ListClusters"],
        "{said}"
    );
    let (shown, _) = desk.run(&["grants", "book.starr", "--ask"]);
    for words in [
        "allowed  prod dynamodb:DescribeTable",
        "denied   prod ecs:UpdateService",
        "no policy allows it",
    ] {
        assert!(shown.contains(words), "{words:?} is missing in\n{shown}");
    }

    // With everything that is printed.
    for (number, policy) in policies.iter().enumerate() {
        shop.also(&format!("all{number}"), policy).await;
    }
    let (rights, said, code) = asked(&desk);
    assert!(code == Some(0) && of("yes", &rights).len() == rights.len(), "{said}");

    // Nobody answers: nothing is allowed.
    let Shop {
        moto,
        secrets: _secrets,
        ..
    } = shop;
    drop(moto);
    let (rights, said, code) = asked(&desk);
    assert!(
        code == Some(1) && of("unknown", &rights).len() == rights.len(),
        "{said}"
    );
}
