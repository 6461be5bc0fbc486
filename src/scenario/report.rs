//! What came of all scenarios of some files, for people and for other tools.

use super::coverage::{Coverage, percent};
use super::faults::Broken;
use super::generate::Generated;
use crate::program::Program;
use crate::render::safe::{safe, safe_multiline};
use serde::Serialize;
use serde_json::json;
use std::fmt::Write;

/// Everything that was tested.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    pub files: Vec<FileReport>,
}

/// The tests of one runbook or module.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FileReport {
    /// The file of the runbook.
    pub file: String,
    pub results: Vec<TestResult>,
    pub coverage: Option<CoverageReport>,
    pub faults: Option<FaultReport>,
    pub generated: Vec<Generated>,
}

/// One scenario, or one example of a library check.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TestResult {
    pub title: String,
    /// Where the scenario stands.
    pub file: String,
    pub line: usize,
    pub passed: bool,
    /// How the run ended, in the words of `outcome`; empty for an example.
    pub outcome: String,
    /// From the beginning of the run to its decision, on the clock of the scenario.
    pub run_seconds: f64,
    /// What the test itself took.
    pub milliseconds: f64,
    pub problems: Vec<Finding>,
    /// Why the run went as it went; only of a scenario that failed.
    pub reasoning: Vec<String>,
}

/// Something that is not as it should be, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub file: String,
    pub line: usize,
    pub column: usize,
    pub message: String,
}

/// What the scenarios of a file reach.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CoverageReport {
    pub reached: usize,
    pub all: usize,
    pub percent: usize,
    pub items: Vec<CoverageItem>,
}

/// Something that a scenario can reach.
#[derive(Clone, Debug, Serialize)]
pub struct CoverageItem {
    pub runbook: String,
    pub kind: super::coverage::Kind,
    pub name: String,
    pub file: String,
    pub line: usize,
    pub hits: u64,
}

/// What came of faults.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FaultReport {
    pub runs: usize,
    pub broken: Vec<Broken>,
}

impl CoverageReport {
    /// The coverage with the places of its items.
    pub fn of(program: &Program, coverage: &Coverage) -> Self {
        let (reached, all) = coverage.reached();
        let items = coverage
            .items
            .iter()
            .map(|item| {
                let (line, _) = program.sources.line_column(item.span);
                CoverageItem {
                    runbook: program
                        .runbooks
                        .get(item.runbook.0)
                        .map(|book| book.name.clone())
                        .unwrap_or_default(),
                    kind: item.kind,
                    name: item.name.clone(),
                    file: program.sources.file(item.span.file).name.clone(),
                    line,
                    hits: item.hits,
                }
            })
            .collect();
        Self {
            reached,
            all,
            percent: percent(reached, all),
            items,
        }
    }
}

impl Report {
    /// Tests that ran.
    pub fn count(&self) -> usize {
        self.files.iter().map(|file| file.results.len()).sum()
    }

    /// Tests that failed.
    pub fn failed(&self) -> usize {
        self.results().filter(|result| !result.passed).count()
    }

    /// Invariants that did not hold, with faults and with generated inputs.
    pub fn broken(&self) -> usize {
        let faults: usize = self
            .files
            .iter()
            .flat_map(|file| &file.faults)
            .map(|faults| faults.broken.len())
            .sum();
        let generated: usize = self
            .files
            .iter()
            .flat_map(|file| &file.generated)
            .map(|generated| generated.broken.len())
            .sum();
        faults + generated
    }

    fn results(&self) -> impl Iterator<Item = &TestResult> {
        self.files.iter().flat_map(|file| &file.results)
    }

    /// Reached and all over every file.
    pub fn coverage(&self) -> Option<(usize, usize)> {
        let of: Vec<&CoverageReport> = self.files.iter().filter_map(|file| file.coverage.as_ref()).collect();
        (!of.is_empty()).then(|| {
            (
                of.iter().map(|one| one.reached).sum(),
                of.iter().map(|one| one.all).sum(),
            )
        })
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for file in &self.files {
            file.text(&mut out);
        }
        let _ = writeln!(out, "{}", self.summary());
        out
    }

    /// One line.
    pub fn summary(&self) -> String {
        let mut line = format!("{}, {} failed", counted(self.count(), "test", "tests"), self.failed());
        if let Some((reached, all)) = self.coverage() {
            let _ = write!(line, "; coverage {} % ({reached} of {all})", percent(reached, all));
        }
        let faults: Vec<&FaultReport> = self.files.iter().flat_map(|file| &file.faults).collect();
        if !faults.is_empty() {
            let runs = faults.iter().map(|faults| faults.runs).sum();
            let broken: usize = faults.iter().map(|faults| faults.broken.len()).sum();
            let _ = write!(line, "; {}, {broken} broken", counted(runs, "fault", "faults"));
        }
        line
    }

