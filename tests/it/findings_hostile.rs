//! Broken and hostile files: checking, showing and fixing never panic, places lie in the text, and what is shown is safe.

use proptest::prelude::*;
use starr::check::{self, Context, Embedded, fix};
use starr::render::diagnostics::{Format, Style, render};
use starr::render::safe::is_hidden;
use starr::source::FileId;

/// Has a bit of everything, and needs no other module.
const SAMPLE: &str = r#"enum Mode { fast, slow }

provider pump {
  read   state(of: Text) -> Mode
  read   used(of: Text) -> Series<Ratio>
  change set(to: Int) -> Int   idempotent
}

runbook pump_stalls(name: Text = "main", size: Int = 5) "The pump {name} stalls" {
  reviewed 2024-01-01 valid 90 d
  timebox  60 min then escalate
  reads    pump
  changes  pump
  situation {
    symptom full "Is more than 90 % in use?" {
      read used = pump.used(name) within 10 s
      yes when used > 90 % for 5 min
    }
    severity {
      sev1 when full and size > 3
      sev2 when cannot tell
      sev3 otherwise
    }
  }
  task {
    > Make it run — again.
    goal not full
  }
  read mode = pump.state(name)
  check seen "Has somebody seen it" observed
  branch "What is it?" {
    cause slow "It is slow" when mode is slow and size < 10 {
      action widen "Set the size to {size}" {
        risk    medium
        approve by oncall or dba within 15 min
        do      pump.set(to: size)
        undo    none because "it is harmless"
        verify  not full within 10 min every 30 s
        failed  -> undo, next cause
      }
    }
    cause large "It is large" when size > 5 and seen {
      escalate
    }
    otherwise or cannot tell {
      stop "Nothing to do for {name}"
    }
  }
  reflection {
    prevent "Buy another one" by "team" in 14 d
    ask     "Why was it so?"
  }
}
"#;

fn one_case(text: &str) {
    let context = Context {
        library: &Embedded,
        severities: Vec::new(),
        roles: None,
        today: Some(jiff::civil::date(2026, 11, 22)),
        matrix: None,
    };
    let checked = check::check("sample.starr", None, text.as_bytes().to_vec(), &context);
    for finding in &checked.diagnostics {
        let spans = finding
            .labels
            .iter()
            .map(|label| label.span)
            .chain(finding.edits.iter().map(|edit| edit.span));
        for span in spans.chain([finding.span]) {
            let text = &checked.sources.file(span.file).text;
            assert!(text.get(span.range()).is_some(), "{finding:?} does not lie in the text");
        }
        assert!(
            !finding.message.is_empty() && !finding.message.ends_with('.'),
            "{finding:?}"
        );
    }
    let group = [(&checked.sources, checked.diagnostics.as_slice())];
    let style = Style {
        unicode: true,
        ..Style::plain()
    };
    for format in [Format::Human, Format::Json, Format::Sarif, Format::Github] {
        let shown = render(&group, format, &style);
        let hidden = shown
            .chars()
            .find(|character| *character != '\n' && is_hidden(*character));
        assert_eq!(hidden, None, "{format:?}: {shown:?}");
        if format == Format::Github {
            assert_eq!(shown.lines().count(), checked.diagnostics.len());
            assert!(shown.lines().all(|line| line.starts_with("::")));
        }
    }
    let fixed = fix::apply(FileId(0), text, &checked.diagnostics);
    let offered = checked
        .diagnostics
        .iter()
        .filter(|finding| !finding.edits.is_empty())
        .count();
    assert_eq!(fixed.applied + fixed.skipped, offered);
}

#[test]
fn the_sample_has_findings_of_every_level() {
    let context = Context {
        library: &Embedded,
        severities: Vec::new(),
        roles: None,
        today: Some(jiff::civil::date(2026, 11, 22)),
        matrix: None,
    };
    let checked = check::check("sample.starr", None, SAMPLE.as_bytes().to_vec(), &context);
    let rules: Vec<&str> = checked.diagnostics.iter().map(|finding| finding.rule).collect();
    assert_eq!(
        rules,
        ["stale-review", "title-style", "verify-is-goal", "overlapping-causes"],
        "{:#?}",
        checked.diagnostics
    );
    one_case(SAMPLE);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pieces_taken_out_and_put_in_anywhere(
        cuts in proptest::collection::vec((0..SAMPLE.len(), 0..60_usize), 0..3),
        inserts in proptest::collection::vec(
            (0..SAMPLE.len(), prop_oneof![
                Just("{"), Just("}"), Just("\""), Just("`"), Just("("), Just("\u{1b}[2J"), Just("\u{202e}"), Just("日本"),
                Just("\r\n"), Just("\t"), Just("size > 9223372036854775807 and "), Just("when not not "), Just("99999999999 d"),
                Just(" unknown "), Just("\n::error::x\n"), Just("é"), Just("cause x \"It is\" when true {}\n"), Just("goal "),
            ]),
            0..4,
        ),
    ) {
        let mut text = SAMPLE.to_owned();
        for (at, length) in cuts {
            let start = text.floor_char_boundary(at.min(text.len()));
            let end = text.floor_char_boundary((at + length).min(text.len())).max(start);
            text.replace_range(start..end, "");
        }
        for (at, piece) in inserts {
            let at = text.floor_char_boundary(at.min(text.len()));
            text.insert_str(at, piece);
        }
        one_case(&text);
    }
}
