//! Units of systemd, asked through `systemctl`.

use super::numbers::before_now;
use super::parse::properties;
use super::processes::local;
use super::program::{self, Said};
use super::source::{Found, Machine, unknown};
use crate::provider::Outcome;
use crate::value::{List, Reason, Unknown, Value};
use std::sync::Arc;
use std::time::Duration;

const SYSTEMCTL: &[&str] = &["/usr/bin/systemctl", "/bin/systemctl"];

const PROPERTIES: &str =
    "--property=Id,Description,LoadState,ActiveState,SubState,Result,NRestarts,MainPID,StateChangeTimestampMonotonic";

const KINDS: &[&str] = &[
    ".service",
    ".socket",
    ".target",
    ".timer",
    ".mount",
    ".automount",
    ".path",
    ".slice",
    ".scope",
    ".swap",
    ".device",
];

/// Most failed units in a reply.
const MOST: usize = crate::limits::HOST_UNITS;

/// The whole name of a unit: `nginx` is `nginx.service`.
///
/// # Errors
/// Not a unit's name: a pattern, an option, a path.
pub fn canonical(name: &str) -> Found<String> {
    let fits = !name.is_empty()
        && !name.starts_with('-')
        && !name.starts_with('.')
        && name.len() <= 255
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b":_.@\\-".contains(&byte));
    if !fits {
        return unknown(Reason::Unparsable, "not the name of a systemd unit");
    }
    if KINDS.iter().any(|kind| name.ends_with(kind)) {
        Ok(name.to_owned())
    } else {
        Ok(format!("{name}.service"))
    }
}

/// `systemctl`, where systemd runs this machine.
pub fn systemctl(machine: &Machine) -> Found<&'static str> {
    // The test of sd_booted(3).
    if !machine.run.join("systemd/system").is_dir() {
        return unknown(Reason::Unavailable, "systemd does not run this machine");
    }
    program::find(SYSTEMCTL).map_or_else(|| unknown(Reason::Unavailable, "there is no systemctl"), Ok)
}

fn refused(said: &Said) -> Option<Unknown> {
    if said.code == Some(0) {
        return None;
    }
    let denied = [
        "Access denied",
        "authentication required",
        "Permission denied",
        "Authorization",
    ];
    let reason = if denied.iter().any(|words| said.error.contains(words)) {
        Reason::Denied
    } else if said.error.contains("not found") || said.error.contains("not loaded") {
        Reason::Missing
    } else {
        Reason::Unavailable
    };
    let line = said
        .error
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("no word");
    Some(Unknown {
        reason,
        detail: format!("systemctl: {line}"),
    })
}

/// A unit from what `systemctl show` prints of it.
pub fn shown(text: &str) -> Found<Value> {
    let known = properties(text);
    let get = |name: &str| known.get(name).copied().unwrap_or_default();
    if get("Id").is_empty() || get("ActiveState").is_empty() {
        return unknown(
            Reason::Unparsable,
            "the reply of systemctl is not in the form that is known",
        );
    }
    if get("LoadState") == "not-found" {
        return unknown(Reason::Missing, format!("there is no unit {}", get("Id")));
    }
    let state = match get("ActiveState") {
        known @ ("active" | "reloading" | "inactive" | "failed" | "activating" | "deactivating" | "maintenance"
        | "refreshing") => known,
        _ => "other",
    };
    let number = |name: &str| get(name).parse::<i64>().map_or(Value::None, Value::Int);
    let since = match get("StateChangeTimestampMonotonic").parse::<f64>() {
        Ok(at) if at > 0.0 => {
            let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
            before_now((now.tv_sec as f64 * 1e6 + now.tv_nsec as f64 / 1e3 - at).max(0.0))
        }
        _ => Value::None,
    };
    Ok(Value::record(
        "Unit",
        vec![
            ("on", local()),
            ("name", Value::text(get("Id"))),
            ("description", Value::text(get("Description"))),
            ("state", Value::variant(state)),
            ("detail", Value::text(get("SubState"))),
            ("result", Value::text(get("Result"))),
            ("restarts", number("NRestarts")),
            (
                "pid",
                match get("MainPID").parse::<i64>() {
                    Ok(pid) if pid > 0 => Value::Int(pid),
                    _ => Value::None,
                },
            ),
            ("since", since),
        ],
    ))
}

/// `host.units.state`
pub async fn state(machine: &Machine, name: &str, within: Duration) -> Found<Value> {
    let name = canonical(name)?;
    let said = program::run(
        systemctl(machine)?,
        &["show", "--no-pager", PROPERTIES, "--", &name],
        within,
    )
    .await?;
    match refused(&said) {
        Some(problem) => Err(problem),
        None => shown(&said.out),
    }
}

/// The names in what `systemctl list-units --plain --no-legend` prints.
pub fn names(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| canonical(name).is_ok_and(|whole| whole == **name))
        .map(str::to_owned)
        .collect()
}

/// As many of these names as are looked at, and whether there are more.
fn listed(text: &str) -> (Vec<String>, bool) {
    let mut names = names(text);
    let truncated = names.len() > MOST;
    names.truncate(MOST);
    (names, truncated)
}

