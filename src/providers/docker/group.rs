//! What is done to several containers, networks, volumes or images: each only while it is what was looked at.

use super::failure::Failure;
use super::running::Seen;
use super::{Link, inspect, is_name, values};
use crate::limits::DOCKER_TOGETHER;
use crate::value::{Reason, Value};
use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{
    InspectNetworkOptions, RemoveContainerOptions, RemoveImageOptions, RemoveVolumeOptions, StartContainerOptions,
    StopContainerOptions,
};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// The label in which compose writes what a service needs: `db:service_healthy:false,cache:service_started:true`.
const NEEDS: &str = "com.docker.compose.depends_on";

/// What came of a change of several things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handled {
    changed: i64,
    already_so: i64,
    already_gone: i64,
    moved_on: i64,
}

/// What came of one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum One {
    Changed,
    AlreadySo,
    AlreadyGone,
    MovedOn,
}

impl Handled {
    fn count(&mut self, one: One) {
        match one {
            One::Changed => self.changed += 1,
            One::AlreadySo => self.already_so += 1,
            One::AlreadyGone => self.already_gone += 1,
            One::MovedOn => self.moved_on += 1,
        }
    }

    /// Counts one more. What was done before it is not undone by a failure.
    fn add(&mut self, one: Result<One, Failure>) -> Result<(), Failure> {
        match one {
            Ok(one) => {
                self.count(one);
                Ok(())
            }
            Err(failure) if self.changed > 0 => Err(failure.after_sending()),
            Err(failure) => Err(failure),
        }
    }

    /// As a record.
    pub fn value(self) -> Value {
        Value::record(
            "Handled",
            vec![
                ("changed", Value::Int(self.changed)),
                ("already_so", Value::Int(self.already_so)),
                ("already_gone", Value::Int(self.already_gone)),
                ("moved_on", Value::Int(self.moved_on)),
            ],
        )
    }
}

/// The elements of a list that is an argument. A list that was cut, or is too long, sends nothing.
fn elements<'a>(list: &'a Value, what: &str) -> Result<&'a [Value], Failure> {
    match list {
        Value::List(list) if list.truncated => Err(Failure::definite(
            Reason::Truncated,
            format!("the list of {what} was cut"),
        )),
        Value::List(list) if list.items.len() > DOCKER_TOGETHER => Err(Failure::definite(
            Reason::Truncated,
            format!("more than {DOCKER_TOGETHER} {what} for one call"),
        )),
        Value::List(list) => Ok(&list.items),
        Value::Unknown(unknown) => Err((**unknown).clone().into()),
        _ => Err(Failure::definite(
            Reason::Unparsable,
            format!("the {what} are not a list"),
        )),
    }
}

/// What is done to containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Start,
    Stop,
    /// Back to how they were looked at.
    Restore,
    /// Stopped, if they run, and removed.
    Take,
    /// Removed, if they do not run.
    Remove,
}

impl Order {
    /// The order of an operation.
    pub fn of(path: &str) -> Option<Self> {
        Some(match path {
            "projects.start" => Order::Start,
            "projects.stop" => Order::Stop,
            "projects.restore" => Order::Restore,
            "projects.remove" => Order::Take,
            "containers.remove" => Order::Remove,
            _ => return None,
        })
    }
}

/// The containers of a call. One that cannot be read makes the whole call a failure.
pub fn containers(list: &Value) -> Result<Vec<Seen>, Failure> {
    elements(list, "containers")?.iter().map(Seen::of).collect()
}

/// A container as it is now.
struct Now {
    running: bool,
    began: Option<Timestamp>,
    service: Option<String>,
    needs: Vec<String>,
}

impl Now {
    fn of(found: &ContainerInspectResponse) -> Self {
        let state = found.state.as_ref();
        let label = |name: &str| {
            let labels = found.config.as_ref()?.labels.as_ref()?;
            labels.get(name).map(String::as_str)
        };
        Self {
            running: state.and_then(|state| state.running).unwrap_or(false),
            began: values::moment(state.and_then(|state| state.started_at.as_deref())),
            service: label(values::SERVICE).map(str::to_owned),
            needs: label(NEEDS).map(needed).unwrap_or_default(),
        }
    }
}

