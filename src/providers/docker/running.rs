//! What is done to one container, and what it says.

use super::config::Engine;
use super::failure::Failure;
use super::values;
use super::{Link, inspect, text};
use crate::limits::{DOCKER_LINES, DOCKER_OUTPUT_BYTES};
use crate::provider::Call;
use crate::providers::arguments::{Arguments, not_fitting};
use crate::providers::contract::{Contract, Does, Ended};
use crate::value::{List, Reason, Value};
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bollard::models::ContainerStatsResponse;
use bollard::query_parameters::{
    LogsOptions, RestartContainerOptions, StartContainerOptions, StatsOptions, StopContainerOptions,
};
use futures::Stream;
use jiff::Timestamp;
use std::pin::pin;
use std::sync::Arc;

/// A container as it was when it was looked at: its id is its own for ever, and it began at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub engine: String,
    pub id: String,
    pub started: Option<Timestamp>,
    /// Whether it ran when it was looked at.
    pub ran: bool,
}

impl Seen {
    /// Reads a container of a call.
    pub fn of(container: &Value) -> Result<Self, Failure> {
        let wrong = || Failure::definite(Reason::Unparsable, "the container does not say which one it is");
        if let Value::Unknown(unknown) = container {
            return Err((**unknown).clone().into());
        }
        let record = container.as_record().ok_or_else(wrong)?;
        let word = |field: &str| {
            record
                .get(field)
                .and_then(Value::as_str)
                .map(str::to_owned)
                .ok_or_else(wrong)
        };
        Ok(Self {
            engine: word("engine")?,
            id: word("id")?,
            started: match record.get("started") {
                Some(Value::Time(time)) => Some(*time),
                _ => None,
            },
            ran: record
                .get("state")
                .and_then(Value::as_str)
                .is_some_and(|state| matches!(state, "running" | "paused" | "restarting")),
        })
    }
}

/// An order to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Start,
    Stop,
    Restart,
    Pause,
    Unpause,
}

impl Order {
    /// The order of an operation.
    pub fn of(path: &str) -> Option<Self> {
        Some(match path {
            "containers.start" => Order::Start,
            "containers.stop" => Order::Stop,
            "containers.restart" => Order::Restart,
            "containers.pause" => Order::Pause,
            "containers.unpause" => Order::Unpause,
            _ => return None,
        })
    }
}

/// How many seconds a container gets to end by itself.
pub fn grace(call: &Call) -> Option<i32> {
    match call.arg("grace") {
        Value::Duration(nanoseconds) => Some(i32::try_from(nanoseconds / 1_000_000_000).unwrap_or(i32::MAX).max(0)),
        _ => None,
    }
}

/// Gives an order, if the container still is what was looked at and is not yet as it should be.
pub async fn order(link: &Link, call: &Call, seen: &Seen, order: Order) -> Result<Value, Failure> {
    let engine = Value::Resource {
        kind: "Engine".into(),
        name: seen.engine.as_str().into(),
    };
    let now = inspect(link, &seen.id).await?;
    let state = now.state.clone().unwrap_or_default();
    let (running, paused) = (state.running.unwrap_or(false), state.paused.unwrap_or(false));
    let started: Option<Timestamp> = state.started_at.and_then(|text| text.parse().ok());
    let began_anew = started.filter(|time| time.as_second() > 0) != seen.started;
    let grace = grace(call);
    let nothing_to_do = match order {
        Order::Start => running,
        Order::Stop => !running,
        // It has begun anew since it was looked at: that is what was wanted, and it is not done twice.
        Order::Restart => began_anew,
        Order::Pause => paused,
        Order::Unpause => !paused,
    };
    if !nothing_to_do {
        // One that did not run when it was looked at has begun since, by the start that is taken back.
        if began_anew && seen.ran && matches!(order, Order::Stop | Order::Pause) {
            return Err(Failure::definite(
                Reason::Denied,
                "the container has begun anew since it was looked at: it is left as it is",
            ));
        }
        let (client, id) = (&link.client, seen.id.as_str());
        let work = async {
            match order {
                Order::Start => client.start_container(id, None::<StartContainerOptions>).await,
                Order::Stop => {
                    let options = StopContainerOptions { signal: None, t: grace };
                    client.stop_container(id, Some(options)).await
                }
                Order::Restart => {
                    let options = RestartContainerOptions { signal: None, t: grace };
                    client.restart_container(id, Some(options)).await
                }
                Order::Pause => client.pause_container(id).await,
                Order::Unpause => client.unpause_container(id).await,
            }
        };
        link.wait(work, true).await?;
    }
    // The order was carried out; how the container is now is one more question.
    let now = inspect(link, &seen.id).await.map_err(|failure| Failure {
        definite: false,
        ..failure
    })?;
    Ok(values::container(&engine, &now))
}

