//! The pages about scenarios: every sample with a runbook and scenarios runs, and comes to what the page says.

use crate::support::samples::fences;
use std::path::Path;

#[test]
fn every_sample_with_scenarios_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut ran = 0;
    for name in [
        "docs/testing.md",
        "docs/language/scenarios.md",
        "docs/rules/untested-cause.md",
    ] {
        let text = std::fs::read_to_string(root.join(name)).unwrap();
        // A page may show the runbook once and scenarios of it below.
        let mut book = String::new();
        for fence in fences(name, &text) {
            if fence.language() != "starr" || !fence.body.contains("scenario \"") {
                if fence.language() == "starr" && fence.body.contains("runbook ") {
                    book.clone_from(&fence.body);
                }
                continue;
            }
            let (body, more) = if fence.body.contains("runbook ") {
                (fence.body.clone(), String::new())
            } else {
                (book.clone(), fence.body.clone())
            };
            assert!(
                body.contains("runbook "),
                "{name}: a scenario without a runbook\n{more}"
            );
            super::all_pass(&body, &more);
            ran += 1;
        }
    }
    assert!(ran >= 5, "{ran} samples");
}
