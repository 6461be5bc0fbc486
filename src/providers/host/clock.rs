//! Whether the clock is kept right: asked of chrony, then of systemd.

use super::parse::{properties, tracking};
use super::program;
use super::source::{Found, Machine, unknown};
use crate::value::{Reason, Value};
use std::time::Duration;

const CHRONYC: &[&str] = &["/usr/bin/chronyc", "/usr/local/bin/chronyc"];
const TIMEDATECTL: &[&str] = &["/usr/bin/timedatectl", "/bin/timedatectl"];

fn clock(synchronised: bool, source: &str, offset: Value) -> Value {
    Value::record(
        "Clock",
        vec![
            ("synchronised", Value::Bool(synchronised)),
            ("source", Value::text(source)),
            ("offset", offset),
        ],
    )
}

/// From the reply of `chronyc -c -n tracking`.
pub fn from_chrony(text: &str) -> Found<Value> {
    let (source, offset, synchronised) = tracking(text)?;
    let offset = if synchronised {
        Duration::try_from_secs_f64(offset.abs()).map_or_else(
            |_| Value::unknown(Reason::Arithmetic, "the offset is out of range"),
            Value::duration,
        )
    } else {
        Value::unknown(Reason::Unavailable, "nothing keeps the clock")
    };
    Ok(clock(synchronised, &format!("chrony, from {source}"), offset))
}

/// From the reply of `timedatectl show`.
pub fn from_systemd(text: &str) -> Found<Value> {
    let known = properties(text);
    let synchronised = match known.get("NTPSynchronized") {
        Some(&"yes") => true,
        Some(&"no") => false,
        _ => return unknown(Reason::Unparsable, "timedatectl does not tell"),
    };
    let source = if known.get("NTP") == Some(&"yes") {
        "systemd"
    } else {
        "the kernel's clock discipline"
    };
    let offset = Value::unknown(Reason::Unavailable, "systemd does not tell how far the clock is off");
    Ok(clock(synchronised, source, offset))
}

/// `host.clock`
pub async fn read(machine: &Machine, within: Duration) -> Found<Value> {
    // Whoever is asked first must leave time for the other.
    let each = within.mul_f64(0.4);
    let mut reasons = Vec::new();
    if let Some(chronyc) = program::find(CHRONYC) {
        match program::run(chronyc, &["-c", "-n", "tracking"], each).await {
            Ok(said) if said.code == Some(0) => return from_chrony(&said.out),
            Ok(_) => reasons.push("chrony does not answer".to_owned()),
            Err(problem) => reasons.push(problem.to_string()),
        }
    }
    if machine.run.join("systemd/system").is_dir()
        && let Some(timedatectl) = program::find(TIMEDATECTL)
    {
        match program::run(timedatectl, &["show", "--property=NTP,NTPSynchronized"], each).await {
            Ok(said) if said.code == Some(0) => return from_systemd(&said.out),
            Ok(_) => reasons.push("timedatectl does not answer".to_owned()),
            Err(problem) => reasons.push(problem.to_string()),
        }
    }
    if reasons.is_empty() {
        reasons.push("there is neither chrony nor systemd to ask".to_owned());
    }
    unknown(Reason::Unavailable, reasons.join("; "))
}

#[cfg(test)]
mod tests {
    use super::{from_chrony, from_systemd};
    use crate::value::{Reason, Value};

    #[test]
    fn the_offset_counts_either_way_and_is_unknown_without_a_source() {
        let text = "A,ntp.example,3,1.0,-0.25,0,0,0,0,0,0,0,0,Normal\n";
        let clock = from_chrony(text).unwrap();
        let field = |value: &Value, name| value.as_record().unwrap().get(name).cloned().unwrap();
        assert_eq!(field(&clock, "offset"), Value::Duration(250_000_000));
        let lost = from_chrony(&text.replace("Normal", "Not synchronised")).unwrap();
        assert_eq!(field(&lost, "synchronised"), Value::Bool(false));
        assert!(field(&lost, "offset").as_unknown().is_some());
        let kept = from_systemd("NTP=yes\nNTPSynchronized=yes\n").unwrap();
        assert_eq!(field(&kept, "synchronised"), Value::Bool(true));
        assert_eq!(from_systemd("NTP=yes\n").unwrap_err().reason, Reason::Unparsable);
    }
}
