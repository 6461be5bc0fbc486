//! Samples of the pages: fenced blocks, and the scaffolds around those that are only a part of a runbook.
//!
//! A sample is a fence whose info string begins with `starr`. Words behind it:
//! - `wrap=steps`: the sample is steps of a runbook; the scaffold asks `stuck` before it, and has a goal.
//! - `wrap=situation`: the sample stands in `situation`, beside an observed symptom `complaints`.
//! - `wrap=cause`: the sample stands in a cause of a branch.
//! - `escapes`: `\u{…}` in the sample stands for the character, which a page would not show.
//!
//! Without `wrap` the sample is a whole file. The scaffold lists more effects than a fragment uses, so findings that lie
//! outside the fragment may be warnings and notes; an error outside is a broken sample.

use starr::check::{self, Context, Embedded};
use starr::diagnostic::{Diagnostic, Level};
use std::ops::Range;

const HEAD: &str = r#"use std.postgres.{Postgres, blocked_sessions, stuck_sessions}

provider prometheus {
  read series(query: Promql) -> Series<Ratio>
}

runbook sample(db: Postgres) "A sample" {
  owner    "team-sample"
  status   production
  reviewed 2026-11-01 valid 90 d
  timebox  60 min then escalate
  reads    host, http, postgres, prometheus
  changes  postgres.sessions

  situation {
    symptom complaints "Do users report slowness?" observed
@situation
  }

  task {
    goal not complaints
  }

@steps

  reflection {
    prevent "Set idle_in_transaction_session_timeout to 5 min" by "team-sample" in 14 d
    ask     "Which signal could have told us earlier?"
  }
}
"#;

const STUCK: &str = "  check stuck = stuck_sessions(db, older_than: 5 min, more_than: 5)\n";

const CAUSE: &str = r#"
  branch "What holds the connections?" {
    cause left_open "Sessions were left open" when stuck {
@cause
    }
    otherwise or cannot tell {
      escalate
    }
  }
"#;

/// A fenced block of a page.
pub struct Fence {
    /// The line of its first line of text.
    pub line: usize,
    pub info: String,
    /// The heading of the second level it stands under, or nothing.
    pub section: String,
    pub body: String,
}

impl Fence {
    pub fn language(&self) -> &str {
        self.info.split_whitespace().next().unwrap_or_default()
    }

    pub fn is_whole(&self) -> bool {
        self.info.split_whitespace().all(|word| !word.starts_with("wrap="))
    }
}

/// The fenced blocks of a page, in their order.
pub fn fences(place: &str, page: &str) -> Vec<Fence> {
    let mut out = Vec::new();
    let mut section = "";
    let mut open: Option<Fence> = None;
    for (number, line) in page.lines().enumerate() {
        if let Some(mut fence) = open.take() {
            if line == "```" {
                out.push(fence);
            } else {
                fence.body.push_str(line);
                fence.body.push('\n');
                open = Some(fence);
            }
        } else if let Some(info) = line.strip_prefix("```") {
            open = Some(Fence {
                line: number + 2,
                info: info.to_owned(),
                section: section.to_owned(),
                body: String::new(),
            });
        } else if let Some(title) = line.strip_prefix("## ") {
            section = title;
        }
    }
    assert!(open.is_none(), "{place}: a fence is not closed");
    out
}

/// A sample as a whole file.
pub struct Sample {
    /// `verify-is-goal.md:12`
    pub place: String,
    pub text: String,
    /// Bytes of the text that are the fragment.
    pub fragment: Range<usize>,
}

impl Sample {
    pub fn new(page: &str, fence: &Fence) -> Self {
        let place = format!("{page}:{}", fence.line);
        let (text, fragment) = wrap(&place, &fence.info, &fence.body);
        Self { place, text, fragment }
    }

    /// False for warnings and notes about the scaffold.
    pub fn counts(&self, finding: &Diagnostic) -> bool {
        let start = finding.span.range().start;
        finding.level == Level::Error || (self.fragment.start <= start && start <= self.fragment.end)
    }

    pub fn describe(&self, finding: &Diagnostic) -> String {
        let text = self.text.get(finding.span.range()).unwrap_or("?");
        format!("{}: {}: {} ({text:?})", self.place, finding.rule, finding.message)
    }
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\u{") {
        let (code, tail) = after.split_once('}').expect("an escape is closed");
        let code = u32::from_str_radix(code, 16).expect("an escape is a code point");
        out.push_str(before);
        out.push(char::from_u32(code).expect("an escape is a character"));
        rest = tail;
    }
    out.push_str(rest);
    out
}

fn wrap(place: &str, info: &str, body: &str) -> (String, Range<usize>) {
    let mut scaffold = None;
    let mut body = body.to_owned();
    for word in info.split_whitespace().skip(1) {
        match word.strip_prefix("wrap=") {
            Some(name) => scaffold = Some(name),
            None if word == "escapes" => body = unescape(&body),
            None => panic!("{place}: {word} means nothing behind a fence"),
        }
    }
    let around = match scaffold {
        None => return (body.clone(), 0..body.len()),
        Some("steps") => HEAD.replace("@situation\n", "").replace("@steps", &format!("{STUCK}@")),
        Some("cause") => HEAD
            .replace("@situation\n", "")
            .replace("@steps", &format!("{STUCK}{}", CAUSE.replace("@cause", "@"))),
        Some("situation") => HEAD.replace("@situation", "@").replace("@steps\n", ""),
        Some(other) => panic!("{place}: no scaffold is called {other}"),
    };
    let at = around.find('@').expect("the scaffold has a place");
    let end = at + body.len();
    (around.replacen('@', &body, 1), at..end)
}

/// Findings of a sample, on a day on which no review of a sample has run out.
pub fn findings(text: &str) -> Vec<Diagnostic> {
    let context = Context {
        library: &Embedded,
        severities: Vec::new(),
        roles: None,
        today: Some(jiff::civil::date(2026, 11, 22)),
        matrix: None,
    };
    check::check("sample.starr", None, text.as_bytes().to_vec(), &context).diagnostics
}