/// What came over a stream, at most so many bytes of each kind.
#[derive(Default)]
struct Output {
    out: Vec<u8>,
    err: Vec<u8>,
    cut: bool,
}

async fn collect(
    link: &Link,
    stream: impl Stream<Item = Result<LogOutput, Error>>,
    sent: bool,
) -> Result<Output, Failure> {
    let mut output = Output::default();
    let mut stream = pin!(stream);
    loop {
        let Some(piece) = link.next(&mut stream, sent).await? else {
            return Ok(output);
        };
        let (kept, message) = match &piece {
            LogOutput::StdErr { message } => (&mut output.err, message),
            LogOutput::StdOut { message } | LogOutput::StdIn { message } | LogOutput::Console { message } => {
                (&mut output.out, message)
            }
        };
        let room = DOCKER_OUTPUT_BYTES.saturating_sub(kept.len()).min(message.len());
        kept.extend_from_slice(&message[..room]);
        if room < message.len() {
            output.cut = true;
            return Ok(output);
        }
    }
}

/// Runs a program to its end. Whatever happens after it was begun is not known for sure.
async fn program(
    link: &Link,
    seen: &Seen,
    options: CreateExecOptions<String>,
) -> Result<(Output, Option<i64>), Failure> {
    let options = CreateExecOptions {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        attach_stdin: Some(false),
        tty: Some(false),
        ..options
    };
    // Made, and not begun: nothing runs yet.
    let made = link.wait(link.client.create_exec(&seen.id, options), false).await?;
    let begun = link
        .wait(link.client.start_exec(&made.id, None::<StartExecOptions>), true)
        .await?;
    let StartExecResults::Attached { output, .. } = begun else {
        return Err(Failure {
            definite: false,
            ..Failure::definite(Reason::Unparsable, "the engine shows nothing of what the program says")
        });
    };
    let output = collect(link, output, true).await?;
    // It ran. An engine that has forgotten it by now does not make that undone: how it ended is not known.
    let after = link.wait(link.client.inspect_exec(&made.id), true).await.ok();
    let code = after.and_then(|after| after.exit_code.filter(|_| !after.running.unwrap_or(false)));
    Ok((output, code))
}

/// `containers.exec`
pub async fn exec(link: &Link, seen: &Seen, argv: Vec<String>) -> Result<Value, Failure> {
    let options = CreateExecOptions {
        cmd: Some(argv),
        ..CreateExecOptions::default()
    };
    let (output, code) = program(link, seen, options).await?;
    let text = |bytes: &[u8]| Value::text(String::from_utf8_lossy(bytes).into_owned());
    Ok(Value::record(
        "Executed",
        vec![
            (
                "code",
                code.map_or_else(
                    || Value::unknown(Reason::Unsettled, "the program has not ended, or its end was not seen"),
                    Value::Int,
                ),
            ),
            ("output", text(&output.out)),
            ("errors", text(&output.err)),
            ("cut", Value::Bool(output.cut)),
        ],
    ))
}

/// The contract of a call, if it may do this.
pub fn contract<'a>(call: &Call, engine: &'a Engine, does: Does) -> Result<&'a Contract, Failure> {
    let name = text(Arguments(call), "program")?;
    let contract = engine.contracts.get(name).ok_or_else(|| {
        Failure::definite(
            Reason::Unavailable,
            format!("no contract `{name}` is declared for this engine"),
        )
    })?;
    contract.allows(name, does, false)?;
    Ok(contract)
}

