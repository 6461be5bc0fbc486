//! `starr scenario`: a recording as a scenario, for `starr test`.

use super::args::Scenario;
use super::output::{Output, complain, print};
use super::replay::recording;
use super::{Exit, Failure};
use crate::recording::scenario::convert;
use crate::render::safe::safe;
use std::io::Write;

/// Writes the scenario of a recording; exit code 1 when it does not pass as it stands, with what to look at.
pub fn scenario(args: &Scenario, output: Output) -> Result<Exit, Failure> {
    let recording = recording(&args.recording)?;
    let converted = convert(&recording).map_err(Failure::usage)?;
    match &args.output {
        None if output.json => {
            super::output::line(
                &serde_json::json!({ "scenario": converted.text, "problems": converted.problems }).to_string(),
            );
        }
        None => print(&converted.text),
        Some(path) => {
            let there = path.exists();
            let added = std::fs::OpenOptions::new()
                .append(true)
                .create(true)
                .open(path)
                .and_then(|mut file| {
                    let gap = if there { "\n" } else { "" };
                    file.write_all(format!("{gap}{}", converted.text).as_bytes())
                });
            added.map_err(|problem| Failure::usage(format!("cannot write {}: {problem}", path.display())))?;
            complain(&format!(
                "{} {}",
                if there { "added to" } else { "wrote" },
                path.display()
            ));
        }
    }
    for problem in &converted.problems {
        complain(&format!("starr: it does not pass as it stands: {}", safe(problem)));
    }
    Ok(if converted.problems.is_empty() {
        Exit::Good
    } else {
        Exit::Findings
    })
}
