use super::*;
use crate::render::sample;

/// Compares with a file of this folder; `STARR_BLESS=1` writes it.
fn golden(name: &str, found: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/render/testdata")
        .join(name);
    if std::env::var_os("STARR_BLESS").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    if expected != found {
        let diff = similar::TextDiff::from_lines(&expected, found);
        panic!("{name} differs (STARR_BLESS=1 writes it):\n{}", diff.unified_diff());
    }
}

#[test]
fn the_guide_of_a_runbook_that_uses_everything() {
    let program = sample::everything();
    golden("everything.md", &markdown(&program, RunbookId(0)));
    let page = html(&program, RunbookId(0)).unwrap();
    golden("everything.html", &page.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
    assert!(
        !page.contains("<script") && !page.contains("src="),
        "nothing is fetched and nothing runs"
    );
}

#[test]
fn loops_timers_and_other_runbooks() {
    let program = sample::program(include_str!("../testdata/more.starr"));
    golden("more.md", &markdown(&program, RunbookId(0)));
    golden("inner.md", &markdown(&program, RunbookId(1)));
}

#[test]
fn the_plans_of_both() {
    let text = |program: &Program| crate::render::plan::text(&crate::plan::plan(program, RunbookId(0)));
    golden("everything.plan", &text(&sample::everything()));
    golden(
        "more.plan",
        &text(&sample::program(include_str!("../testdata/more.starr"))),
    );
}