/// `host.units.failed`
pub async fn failed(machine: &Machine, within: Duration) -> Found<Value> {
    let systemctl = systemctl(machine)?;
    let arguments = [
        "list-units",
        "--state=failed",
        "--all",
        "--plain",
        "--no-legend",
        "--no-pager",
        "--full",
    ];
    let said = program::run(systemctl, &arguments, within).await?;
    if let Some(problem) = refused(&said) {
        return Err(problem);
    }
    let (names, truncated) = listed(&said.out);
    let mut items = Vec::new();
    if !names.is_empty() {
        let mut arguments = vec!["show", "--no-pager", PROPERTIES, "--"];
        arguments.extend(names.iter().map(String::as_str));
        let said = program::run(systemctl, &arguments, within).await?;
        if let Some(problem) = refused(&said) {
            return Err(problem);
        }
        // An empty line stands between two units.
        for text in said.out.split("\n\n").filter(|text| !text.trim().is_empty()) {
            items.push(shown(text)?);
        }
    }
    Ok(Value::List(Arc::new(List { items, truncated })))
}

/// `host.units.restart`
pub async fn restart(machine: &Machine, name: &str, within: Duration) -> Outcome {
    let (name, systemctl) = match canonical(name).and_then(|name| Ok((name, systemctl(machine)?))) {
        Ok(found) => found,
        Err(problem) => return Outcome::Failed(problem),
    };
    match program::run(systemctl, &["restart", "--no-ask-password", "--", &name], within).await {
        Ok(said) => match refused(&said) {
            // systemd said that the unit did not come up, or that we may not.
            Some(problem) => Outcome::Failed(problem),
            None if said.code == Some(0) => Outcome::Done(Value::or_unknown(state(machine, &name, within).await)),
            None => Outcome::Unclear(Unknown {
                reason: Reason::Unavailable,
                detail: "systemctl was ended by a signal".to_owned(),
            }),
        },
        // Never started: nothing was asked of systemd.
        Err(problem) if problem.reason == Reason::Unavailable => Outcome::Failed(problem),
        // The job goes on without us.
        Err(problem) => Outcome::Unclear(problem),
    }
}

#[cfg(test)]
mod tests {
    use super::{canonical, listed, names, refused, shown};
    use crate::providers::host::program::Said;
    use crate::value::{Reason, Value};

    #[test]
    fn only_so_many_failed_units_are_looked_at() {
        let most = crate::limits::HOST_UNITS;
        let printed = |count: usize| {
            let lines = (0..count).map(|number| format!("unit-{number}.service loaded failed failed Unit {number}\n"));
            listed(&lines.collect::<String>())
        };
        let (all, cut) = printed(most);
        assert_eq!((all.len(), cut), (most, false));
        let (first, cut) = printed(most + 1);
        assert_eq!((first.as_slice(), cut), (all.as_slice(), true));
    }

    #[test]
    fn names_of_units_are_made_whole_and_nothing_else_passes() {
        assert_eq!(canonical("nginx").unwrap(), "nginx.service");
        assert_eq!(canonical("backup.timer").unwrap(), "backup.timer");
        assert_eq!(canonical("getty@tty1").unwrap(), "getty@tty1.service");
        for bad in [
            "",
            "*",
            "nginx*",
            "--now",
            "-H",
            "a b",
            "a\nb",
            "../x",
            "/etc/passwd",
            ".service",
            "ä",
        ] {
            assert!(canonical(bad).is_err(), "{bad:?}");
        }
    }

    const UNIT: &str = "Id=nginx.service\nDescription=A web server = good\nLoadState=loaded\nActiveState=failed\nSubState=failed\nResult=exit-code\nNRestarts=5\nMainPID=0\nStateChangeTimestampMonotonic=0\n";

    #[test]
    fn a_unit_is_read_and_one_that_is_not_there_is_not_inactive() {
        let unit = shown(UNIT).unwrap();
        let field = |name| unit.as_record().unwrap().get(name).cloned().unwrap();
        assert_eq!(field("state"), Value::variant("failed"));
        assert_eq!(field("description"), Value::text("A web server = good"));
        assert_eq!(
            (field("restarts"), field("pid"), field("since")),
            (Value::Int(5), Value::None, Value::None)
        );
        let absent = UNIT
            .replace("LoadState=loaded", "LoadState=not-found")
            .replace("failed", "inactive");
        assert_eq!(shown(&absent).unwrap_err().reason, Reason::Missing);
        assert_eq!(shown("").unwrap_err().reason, Reason::Unparsable);
        let new = shown(&UNIT.replace("ActiveState=failed", "ActiveState=pondering")).unwrap();
        assert_eq!(new.as_record().unwrap().get("state"), Some(&Value::variant("other")));
    }

    #[test]
    fn only_names_are_taken_from_the_list() {
        let text = "backup.service loaded failed failed Backup\n\u{25cf} x\n-rf.service loaded\n\n";
        assert_eq!(names(text), ["backup.service"]);
    }

    #[test]
    fn refusals_are_told_apart() {
        let said = |error: &str| {
            refused(&Said {
                code: Some(1),
                out: String::new(),
                error: error.to_owned(),
            })
            .unwrap()
            .reason
        };
        assert_eq!(said("Failed to restart a.service: Access denied\n"), Reason::Denied);
        assert_eq!(
            said("Failed to restart a.service: Interactive authentication required."),
            Reason::Denied
        );
        assert_eq!(
            said("Failed to restart a.service: Unit a.service not found."),
            Reason::Missing
        );
        assert_eq!(said("Job for a.service failed."), Reason::Unavailable);
    }
}
