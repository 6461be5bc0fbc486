//! How long checking takes: it grows with the length of a file, and with nothing else.

use starr::check::{Checked, Context, Library, ModuleSource, check};
use std::time::Instant;

/// Nothing but the sample's own module, so that the time is that of the file.
const SMALL: &str = r##"module small "Small"
resource App
record Pod { name: Text, age: Duration, token: Secret<Text> }
provider apps {
  read   pods(app: App) -> List<Pod>
  change restart(pods: List<Pod>) idempotent
}
provider chat { tell post(text: Text) }
check crowded(app: App, more_than: Int = 3) "Many?" {
  read pods  = apps.pods(app)
  let  count = pods.count
  yes when count > more_than
}
"##;

struct Small;

impl Library for Small {
    fn module(&self, path: &str) -> Option<ModuleSource> {
        (path == "small").then(|| ModuleSource {
            name: "small.starr".to_owned(),
            path: None,
            bytes: SMALL.as_bytes().to_vec(),
        })
    }
}

fn small(text: &str) -> Checked {
    let context = Context {
        library: &Small,
        severities: Vec::new(),
        roles: None,
        today: None,
        matrix: None,
    };
    check("small.starr", None, text.as_bytes().to_vec(), &context)
}

fn rules(checked: &Checked) -> Vec<&'static str> {
    checked.diagnostics.iter().map(|finding| finding.rule).collect()
}

#[test]
fn a_long_runbook_is_checked_in_a_time_that_grows_with_its_length() {
    let runbook = |steps: usize| {
        let mut text =
            "use small.{App, crowded, apps, chat}\nrunbook long(app: App) \"Long\" {\n  reads apps\n  tells chat\n"
                .to_owned();
        for step in 0..steps {
            text += &format!("  check c{step} = crowded(app, more_than: {step})\n  require c{step} else next step\n");
        }
        text + "  tell chat.post(\"done\")\n}\n"
    };
    let measure = |steps: usize| {
        let text = runbook(steps);
        let start = Instant::now();
        let checked = small(&text);
        assert_eq!(rules(&checked), Vec::<&str>::new());
        assert_eq!(
            checked.program.expect("no errors").runbooks[0].bindings.len(),
            5 * steps + 1
        );
        start.elapsed()
    };
    measure(10);
    let short = (0..3).map(|_| measure(100)).min().expect("three");
    let long = measure(1000);
    // Ten times the length: ten times the time, with room for a busy machine; a quadratic walk would take a hundred times.
    assert!(long < short * 60, "{short:?} for 100 steps, {long:?} for 1000");
}

#[test]
fn ten_thousand_unknown_names_are_reported_without_ten_thousand_searches() {
    let mut text = "runbook many \"Many\" {\n".to_owned();
    for line in 0..10_000 {
        text += &format!("let a{line} = 1\n");
    }
    for line in 0..10_000 {
        text += &format!("let b{line} = c{line}\n");
    }
    text += "}\n";
    let start = Instant::now();
    let checked = small(&text);
    assert_eq!(
        rules(&checked).iter().filter(|rule| **rule == "unknown-name").count(),
        10_000
    );
    assert!(start.elapsed().as_secs() < 120, "{:?}", start.elapsed());
}