/// Runs a program under its contract.
pub async fn under(link: &Link, call: &Call, seen: &Seen, contract: &Contract) -> Result<Ended, Failure> {
    let mut words = contract.words(call.arg("with"))?;
    words.insert(0, contract.program.to_string_lossy().into_owned());
    let variables = contract.variables()?;
    let options = CreateExecOptions {
        cmd: Some(words),
        env: Some(
            variables
                .iter()
                .map(|(name, text)| format!("{name}={}", text.expose()))
                .collect(),
        ),
        working_dir: contract
            .folder
            .as_ref()
            .map(|folder| folder.to_string_lossy().into_owned()),
        ..CreateExecOptions::default()
    };
    let begin = tokio::time::Instant::now();
    let within = contract.within();
    let run = tokio::time::timeout(within, program(link, seen, options)).await;
    let (output, code) = run.unwrap_or_else(|_| {
        Err(Failure::unclear(
            Reason::Timeout,
            "the program did not end in time, and may go on",
        ))
    })?;
    match (output.cut, code) {
        (true, None) => return Err(Failure::unclear(Reason::Truncated, "it printed more than 1 MiB")),
        (false, None) => return Err(Failure::unclear(Reason::Unsettled, "the program's end was not seen")),
        _ => {}
    }
    Ok(Ended {
        code,
        out: output.out,
        err: output.err,
        cut: output.cut,
        took: begin.elapsed(),
        confined: "container",
    })
}

/// The last lines of a container, both streams, and whether there were more.
async fn lines(link: &Link, call: &Call) -> Result<(Vec<String>, bool), Failure> {
    let seen = Seen::of(call.arg("container"))?;
    let wanted = Arguments(call).limit("lines", DOCKER_LINES)?;
    let since = match call.arg("newer_than") {
        Value::Duration(nanoseconds) => Timestamp::now().as_second() - nanoseconds / 1_000_000_000,
        _ => return Err(not_fitting("newer_than").into()),
    };
    let options = LogsOptions {
        stdout: true,
        stderr: true,
        since: i32::try_from(since.max(0)).unwrap_or(0),
        tail: wanted.to_string(),
        ..LogsOptions::default()
    };
    let output = collect(link, link.client.logs(&seen.id, Some(options)), false).await?;
    let mut lines = Vec::new();
    for bytes in [&output.out, &output.err] {
        lines.extend(String::from_utf8_lossy(bytes).lines().map(str::to_owned));
    }
    Ok((lines, output.cut))
}

/// `stats`: of two readings, because one alone says nothing about the processor.
pub async fn stats(link: &Link, seen: &Seen) -> Result<Value, Failure> {
    let options = StatsOptions {
        stream: true,
        one_shot: false,
    };
    let mut readings = pin!(link.client.stats(&seen.id, Some(options)));
    let mut last: Option<ContainerStatsResponse> = None;
    for _ in 0..2 {
        let Some(mut reading) = link.next(&mut readings, false).await? else {
            break;
        };
        if let Some(before) = last.take() {
            reading.precpu_stats = before.cpu_stats;
        }
        last = Some(reading);
    }
    last.map(|reading| values::stats(&reading))
        .ok_or_else(|| Failure::definite(Reason::Missing, "the engine has no numbers: does the container run?"))
}

/// `logs.tail`
pub async fn tail(link: &Link, call: &Call) -> Result<Value, Failure> {
    let (lines, truncated) = lines(link, call).await?;
    Ok(Value::List(Arc::new(List {
        items: lines.into_iter().map(Value::text).collect(),
        truncated,
    })))
}

/// `logs.count`
pub async fn count(link: &Link, call: &Call) -> Result<Value, Failure> {
    let wanted = text(Arguments(call), "containing")?;
    let (lines, cut) = lines(link, call).await?;
    // As many as were asked for: there may be more before them.
    let cut = cut || lines.len() >= Arguments(call).limit("lines", DOCKER_LINES)?;
    let count = lines.iter().filter(|line| line.contains(wanted)).count();
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    Ok(Value::record(
        "LogCount",
        vec![
            (
                "count",
                if cut {
                    Value::AtLeast(number(count))
                } else {
                    Value::Int(number(count))
                },
            ),
            ("of", Value::Int(number(lines.len()))),
        ],
    ))
}