/// The services in compose's label.
fn needed(label: &str) -> Vec<String> {
    label
        .split(',')
        .filter_map(|entry| entry.split(':').next())
        .filter(|service| !service.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The order in which services begin: each behind those that it needs. In a circle the order that was given.
fn in_order(services: &[(Option<String>, Vec<String>)]) -> Vec<usize> {
    fn visit(
        index: usize,
        services: &[(Option<String>, Vec<String>)],
        by_name: &BTreeMap<&str, Vec<usize>>,
        visited: &mut BTreeSet<usize>,
        order: &mut Vec<usize>,
    ) {
        // Marked before what it needs is looked at: a circle ends here.
        if !visited.insert(index) {
            return;
        }
        for need in &services[index].1 {
            for other in by_name.get(need.as_str()).into_iter().flatten() {
                visit(*other, services, by_name, visited, order);
            }
        }
        order.push(index);
    }
    let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, (service, _)) in services.iter().enumerate() {
        if let Some(service) = service {
            by_name.entry(service).or_default().push(index);
        }
    }
    let (mut visited, mut order) = (BTreeSet::new(), Vec::new());
    for index in 0..services.len() {
        visit(index, services, &by_name, &mut visited, &mut order);
    }
    order
}

/// Whether the engine has answered that there is no such thing.
fn is_gone(failure: &Failure) -> bool {
    failure.unknown.detail.contains("status 404")
}

/// Carries an order out on containers of one engine.
pub async fn carry_out(link: &Link, seen: &[Seen], order: Order, grace: i32) -> Result<Handled, Failure> {
    let mut now = Vec::with_capacity(seen.len());
    for container in seen {
        now.push(match inspect(link, &container.id).await {
            Ok(found) => Some(Now::of(&found)),
            Err(failure) if is_gone(&failure) => None,
            Err(failure) => return Err(failure),
        });
    }
    let services: Vec<_> = now
        .iter()
        .map(|now| {
            now.as_ref()
                .map_or((None, Vec::new()), |now| (now.service.clone(), now.needs.clone()))
        })
        .collect();
    let mut turns = in_order(&services);
    // What others need begins first and ends last.
    let ends_first = match order {
        Order::Start | Order::Restore => false,
        Order::Stop | Order::Take | Order::Remove => true,
    };
    if ends_first {
        turns.reverse();
    }
    let mut total = Handled::default();
    for turn in turns {
        let one = match &now[turn] {
            None => Ok(One::AlreadyGone),
            Some(now) => one(link, &seen[turn], now, order, grace).await,
        };
        total.add(one)?;
    }
    Ok(total)
}

async fn one(link: &Link, seen: &Seen, now: &Now, order: Order, grace: i32) -> Result<One, Failure> {
    // One that did not run when it was looked at may have been started by the order that is taken back.
    let began_anew = seen.ran && now.running && now.began != seen.started;
    match order {
        Order::Start if now.running => Ok(One::AlreadySo),
        Order::Start => start(link, seen).await,
        Order::Stop if !now.running => Ok(One::AlreadySo),
        Order::Stop | Order::Take if began_anew => Ok(One::MovedOn),
        Order::Stop => stop(link, seen, grace).await,
        Order::Restore if now.running == seen.ran => Ok(One::AlreadySo),
        Order::Restore if seen.ran => start(link, seen).await,
        Order::Restore => stop(link, seen, grace).await,
        // One that was begun since it was looked at is wanted by somebody.
        Order::Take | Order::Remove if now.running && !seen.ran => Ok(One::MovedOn),
        Order::Remove if now.running || now.began != seen.started => Ok(One::MovedOn),
        Order::Remove => remove(link, seen).await,
        Order::Take => {
            let stopped = now.running;
            if stopped {
                stop(link, seen, grace).await?;
            }
            match remove(link, seen).await {
                // It stands still and is there: half of it was done.
                Err(failure) if stopped => Err(failure.after_sending()),
                other => other,
            }
        }
    }
}

async fn start(link: &Link, seen: &Seen) -> Result<One, Failure> {
    let work = link.client.start_container(&seen.id, None::<StartContainerOptions>);
    gone_or(link.wait(work, true).await)
}

async fn stop(link: &Link, seen: &Seen, grace: i32) -> Result<One, Failure> {
    let options = StopContainerOptions {
        signal: None,
        t: Some(grace),
    };
    gone_or(
        link.wait(link.client.stop_container(&seen.id, Some(options)), true)
            .await,
    )
}

async fn remove(link: &Link, seen: &Seen) -> Result<One, Failure> {
    // Neither by force nor with its volumes: what it wrote stays.
    let options = RemoveContainerOptions {
        force: false,
        v: false,
        link: false,
    };
    gone_or(
        link.wait(link.client.remove_container(&seen.id, Some(options)), true)
            .await,
    )
}

fn gone_or<T>(result: Result<T, Failure>) -> Result<One, Failure> {
    match result {
        Ok(_) => Ok(One::Changed),
        Err(failure) if is_gone(&failure) => Ok(One::AlreadyGone),
        Err(failure) => Err(failure),
    }
}

/// A network, a volume or an image as it was when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    pub engine: String,
    /// What the engine knows it by: the id of a network or an image, the name of a volume.
    key: String,
    /// A volume has no id; when it was made tells it from one of the same name.
    made: Option<Timestamp>,
}

