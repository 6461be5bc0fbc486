//! `starr replay`: a recorded run again, or another runbook on what was recorded.

use super::args::Replay;
use super::output::{Output, Style, complain, line};
use super::{Exit, Failure, load};
use crate::check::{Context, check};
use crate::program::Program;
use crate::recording::compare::{self, Side};
use crate::recording::replay::{Replayed, replay as again};
use crate::recording::{FILE, Recording, Then};
use crate::render;
use crate::render::safe::safe;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most lines of the same way that are shown before and behind a difference.
const AROUND: usize = 2;

/// Reads the recording of a folder, or of the file itself.
pub fn recording(path: &Path) -> Result<Recording, Failure> {
    let path: PathBuf = if path.is_dir() {
        path.join(FILE)
    } else {
        path.to_path_buf()
    };
    let file = std::fs::File::open(&path)
        .map_err(|problem| Failure::usage(format!("cannot open the recording {}: {problem}", path.display())))?;
    Recording::read(std::io::BufReader::new(file))
        .map_err(|problem| Failure::usage(format!("{}: {problem}", path.display())))
}

/// The program as it was then.
pub fn then(recording: &Recording) -> Result<Program, Failure> {
    let about = &recording.about;
    let Some(text) = about.texts.get(&about.file) else {
        return Err(Failure::usage(format!(
            "the recording does not hold the text of {}",
            safe(&about.file)
        )));
    };
    let context = Context {
        library: &Then(about),
        severities: Vec::new(),
        roles: None,
        today: None,
        matrix: about.matrix(),
    };
    let checked = check(
        &about.file,
        Some(Path::new(&about.file)),
        text.clone().into_bytes(),
        &context,
    );
    checked.program.ok_or_else(|| {
        Failure::usage(format!(
            "{} as it was recorded is not valid for this version of starr",
            safe(&about.file)
        ))
    })
}

/// Runs a recording again.
pub fn replay(args: &Replay, output: Output) -> Result<Exit, Failure> {
    let recording = recording(&args.recording)?;
    let program = match &args.file {
        None => then(&recording)?,
        Some(path) => load::program_with(path, None, recording.about.matrix(), output)?,
    };
    if program.runbooks.is_empty() {
        return Err(Failure::usage("the file holds no runbook"));
    }
    let replayed = super::runtime()?
        .block_on(again(&recording, Arc::new(program)))
        .map_err(Failure::usage)?;
    let recorded = compare::entries(&recording.about, &recording.events);
    let report = |entries| render::report(&compare::timeless(entries));
    let same_report = report(&recorded) == report(&replayed.entries);
    let then_way = compare::recorded(&recording.events);
    let now_way = compare::replayed(&replayed.entries);
    let lines = compare::compare(&then_way, &now_way);
    let same_way = lines.iter().all(|line| line.side == Side::Both);
    if let Some(path) = &args.report {
        std::fs::write(path, render::report(&replayed.entries))
            .map_err(|problem| Failure::usage(format!("cannot write {}: {problem}", path.display())))?;
        complain(&format!("wrote {}", path.display()));
    }
    if output.json {
        line(
            &json!({
                "run": recording.about.run,
                "runbook": recording.about.runbook,
                "whole": recording.is_whole(),
                "same_way": same_way,
                "same_report": same_report,
                "outcome": replayed.ended.outcome.word(),
                "way": lines,
                "not_recorded": replayed.missed,
                "not_asked_then": replayed.unheard,
                "no_longer_asked": replayed.unasked,
            })
            .to_string(),
        );
    } else {
        people(args, &recording, &replayed, &lines, same_report, output);
    }
    let same = same_way && (args.file.is_some() || same_report);
    Ok(if same { Exit::Good } else { Exit::Findings })
}

fn people(
    args: &Replay,
    recording: &Recording,
    replayed: &Replayed,
    lines: &[compare::Line],
    same_report: bool,
    output: Output,
) {
    let about = &recording.about;
    line(&output.style(
        Style::Heading,
        &format!(
            "{} of {}, run {} in {}",
            safe(&about.runbook),
            about.started.strftime("%Y-%m-%d %H:%M UTC"),
            safe(&about.run),
            safe(&about.environment.name)
        ),
    ));
    if !recording.is_whole() {
        line(&output.style(Style::Attention, "  the recording ends before its run did"));
    }
    line("");
    let differs = lines.iter().any(|line| line.side != Side::Both);
    let near = |index: usize| {
        let first = index.saturating_sub(AROUND);
        let last = (index + AROUND + 1).min(lines.len());
        lines[first..last].iter().any(|line| line.side != Side::Both)
    };
    let mut hidden = 0;
    for (index, one) in lines.iter().enumerate() {
        if !args.all && differs && !near(index) {
            hidden += 1;
            continue;
        }
        if hidden > 0 {
            line(&output.style(Style::Faint, &format!("      … {hidden} the same")));
            hidden = 0;
        }
        let (mark, style) = match one.side {
            Side::Both => ("      ", None),
            Side::Then => ("then  ", Some(Style::Faint)),
            Side::Now => ("now   ", Some(Style::Attention)),
        };
        let text = format!("{mark}{}", safe(&one.text));
        line(&style.map_or(text.clone(), |style| output.style(style, &text)));
    }
    if hidden > 0 {
        line(&output.style(Style::Faint, &format!("      … {hidden} the same")));
    }
    let list = |title: &str, items: &[String]| {
        if items.is_empty() {
            return;
        }
        line("");
        line(&output.style(Style::Heading, title));
        for item in items {
            line(&format!("  {}", safe(item)));
        }
    };
    list("Not in the recording, so unknown (a change: unclear)", &replayed.missed);
    list("What nobody said then", &replayed.unheard);
    let unasked: Vec<String> = replayed
        .unasked
        .iter()
        .map(|(operation, count)| format!("{operation}, {count} {}", if *count == 1 { "reply" } else { "replies" }))
        .collect();
    list("No longer asked", &unasked);
    line("");
    let verdict = match (&args.file, differs, same_report) {
        (_, true, _) => "it goes another way".to_owned(),
        (Some(_), false, _) => "it goes the same way".to_owned(),
        (None, false, true) => "the same way and the same report, times aside".to_owned(),
        (None, false, false) => "the same way, but not the same report".to_owned(),
    };
    let style = if differs { Style::Attention } else { Style::Good };
    line(&output.style(style, &format!("{verdict}: {}", safe(replayed.ended.outcome.word()))));
}
