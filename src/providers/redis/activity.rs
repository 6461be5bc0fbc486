//! What the server is doing: its clients, slow commands, and how fast it answers.

use super::connection::Link;
use super::failure::Failure;
use super::info::{odd, text};
use super::keys::Changed;
use super::lock::{Fence, fenced, watch};
use crate::value::{List, Reason, Secret, Value};
use ::redis::{Value as Reply, cmd};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Pause between two questions when answering is timed.
const PAUSE: Duration = Duration::from_millis(10);

/// `clients.list`
pub async fn clients(link: &mut Link, server: &Value, at_most: usize) -> Result<Value, Failure> {
    let own = match link.ask(cmd("CLIENT").arg("ID")).await? {
        Reply::Int(own) => own,
        _ => return Err(odd("CLIENT ID")),
    };
    let reply = link.ask(cmd("CLIENT").arg("LIST")).await?;
    let text = text(&reply).ok_or_else(|| odd("CLIENT LIST"))?;
    let mut clients: Vec<(i64, Value)> = text
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| client(server, line))
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .filter(|(id, _, _)| *id != own)
        .map(|(_, idle, client)| (idle, client))
        .collect();
    clients.sort_by_key(|(idle, _)| std::cmp::Reverse(*idle));
    let truncated = clients.len() > at_most;
    Ok(Value::List(Arc::new(List {
        items: clients.into_iter().take(at_most).map(|(_, client)| client).collect(),
        truncated,
    })))
}

fn client(server: &Value, line: &str) -> Result<(i64, i64, Value), Failure> {
    let fields: BTreeMap<&str, &str> = line.split(' ').filter_map(|field| field.split_once('=')).collect();
    let number = |name: &str| {
        fields
            .get(name)
            .and_then(|text| text.parse::<i64>().ok())
            .ok_or_else(|| odd("CLIENT LIST"))
    };
    let word = |name: &str| Value::text(fields.get(name).copied().unwrap_or_default());
    let seconds = |number: i64| {
        number
            .checked_mul(1_000_000_000)
            .map(Value::Duration)
            .ok_or_else(|| odd("CLIENT LIST"))
    };
    let (id, age, idle) = (number("id")?, number("age")?, number("idle")?);
    let record = Value::record(
        "Client",
        vec![
            ("server", server.clone()),
            ("id", Value::Int(id)),
            ("address", word("addr")),
            ("name", word("name")),
            ("user", word("user")),
            ("age", seconds(age)?),
            ("idle", seconds(idle)?),
            ("command", word("cmd")),
            (
                "memory",
                number("tot-mem").map_or(Value::None, |bytes| Value::Bytes(bytes.max(0))),
            ),
        ],
    );
    Ok((id, idle, record))
}

/// A client as it was when it was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub server: String,
    id: i64,
    address: String,
}

impl Listed {
    /// Number and address: together they are one client.
    pub fn who(&self) -> (i64, String) {
        (self.id, self.address.clone())
    }

    /// Where it comes from.
    pub fn address(&self) -> &str {
        &self.address
    }
}

/// Number and address of every client that is connected now.
pub async fn addresses(link: &mut Link) -> Result<BTreeSet<(i64, String)>, Failure> {
    let reply = link.ask(cmd("CLIENT").arg("LIST")).await?;
    let text = text(&reply).ok_or_else(|| odd("CLIENT LIST"))?;
    text.lines()
        .filter(|line| !line.is_empty())
        .map(|line| {
            let fields: BTreeMap<&str, &str> = line.split(' ').filter_map(|field| field.split_once('=')).collect();
            let id = fields.get("id").and_then(|id| id.parse().ok());
            id.zip(fields.get("addr").map(|address| (*address).to_owned()))
                .ok_or_else(|| odd("CLIENT LIST"))
        })
        .collect()
}

/// Reads the clients of a call.
pub fn listed(clients: &Value) -> Result<Vec<Listed>, Failure> {
    let wrong = || Failure::definite(Reason::Unparsable, "a client does not say who it is");
    let items = match clients {
        Value::List(list) if list.truncated => {
            return Err(Failure::definite(Reason::Truncated, "the list of clients was cut"));
        }
        Value::List(list) => &list.items,
        Value::Unknown(unknown) => return Err((**unknown).clone().into()),
        _ => return Err(Failure::definite(Reason::Unparsable, "the clients are not a list")),
    };
    items
        .iter()
        .map(|item| {
            let record = item.as_record().ok_or_else(wrong)?;
            let word = |field: &str| {
                record
                    .get(field)
                    .and_then(Value::as_str)
                    .map(str::to_owned)
                    .ok_or_else(wrong)
            };
            match record.get("id") {
                Some(Value::Int(id)) => Ok(Listed {
                    server: word("server")?,
                    id: *id,
                    address: word("address")?,
                }),
                _ => Err(wrong()),
            }
        })
        .collect()
}

