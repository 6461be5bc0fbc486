//! The lock of an account, in a table of the emulator.

use super::{Moto, World, done, json, text};
use crate::support::doctor_of_lock;
use serde_json::json as j;
use starr::provider::lock::{Held, Holder, NotTaken};
use starr::provider::{HealthState, Provider};
use starr::providers::aws::Aws;
use starr::value::Reason;

fn holder(who: &str) -> Holder {
    Holder {
        run: "260814-0912-kolu".to_owned(),
        who: who.to_owned(),
        host: "laptop7".to_owned(),
    }
}

/// A provider whose account has a lock, in a table or without one, and who looks at the table.
struct Laptop {
    provider: Aws,
    world: World,
}

fn laptop(moto: &Moto, lock: &str) -> Laptop {
    let folder = tempfile::tempdir().unwrap();
    let entry = moto.entry(folder.path(), "AKIAEXAMPLE", "any");
    let entry = entry.replacen("{ region", &format!("{{ {lock}region"), 1);
    let config = serde_yaml::from_str(&format!("accounts: {{ prod: {entry} }}")).unwrap();
    Laptop {
        provider: Aws::new(&config).unwrap(),
        world: World::new(&entry, folder),
    }
}

fn locking(moto: &Moto) -> Laptop {
    laptop(moto, "lock_table: starr-locks, ")
}

/// The table that holds locks.
pub async fn make_table(world: &World) {
    let args = [
        ("TableName", text("starr-locks")),
        ("KeySchema", json(j!([{"AttributeName": "LockID", "KeyType": "HASH"}]))),
        (
            "AttributeDefinitions",
            json(j!([{"AttributeName": "LockID", "AttributeType": "S"}])),
        ),
        ("BillingMode", text("PAY_PER_REQUEST")),
    ];
    done(world, "dynamodb.create_table", &args).await;
}

async fn put(world: &World, item: serde_json::Value) {
    let args = [("TableName", text("starr-locks")), ("Item", json(item))];
    done(world, "dynamodb.put_item", &args).await;
}

/// What stands in it.
pub async fn items(world: &World) -> serde_json::Value {
    world.json("dynamodb.scan", &[("TableName", text("starr-locks"))]).await["Items"].clone()
}

async fn take(laptop: &Laptop, who: &str, over: Option<&str>) -> Result<Box<dyn Held>, NotTaken> {
    let taken = laptop.provider.lock("prod", &holder(who), over).await?;
    Ok(taken.expect("this account has a lock"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_run_is_told_who_has_the_account_and_may_take_it_over() {
    let moto = Moto::start(1_000_000);
    let (one, two) = (locking(&moto), locking(&moto));
    make_table(&one.world).await;
    let first = take(&one, "maria", None).await.unwrap_or_else(|why| panic!("{why:?}"));
    first.still_held().await.unwrap();
    let (state, said) = doctor_of_lock(&two.provider).await.unwrap();
    assert_eq!(state, HealthState::Good);
    assert!(
        said.contains("run 260814-0912-kolu maria@laptop7 has it since 20"),
        "{said}"
    );
    let Err(NotTaken::HeldBy(other)) = take(&two, "jonas", None).await else {
        panic!("two runs have the lock");
    };
    assert_eq!(other.shown, "run 260814-0912-kolu maria@laptop7");
    assert!(other.since.ends_with("UTC"), "{}", other.since);
    let second = take(&two, "jonas", Some(&other.token))
        .await
        .unwrap_or_else(|why| panic!("{why:?}"));
    assert_eq!(first.still_held().await.unwrap_err().reason, Reason::Denied);
    // Giving back what is lost takes nothing from whoever has it.
    drop(first);
    second.still_held().await.unwrap();
    // A token of a holding that is over takes nothing over.
    let stale = take(&one, "maria", Some(&other.token)).await;
    assert!(matches!(stale, Err(NotTaken::HeldBy(_))));
    drop(second);
    assert_eq!(items(&one.world).await, j!([]), "it is given back");
    let (_, said) = doctor_of_lock(&two.provider).await.unwrap();
    assert!(said.contains("nobody has it"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_holder_loses_the_account_and_an_item_of_somebody_else_stays() {
    let moto = Moto::start(1_000_000);
    let laptop = locking(&moto);
    make_table(&laptop.world).await;
    let silent = |at: &str| j!({"LockID": {"S": "starr"}, "Holder": {"S": "starr/00 r m@l"}, "Expires": {"N": at}});
    put(&laptop.world, silent("4000000000")).await;
    assert!(
        matches!(take(&laptop, "jonas", None).await, Err(NotTaken::HeldBy(_))),
        "it is good for years"
    );
    put(&laptop.world, silent("1700000000")).await;
    let held = take(&laptop, "jonas", None)
        .await
        .unwrap_or_else(|why| panic!("{why:?}"));
    // Somebody deletes it.
    let key = [
        ("TableName", text("starr-locks")),
        ("Key", json(j!({"LockID": {"S": "starr"}}))),
    ];
    done(&laptop.world, "dynamodb.delete_item", &key).await;
    assert!(held.still_held().await.is_err());
    drop(held);
    put(
        &laptop.world,
        j!({"LockID": {"S": "starr"}, "Info": {"S": "not of starr"}}),
    )
    .await;
    let Err(NotTaken::HeldBy(other)) = take(&laptop, "jonas", Some("")).await else {
        panic!("the item of somebody else was overwritten");
    };
    assert_eq!(other.shown, "something that is no run of starr");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_table_the_lock_is_not_taken_and_without_an_entry_there_is_none() {
    let moto = Moto::start(1_000_000);
    let Err(NotTaken::Unclear(why)) = take(&locking(&moto), "maria", None).await else {
        panic!("a lock without a table");
    };
    assert!(why.detail.contains("the table `starr-locks` of the lock"), "{why:?}");
    let (state, said) = doctor_of_lock(&locking(&moto).provider).await.unwrap();
    assert_eq!(state, HealthState::Bad);
    assert!(
        said.contains("no change can be made") && said.contains("starr-locks"),
        "{said}"
    );
    let off = laptop(&moto, "");
    assert!(doctor_of_lock(&off.provider).await.is_none());
    assert!(
        off.provider
            .lock("prod", &holder("maria"), None)
            .await
            .unwrap()
            .is_none()
    );
}
