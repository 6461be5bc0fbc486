//! `starr test`: scenarios and examples.

use super::args::{Global, Test, TestFormat, WhichFaults};
use super::files::{collect, read, runbooks};
use super::load::check_with_scenarios;
use super::output::{Output, complain, print};
use super::{Exit, Failure};
use crate::config::{self, Environment};
use crate::diagnostic::Level;
use crate::render::diagnostics;
use crate::scenario::faults::Which;
use crate::scenario::report::Report;
use crate::scenario::{Facts, Options, Suite, junit, run_all};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// Tests files and folders.
pub fn test(args: &Test, global: &Global, output: Output) -> Result<Exit, Failure> {
    let loaded = config::load(global.config.as_deref())?;
    let (_, environment) = loaded.environment(global.env.as_deref())?;
    let paths = runbooks(collect(&args.paths).map_err(Failure::usage)?);
    if paths.is_empty() {
        return Err(Failure::usage("no .starr files there"));
    }
    if args.min.is_some_and(|min| min > 100) {
        return Err(Failure::usage("--min is a number of percent, 100 at most"));
    }
    let options = Options {
        filter: args.filter.clone(),
        coverage: args.coverage || args.min.is_some() || args.lcov.is_some(),
        faults: args.faults.map(|which| match which {
            WhichFaults::All => Which::All,
            WhichFaults::Ends => Which::Ends,
        }),
        generate: args.generate.unwrap_or_default(),
        seed: args.seed,
        threads: args.threads,
    };
    let began = jiff::Timestamp::now();
    let mut report = Report::default();
    let mut invalid = 0;
    for path in &paths {
        let bytes = read(path).map_err(Failure::usage)?;
        let name = bytes.name.clone();
        let checked = check_with_scenarios(bytes, Some(environment));
        let errors: Vec<_> = checked
            .diagnostics
            .iter()
            .filter(|finding| finding.level == Level::Error)
            .cloned()
            .collect();
        if !errors.is_empty() {
            complain(diagnostics::human(&checked.sources, &errors, &output.findings()).trim_end());
            invalid += 1;
            continue;
        }
        let Some(program) = checked.program else { continue };
        let suite = Suite::new(Arc::new(program), facts(environment));
        let file = run_all(&suite, &name, &options)
            .map_err(|problem| Failure::usage(format!("cannot run scenarios: {problem}")))?;
        if !file.results.is_empty() || file.coverage.is_some() || !file.generated.is_empty() {
            report.files.push(file);
        }
    }
    if let Some(path) = &args.lcov {
        write(path, &report.lcov())?;
    }
    if let Some(path) = &args.junit {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        write(path, &junit::junit(&report, began, &host))?;
    }
    let format = args.format.unwrap_or(if output.json {
        TestFormat::Json
    } else {
        TestFormat::Human
    });
    match format {
        TestFormat::Human => print(&report.text()),
        TestFormat::Json => print(&report.json()),
        TestFormat::Gitlab => print(&report.gitlab()),
        TestFormat::Github => {
            print(&report.github());
            complain(&report.summary());
            job_summary(&report)?;
        }
    }
    if invalid > 0 {
        return Err(Failure::usage(format!(
            "{invalid} of {} files have errors and were not tested",
            paths.len()
        )));
    }
    if report.count() == 0 && args.filter.is_some() {
        return Err(Failure::usage("no scenario or example has this in its title"));
    }
    let too_little = args.min.is_some_and(|min| {
        let (reached, all) = report.coverage().unwrap_or_default();
        let percent = crate::scenario::coverage::percent(reached, all);
        if percent < min {
            complain(&format!("starr: the coverage is {percent} %, and {min} % is asked for"));
        }
        percent < min
    });
    let failed = report.failed() > 0 || report.broken() > 0 || too_little;
    Ok(if failed { Exit::Findings } else { Exit::Good })
}

/// What scenarios may know of the environment: its severities. Nothing of it is contacted.
fn facts(environment: &Environment) -> Facts {
    Facts {
        severities: environment.severities.clone(),
        default_severity: environment.default_severity().to_owned(),
        resources: Default::default(),
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|problem| Failure::usage(format!("cannot write {}: {problem}", path.display())))
}

/// A job of GitHub Actions names a file for its summary.
fn job_summary(report: &Report) -> Result<(), Failure> {
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let added = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path)
        .and_then(|mut file| file.write_all(report.markdown().as_bytes()));
    added.map_err(|problem| Failure::usage(format!("cannot write {}: {problem}", Path::new(&path).display())))
}
