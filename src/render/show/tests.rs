use super::*;
use crate::render::report::sample::{any_entries, incident};
use crate::render::safe::is_hidden;
use proptest::prelude::*;

fn summaries() -> Vec<RunSummary> {
    let entries = incident();
    let of = |kind: &str| entries.iter().find(|entry| entry.kind == kind).cloned();
    let whole = RunSummary {
        id: "20261122-0314-k7f2".to_owned(),
        entries: 29,
        started: of("run_started"),
        severity: of("severity"),
        ended: of("ended"),
    };
    let unfinished = RunSummary {
        id: "20261122-0401-9x0a".to_owned(),
        entries: 3,
        severity: None,
        ended: None,
        ..whole.clone()
    };
    vec![unfinished, whole]
}

#[test]
fn runs_are_a_table() {
    assert_eq!(
        runs(&summaries()),
        "\
RUN                 STARTED (UTC)        RUNBOOK         OUTCOME                 SEVERITY  TOOK        BY
20261122-0401-9x0a  2026-11-22 03:14:05  pool_exhausted  interrupted or running  –         –           maria
20261122-0314-k7f2  2026-11-22 03:14:05  pool_exhausted  resolved                sev1      14 min 5 s  maria
"
    );
    assert_eq!(runs(&[]), "No run is recorded yet.\n");
}

#[test]
fn runs_as_data_keep_their_names() {
    let json = runs_json(&summaries());
    assert_eq!(
        json["runs"][1].to_string(),
        "{\"run\":\"20261122-0314-k7f2\",\"runbook\":\"pool_exhausted\",\"environment\":\"production\",\"operator\":\"maria\",\
         \"dry_run\":false,\"started\":\"2026-11-22T03:14:05Z\",\"severity\":\"sev1\",\"outcome\":\"resolved\",\
         \"duration_seconds\":845.0,\"entries\":29}"
    );
    assert_eq!(json["runs"][0]["outcome"], Value::Null);
}

#[test]
fn a_run_is_shown_by_parts() {
    let shown = show(&incident());
    assert!(
        shown.starts_with("run 20261122-0314-k7f2, begun 2026-11-22 03:14:05 UTC\n\nS  +0 s"),
        "{shown}"
    );
    for (letter, words) in [
        ("S", "pool_full  yes, bad"),
        ("T", "goal  not pool_full  not reached"),
        ("A", "approved by jonas as oncall"),
        ("R", "RESOLVED after 14 min 5 s"),
        ("R", "Which signal could have told us earlier?"),
    ] {
        assert!(
            shown
                .lines()
                .any(|line| line.starts_with(letter) && line.contains(words)),
            "{letter} {words}\n{shown}"
        );
    }
    let open: Vec<Recorded> = incident().into_iter().take(5).collect();
    assert!(show(&open).ends_with("The run has no recorded end: it was interrupted, or is still running.\n"));
    assert_eq!(show(&[]), "There are no entries.\n");
}

#[test]
fn a_run_as_data_has_every_entry() {
    let json = show_json(&incident());
    assert_eq!(json["entries"].as_array().unwrap().len(), 29);
    assert_eq!(json["entries"][1]["event"]["event"], "read");
    assert_eq!(json["entries"][1]["after_seconds"], 1.2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn no_sequence_of_events_breaks_the_terminal(entries in any_entries()) {
        let shown = show(&entries);
        prop_assert!(!shown.chars().any(|character| character != '\n' && is_hidden(character)), "{}", shown);
        let summaries: Vec<RunSummary> = entries
            .chunks(3)
            .map(|chunk| RunSummary {
                id: chunk[0].run.clone(),
                entries: chunk.len() as u64,
                started: chunk.first().cloned(),
                severity: chunk.get(1).cloned(),
                ended: chunk.get(2).cloned(),
            })
            .collect();
        let table = runs(&summaries);
        prop_assert_eq!(table.lines().count(), if summaries.is_empty() { 1 } else { summaries.len() + 1 });
        prop_assert!(!table.chars().any(|character| character != '\n' && is_hidden(character)));
        prop_assert_eq!(runs_json(&summaries)["runs"].as_array().map(Vec::len), Some(summaries.len()));
        prop_assert_eq!(show_json(&entries)["entries"].as_array().map(Vec::len), Some(entries.len()));
    }
}
