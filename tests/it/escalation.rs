//! The environment's escalation matrix, for a runbook that names none.

use crate::consent::Desk;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A desk whose environment names `oncall.starr` beside its configuration, and may tell the shop.
fn desk(entry: &str) -> Desk {
    let login = starr::cli::login();
    let desk = Desk::new(&format!("      {login}: {{ roles: [oncall] }}"), entry);
    let config = std::fs::read_to_string(desk.config()).unwrap();
    let tell = format!(
        "    grants:\n      - {{ capability: http, effects: [tell], targets: [\"{}\"] }}\n",
        desk.shop
    );
    desk.configure(&config.replacen("    grants:\n", &tell, 1));
    desk.file("config/oncall.starr", &matrix(&desk.shop, "matrix"));
    desk
}

fn matrix(shop: &str, name: &str) -> String {
    format!(
        "module team.oncall \"Who is called\"\n\nlet lead = \"the lead\"\n\nescalation {name} {{\n  sev3 -> http.webhook(\"{shop}/page\", {{text: \"called\", who: lead}}) now\n}}\n"
    )
}

const NAMED: &str = "    escalation: { file: oncall.starr }\n";

fn run(desk: &Desk, words: &[&str]) -> Output {
    let shop = format!("shop={}", desk.shop);
    let mut all = vec!["run", "books/mend.starr", "--set", &shop, "--unattended"];
    all.extend(words);
    desk.command(&all).output().unwrap()
}

#[test]
fn it_is_called_planned_printed_and_replayed() {
    let desk = desk(NAMED);
    let guide = text(&desk.command(&["render", "books/mend.starr"]).output().unwrap());
    assert!(guide.contains("As the environment's matrix says"), "{guide}");
    assert!(guide.contains("sev3: `http.webhook("), "{guide}");
    let plan = text(&desk.command(&["plan", "books/mend.starr"]).output().unwrap());
    assert!(plan.contains("http.webhook"), "{plan}");
    assert!(plan.contains("no escalation: the environment's matrix"), "{plan}");

    // Nobody is there to approve: the run escalates.
    let tape = desk.path().join("tape");
    let output = run(&desk, &["--record", tape.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert_eq!(desk.posts(), 1, "{}", text(&output));
    let report = text(&desk.command(&["report"]).output().unwrap());
    assert!(report.contains("webhook"), "{report}");
    assert!(!report.contains("nobody is told"), "{report}");

    // The recording holds the matrix; its scenario does not speak of what the runbook does not say.
    let replayed = desk.command(&["replay", "tape"]).output().unwrap();
    assert_eq!(replayed.status.code(), Some(0), "{}", text(&replayed));
    let again = desk.command(&["replay", "tape", "books/mend.starr"]).output().unwrap();
    assert_eq!(again.status.code(), Some(0), "{}", text(&again));
    assert_eq!(desk.posts(), 1, "a replay calls nobody");
}

#[test]
fn without_one_the_record_says_that_nobody_was_told() {
    let desk = desk("");
    let output = run(&desk, &[]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert_eq!(desk.posts(), 0);
    let report = text(&desk.command(&["report"]).output().unwrap());
    assert!(report.contains("nobody is told"), "{report}");
}

#[test]
fn a_matrix_that_cannot_be_trusted_or_used_stops_the_run_before_anything_is_asked() {
    let desk = desk(NAMED);
    let refused = |words: &str| {
        let output = run(&desk, &[]);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert!(
            text(&output).contains(words),
            "{words:?} is missing in\n{}",
            text(&output)
        );
        assert_eq!(desk.posts(), 0);
    };
    let file = desk.file("config/oncall.starr", &matrix(&desk.shop, "other"));
    refused("this file has no escalation `matrix`, which the configuration names");
    desk.file(
        "config/oncall.starr",
        &matrix(&desk.shop, "matrix").replace("sev3 ->", "sev9 ->"),
    );
    refused("sev9");
    // What it uses never comes from the project of the runbook.
    desk.file(
        "books/extra.starr",
        "module extra \"Extra\"\n\nlet lead = \"the lead\"\n",
    );
    desk.file(
        "config/oncall.starr",
        &matrix(&desk.shop, "matrix").replace("let lead = \"the lead\"\n", "use extra.{lead}\n"),
    );
    refused("there is no module `extra`");
    desk.file("config/oncall.starr", &matrix(&desk.shop, "matrix"));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    refused("can be written by others");
    std::fs::remove_file(&file).unwrap();
    refused("cannot open the escalation matrix");
    let config = std::fs::read_to_string(desk.config()).unwrap();
    desk.file("books/oncall.starr", &matrix(&desk.shop, "matrix"));
    desk.configure(&config.replace("file: oncall.starr", "file: ../books/oncall.starr"));
    refused("lies in the folder of the runbook");
}
