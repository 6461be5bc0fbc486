//! JUnit's XML, in the form that both of its usual schemas allow: that of Ant's own writer, and that of Jenkins.

use super::report::{Report, TestResult};
use jiff::Timestamp;
use std::fmt::Write;

/// The report as one `testsuites` document. `at` is when the tests began; `host` where they ran.
pub fn junit(report: &Report, at: Timestamp, host: &str) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (id, file) in report.files.iter().enumerate() {
        let failed = file.results.iter().filter(|result| !result.passed).count();
        let seconds: f64 = file.results.iter().map(|result| result.milliseconds / 1000.0).sum();
        let _ = writeln!(
            out,
            "  <testsuite id=\"{id}\" package=\"starr\" name=\"{}\" timestamp=\"{}\" hostname=\"{}\" tests=\"{}\" failures=\"{failed}\" errors=\"0\" time=\"{seconds:.3}\">",
            attribute(&file.file),
            at.strftime("%Y-%m-%dT%H:%M:%S"),
            attribute(host),
            file.results.len(),
        );
        out.push_str("    <properties/>\n");
        for result in &file.results {
            case(&mut out, &file.file, result);
        }
        out.push_str("    <system-out/>\n    <system-err/>\n  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn case(out: &mut String, file: &str, result: &TestResult) {
    let _ = write!(
        out,
        "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\"",
        attribute(file),
        attribute(&result.title),
        result.milliseconds / 1000.0
    );
    if result.passed {
        out.push_str("/>\n");
        return;
    }
    let first = result.problems.first().map_or("", |problem| problem.message.as_str());
    let first = first.lines().next().unwrap_or_default();
    let _ = writeln!(
        out,
        ">\n      <failure type=\"scenario\" message=\"{}\">",
        attribute(first)
    );
    for problem in &result.problems {
        let _ = writeln!(
            out,
            "{}:{}: {}",
            text(&problem.file),
            problem.line,
            text(&problem.message)
        );
    }
    for line in &result.reasoning {
        let _ = writeln!(out, "  {}", text(line));
    }
    out.push_str("      </failure>\n    </testcase>\n");
}

/// Text between tags. What XML cannot hold at all becomes a replacement character.
fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\n' | '\t' => out.push(letter),
            letter if crate::render::safe::is_hidden(letter) || matches!(letter, '\u{fffe}' | '\u{ffff}') => {
                out.push('\u{fffd}');
            }
            letter => out.push(letter),
        }
    }
    out
}

fn attribute(value: &str) -> String {
    text(value)
        .replace('"', "&quot;")
        .replace('\n', "&#10;")
        .replace('\t', "&#9;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_stays_text() {
        assert_eq!(text("a<b>&\u{1b}\u{0}c"), "a&lt;b&gt;&amp;\u{fffd}\u{fffd}c");
        assert_eq!(attribute("\"x\"\ny"), "&quot;x&quot;&#10;y");
    }
}