    /// For programs.
    pub fn json(&self) -> String {
        let (reached, all) = self.coverage().unwrap_or_default();
        let document = json!({
            "version": 1,
            "tests": self.count(),
            "failed": self.failed(),
            "broken": self.broken(),
            "coverage": self.coverage().map(|_| json!({
                "reached": reached,
                "all": all,
                "percent": percent(reached, all),
            })),
            "files": self.files,
        });
        format!("{document}\n")
    }

    /// Annotations of a workflow: a line for each finding, at its place.
    pub fn github(&self) -> String {
        let mut out = String::new();
        for result in self.results() {
            for problem in &result.problems {
                let mut text = format!("{}: {}", result.title, problem.message);
                for line in result.reasoning.iter().take(40) {
                    let _ = write!(text, "\n{line}");
                }
                let _ = writeln!(
                    out,
                    "::error file={},line={},col={},title=scenario::{}",
                    property(&problem.file),
                    problem.line,
                    problem.column,
                    data(&safe_multiline(&text))
                );
            }
        }
        for item in self.missed() {
            let _ = writeln!(
                out,
                "::warning file={},line={},title=coverage::{}",
                property(&item.file),
                item.line,
                data(&safe(&format!(
                    "no scenario reaches: {} {}",
                    item.kind.words(),
                    item.name
                )))
            );
        }
        for broken in self
            .files
            .iter()
            .flat_map(|file| &file.faults)
            .flat_map(|faults| &faults.broken)
        {
            let text = format!("{}: {}: {}", broken.scenario, broken.fault, broken.what);
            let _ = writeln!(out, "::error title=fault::{}", data(&safe(&text)));
        }
        out
    }

    /// The summary of a job, in Markdown.
    pub fn markdown(&self) -> String {
        let mut out = format!("## Runbook tests\n\n{}\n\n", self.summary());
        let cell = |text: &str| safe(text).replace('|', "\\|").replace(['<', '>'], "");
        out.push_str("| | Test | Came to | Runbook |\n|---|---|---|---|\n");
        for file in &self.files {
            for result in &file.results {
                let _ = writeln!(
                    out,
                    "| {} | {} | {} | {} |",
                    if result.passed { "ok" } else { "**failed**" },
                    cell(&result.title),
                    cell(&result.outcome),
                    cell(&file.file)
                );
            }
        }
        let missed: Vec<&CoverageItem> = self.missed().collect();
        if !missed.is_empty() {
            out.push_str("\n### Not reached\n\n");
            for item in missed {
                let _ = writeln!(
                    out,
                    "- {}:{}: {} {}",
                    cell(&item.file),
                    item.line,
                    item.kind.words(),
                    cell(&item.name)
                );
            }
        }
        out
    }

    /// What no scenario reached.
    pub fn missed(&self) -> impl Iterator<Item = &CoverageItem> {
        self.files
            .iter()
            .flat_map(|file| &file.coverage)
            .flat_map(|coverage| &coverage.items)
            .filter(|item| item.hits == 0)
    }

    /// The form of a code quality report (Code Climate's, as GitLab reads it).
    pub fn gitlab(&self) -> String {
        let mut issues = Vec::new();
        let mut issue = |check: &str, severity: &str, file: &str, line: usize, text: &str| {
            let text = safe(text).into_owned();
            issues.push(json!({
                "description": text,
                "check_name": check,
                "fingerprint": fingerprint(&[check, file, &text]),
                "severity": severity,
                "location": {"path": file.trim_start_matches("./"), "lines": {"begin": line.max(1)}},
            }));
        };
        for result in self.results() {
            for problem in &result.problems {
                let text = format!("{}: {}", result.title, problem.message);
                issue("scenario", "critical", &problem.file, problem.line, &text);
            }
        }
        for file in &self.files {
            for item in file.coverage.iter().flat_map(|coverage| &coverage.items) {
                if item.hits == 0 {
                    let text = format!("no scenario reaches: {} {}", item.kind.words(), item.name);
                    issue("coverage", "minor", &item.file, item.line, &text);
                }
            }
            for broken in file.faults.iter().flat_map(|faults| &faults.broken) {
                let text = format!("{}: {}: {}", broken.scenario, broken.fault, broken.what);
                issue("fault", "blocker", &file.file, 1, &text);
            }
        }
        format!("{}\n", serde_json::Value::Array(issues))
    }

