//! The incident report in Markdown, made from the entries of a run alone.

mod action;
mod page;
mod parts;
#[cfg(test)]
pub mod sample;
pub mod story;
pub mod words;

use crate::journal::Recorded;
use crate::journal::verify::Verified;
use story::Story;

/// The report of a run, from its entries. Says nothing about how far the journal was verified; see [`report_with`].
pub fn report(entries: &[Recorded]) -> String {
    report_with(entries, None)
}

/// The report of a run with what verification of its journal found.
pub fn report_with(entries: &[Recorded], verified: Option<&Verified>) -> String {
    let story = Story::of(entries);
    let mut out = String::new();
    parts::title(&mut out, &story);
    parts::situation(&mut out, &story);
    parts::task(&mut out, &story);
    parts::actions(&mut out, &story);
    parts::result(&mut out, &story);
    parts::reflection(&mut out, &story);
    parts::timeline(&mut out, &story, entries);
    parts::evidence(&mut out, &story);
    parts::integrity(&mut out, &story, entries, verified);
    while out.ends_with("\n\n") {
        out.pop();
    }
    out
}

/// The report as one self-contained HTML page.
pub fn html(entries: &[Recorded], verified: Option<&Verified>) -> String {
    let title = Story::of(entries).title;
    page::page(&format!("Incident report: {title}"), &report_with(entries, verified))
}

/// The report as data; the field names stay.
pub fn json(entries: &[Recorded], verified: Option<&Verified>) -> serde_json::Value {
    serde_json::json!({
        "report": Story::of(entries),
        "entries": entries.len(),
        "journal": verified,
    })
}

#[cfg(test)]
mod tests;