/// `clients.end`: by number and address together, so that a number that is used again after a restart is not hit.
pub async fn end(link: &mut Link, fence: Option<&Fence>, clients: &[Listed]) -> Result<Changed, Failure> {
    let mut total = Changed::default();
    for client in clients {
        let ended = async {
            watch(link, fence).await?;
            let mut command = cmd("CLIENT");
            command
                .arg("KILL")
                .arg("ID")
                .arg(client.id)
                .arg("ADDR")
                .arg(&client.address);
            fenced(link, fence, &command).await
        };
        match ended.await {
            Ok(Reply::Int(1..)) => total.changed += 1,
            Ok(_) => total.already_gone += 1,
            Err(failure) if total.changed > 0 => return Err(failure.after_sending()),
            Err(failure) => return Err(failure),
        }
    }
    Ok(total)
}

/// `slow_log`
pub async fn slow_log(link: &mut Link, at_most: usize) -> Result<Value, Failure> {
    // One more than wanted, so that a list that was cut is known to be cut.
    let Reply::Array(entries) = link.ask(cmd("SLOWLOG").arg("GET").arg(at_most + 1)).await? else {
        return Err(odd("SLOWLOG GET"));
    };
    let truncated = entries.len() > at_most;
    let items = entries
        .iter()
        .take(at_most)
        .map(slow)
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| odd("SLOWLOG GET"))?;
    Ok(Value::List(Arc::new(List { items, truncated })))
}

fn slow(entry: &Reply) -> Option<Value> {
    let Reply::Array(parts) = entry else { return None };
    let [
        Reply::Int(id),
        Reply::Int(second),
        Reply::Int(micros),
        Reply::Array(words),
        rest @ ..,
    ] = parts.as_slice()
    else {
        return None;
    };
    let mut words = words.iter().filter_map(text);
    let command = words.next().unwrap_or_default().to_ascii_lowercase();
    let arguments: Vec<String> = words.collect();
    let word = |index: usize| Value::text(rest.get(index).and_then(text).unwrap_or_default());
    Some(Value::record(
        "SlowCommand",
        vec![
            ("id", Value::Int(*id)),
            ("at", Value::Time(jiff::Timestamp::from_second(*second).ok()?)),
            ("took", Value::Duration(micros.checked_mul(1_000)?)),
            ("command", Value::text(command)),
            (
                "arguments",
                Value::Secret(Secret::new(Value::text(arguments.join(" ")))),
            ),
            ("client", word(0)),
            ("client_name", word(1)),
        ],
    ))
}

/// `latency`: how long the server takes to say that it is there.
pub async fn latency(link: &mut Link, over: Duration) -> Result<Value, Failure> {
    let end = Instant::now() + over;
    if end >= link.until() {
        return Err(Failure::definite(Reason::Timeout, "`over` does not fit into `within`"));
    }
    let (mut least, mut most, mut sum, mut samples) = (Duration::MAX, Duration::ZERO, Duration::ZERO, 0_u32);
    loop {
        let begin = Instant::now();
        link.ask(&cmd("PING")).await?;
        let took = begin.elapsed();
        (least, most, sum, samples) = (least.min(took), most.max(took), sum + took, samples + 1);
        if Instant::now() + PAUSE >= end {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(Value::record(
        "Latency",
        vec![
            ("min", Value::duration(least)),
            ("average", Value::duration(sum / samples)),
            ("max", Value::duration(most)),
            ("samples", Value::Int(samples.into())),
        ],
    ))
}

#[cfg(test)]
mod tests {
    use super::{client, slow};
    use crate::value::Value;
    use ::redis::Value as Reply;

    #[test]
    fn a_line_about_a_client_is_read_by_its_names() {
        let server = Value::text("cache");
        let (id, idle, record) = client(
            &server,
            "id=7 addr=10.0.0.1:5 laddr=x fd=8 name= age=90 idle=60 flags=N db=0 cmd=get tot-mem=2048 user=app",
        )
        .unwrap();
        assert_eq!((id, idle), (7, 60));
        let record = record.as_record().unwrap().clone();
        assert_eq!(record.get("user"), Some(&Value::text("app")));
        assert_eq!(record.get("memory"), Some(&Value::Bytes(2048)));
        assert_eq!(record.get("age"), Some(&Value::Duration(90_000_000_000)));
        assert!(client(&server, "addr=10.0.0.1:5").is_err());
    }

    #[test]
    fn the_arguments_of_a_slow_command_are_secret() {
        let bulk = |text: &str| Reply::BulkString(text.as_bytes().to_vec());
        let entry = Reply::Array(vec![
            Reply::Int(1),
            Reply::Int(1_700_000_000),
            Reply::Int(12_000),
            Reply::Array(vec![bulk("SET"), bulk("session:1"), bulk("swordfish")]),
            bulk("127.0.0.1:1"),
            bulk(""),
        ]);
        let shown = format!("{:?}", slow(&entry).unwrap());
        assert!(shown.contains("\"set\"") && !shown.contains("swordfish"), "{shown}");
        assert!(slow(&Reply::Array(vec![Reply::Int(1)])).is_none());
    }
}