    /// Coverage for existing viewers: a line for each construct, a branch for each way out of it.
    pub fn lcov(&self) -> String {
        let mut out = String::new();
        let mut files: Vec<&str> = Vec::new();
        let items: Vec<&CoverageItem> = self
            .files
            .iter()
            .flat_map(|file| &file.coverage)
            .flat_map(|coverage| &coverage.items)
            .collect();
        for item in &items {
            if !files.contains(&item.file.as_str()) {
                files.push(&item.file);
            }
        }
        for file in files {
            let of: Vec<&&CoverageItem> = items.iter().filter(|item| item.file == file).collect();
            let _ = writeln!(out, "TN:starr\nSF:{}", one_line(file));
            let mut lines: Vec<(usize, u64)> = Vec::new();
            for item in &of {
                match lines.iter_mut().find(|(line, _)| *line == item.line) {
                    Some((_, hits)) => *hits = (*hits).max(item.hits),
                    None => lines.push((item.line, item.hits)),
                }
            }
            lines.sort_unstable();
            for line in &lines {
                let branches: Vec<&&&CoverageItem> = of.iter().filter(|item| item.line == line.0).collect();
                for (number, item) in branches.iter().enumerate() {
                    let taken = if line.1 == 0 {
                        "-".to_owned()
                    } else {
                        item.hits.to_string()
                    };
                    let _ = writeln!(out, "BRDA:{},0,{number},{taken}", line.0);
                }
            }
            let _ = writeln!(
                out,
                "BRF:{}\nBRH:{}",
                of.len(),
                of.iter().filter(|item| item.hits > 0).count()
            );
            for (line, hits) in &lines {
                let _ = writeln!(out, "DA:{line},{hits}");
            }
            let _ = writeln!(
                out,
                "LF:{}\nLH:{}\nend_of_record",
                lines.len(),
                lines.iter().filter(|(_, hits)| *hits > 0).count()
            );
        }
        out
    }
}

impl FileReport {
    fn text(&self, out: &mut String) {
        let _ = writeln!(out, "{}", safe(&self.file));
        for result in &self.results {
            result.text(out);
        }
        if let Some(coverage) = &self.coverage {
            let _ = writeln!(
                out,
                "  coverage: {} % ({} of {})",
                coverage.percent, coverage.reached, coverage.all
            );
            for item in coverage.items.iter().filter(|item| item.hits == 0) {
                let _ = writeln!(
                    out,
                    "    no scenario reaches {}:{}  {} {}",
                    safe(&item.file),
                    item.line,
                    item.kind.words(),
                    safe(&item.name)
                );
            }
        }
        if let Some(faults) = &self.faults {
            let _ = writeln!(
                out,
                "  faults: {}, {} broken",
                counted(faults.runs, "run", "runs"),
                faults.broken.len()
            );
            for broken in &faults.broken {
                let _ = writeln!(
                    out,
                    "    {}: {}\n      {}",
                    safe(&broken.scenario),
                    safe(&broken.fault),
                    safe(&broken.what)
                );
            }
        }
        for generated in &self.generated {
            let _ = writeln!(
                out,
                "  generated: {}: {} yes, {} no, {} unknown",
                safe(&generated.name),
                generated.yes,
                generated.no,
                generated.unknown
            );
            for broken in &generated.broken {
                let _ = writeln!(out, "    {}", safe(broken));
            }
        }
        out.push('\n');
    }
}

impl TestResult {
    fn text(&self, out: &mut String) {
        if self.passed {
            let _ = writeln!(
                out,
                "  ok    {}{}",
                safe(&self.title),
                if self.outcome.is_empty() {
                    String::new()
                } else {
                    format!("  {}", self.outcome)
                }
            );
            return;
        }
        let _ = writeln!(out, "  FAIL  {}", safe(&self.title));
        for problem in &self.problems {
            let _ = writeln!(
                out,
                "        {}:{}: {}",
                safe(&problem.file),
                problem.line,
                indented(&safe_multiline(&problem.message))
            );
        }
        if !self.reasoning.is_empty() {
            let _ = writeln!(out, "        why:");
            for line in &self.reasoning {
                let _ = writeln!(out, "          {}", safe(line));
            }
        }
    }
}

fn indented(text: &str) -> String {
    text.replace('\n', "\n        ")
}

/// A number with its noun.
pub fn counted(number: usize, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

fn one_line(text: &str) -> String {
    safe(text).into_owned()
}

/// The text of a workflow command: it cannot end the line, and so cannot begin another command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a workflow command.
fn property(text: &str) -> String {
    data(&safe(text)).replace(':', "%3A").replace(',', "%2C")
}

/// The same finding has the same fingerprint, whatever line it has moved to.
fn fingerprint(parts: &[&str]) -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hex::encode(hash.finalize())[..32].to_owned()
}