/// Which kind of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Network,
    Volume,
    Image,
}

impl Kind {
    /// The kind of an operation, and the argument that holds what is removed.
    pub fn of(path: &str) -> Option<(Self, &'static str)> {
        Some(match path {
            "networks.remove" => (Kind::Network, "networks"),
            "volumes.remove" => (Kind::Volume, "volumes"),
            "images.remove" => (Kind::Image, "images"),
            _ => return None,
        })
    }
}

/// The things of a call. One that cannot be read makes the whole call a failure.
pub fn things(list: &Value, kind: Kind, what: &str) -> Result<Vec<Thing>, Failure> {
    let wrong = || {
        Failure::definite(
            Reason::Unparsable,
            format!("one of the {what} does not say which one it is"),
        )
    };
    elements(list, what)?
        .iter()
        .map(|item| {
            let record = item.as_record().ok_or_else(wrong)?;
            let word = |field: &str| record.get(field).and_then(Value::as_str).ok_or_else(wrong);
            let made = match record.get("created") {
                Some(Value::Time(time)) => Some(*time),
                _ => None,
            };
            let key = match kind {
                Kind::Volume if made.is_none() => return Err(wrong()),
                Kind::Volume => word("name")?,
                Kind::Network | Kind::Image => word("id")?,
            };
            if !is_name(key.strip_prefix("sha256:").unwrap_or(key)) {
                return Err(wrong());
            }
            Ok(Thing {
                engine: word("engine")?.to_owned(),
                key: key.to_owned(),
                made,
            })
        })
        .collect()
}

/// Removes things of one engine that nobody uses: the engine itself refuses the others.
pub async fn discard(link: &Link, things: &[Thing], kind: Kind) -> Result<Handled, Failure> {
    let mut total = Handled::default();
    for thing in things {
        total.add(discard_one(link, thing, kind).await)?;
    }
    Ok(total)
}

async fn discard_one(link: &Link, thing: &Thing, kind: Kind) -> Result<One, Failure> {
    let client = &link.client;
    match kind {
        Kind::Network => {
            let look = client.inspect_network(&thing.key, None::<InspectNetworkOptions>);
            match link.wait(look, false).await {
                // What is asked for by an id may have it as its name.
                Ok(found) if found.id.as_deref() != Some(&thing.key) => return Ok(One::MovedOn),
                Ok(_) => {}
                Err(failure) if is_gone(&failure) => return Ok(One::AlreadyGone),
                Err(failure) => return Err(failure),
            }
            gone_or(link.wait(client.remove_network(&thing.key), true).await)
        }
        Kind::Volume => {
            match link.wait(client.inspect_volume(&thing.key), false).await {
                Ok(found) if values::moment(found.created_at.as_deref()) != thing.made => return Ok(One::MovedOn),
                Ok(_) => {}
                Err(failure) if is_gone(&failure) => return Ok(One::AlreadyGone),
                Err(failure) => return Err(failure),
            }
            let options = RemoveVolumeOptions { force: false };
            gone_or(link.wait(client.remove_volume(&thing.key, Some(options)), true).await)
        }
        Kind::Image => {
            let options = RemoveImageOptions {
                force: false,
                ..RemoveImageOptions::default()
            };
            gone_or(
                link.wait(client.remove_image(&thing.key, Some(options), None), true)
                    .await,
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DOCKER_TOGETHER, Kind, containers, in_order, needed, things};
    use crate::value::{List, Value};
    use std::sync::Arc;

    fn service(name: &str, needs: &[&str]) -> (Option<String>, Vec<String>) {
        (
            Some(name.to_owned()),
            needs.iter().map(|need| (*need).to_owned()).collect(),
        )
    }

    #[test]
    fn what_is_needed_comes_first_and_a_circle_ends() {
        let services = [
            service("web", &["api", "nobody"]),
            service("api", &["db", "cache"]),
            service("cache", &[]),
            service("db", &[]),
            (None, Vec::new()),
        ];
        assert_eq!(in_order(&services), [3, 2, 1, 0, 4]);
        let circle = [service("a", &["b"]), service("b", &["a"])];
        assert_eq!(in_order(&circle), [1, 0]);
        assert_eq!(
            needed("db:service_healthy:false,cache:service_started:true"),
            ["db", "cache"]
        );
        assert_eq!(needed(""), [] as [&str; 0]);
    }

    #[test]
    fn one_that_cannot_be_read_sends_nothing() {
        let list = |truncated, items| Value::List(Arc::new(List { items, truncated }));
        assert!(containers(&list(true, Vec::new())).is_err());
        assert!(containers(&list(false, vec![Value::Int(1)])).is_err());
        assert!(containers(&Value::text("all")).is_err());
        assert!(containers(&list(false, Vec::new())).unwrap().is_empty());
        let volume = |created: Value| {
            Value::record(
                "Volume",
                vec![
                    ("engine", Value::text("here")),
                    ("name", Value::text("data")),
                    ("created", created),
                ],
            )
        };
        let made = Value::Time(jiff::Timestamp::UNIX_EPOCH);
        assert!(things(&list(false, vec![volume(made)]), Kind::Volume, "volumes").is_ok());
        assert!(
            things(&list(false, vec![volume(Value::None)]), Kind::Volume, "volumes").is_err(),
            "nothing tells it from another of its name"
        );
        let image = |id: &str| {
            let fields = vec![("engine", Value::text("here")), ("id", Value::text(id))];
            list(false, vec![Value::record("Image", fields)])
        };
        assert!(things(&image("sha256:abc"), Kind::Image, "images").is_ok());
        assert!(things(&image("../volumes/data"), Kind::Image, "images").is_err());
    }

    #[test]
    fn a_call_takes_only_so_many_containers() {
        let container = Value::record(
            "Container",
            vec![("engine", Value::text("here")), ("id", Value::text("abc"))],
        );
        let many = |count| Value::list(vec![container.clone(); count]);
        assert_eq!(containers(&many(DOCKER_TOGETHER)).unwrap().len(), DOCKER_TOGETHER);
        assert!(containers(&many(DOCKER_TOGETHER + 1)).is_err());
    }
}
