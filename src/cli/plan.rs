//! `starr plan`: what would run, on which answer.

use super::args::{Global, Plan};
use super::output::{Output, line, print};
use super::{Exit, Failure, load};
use crate::config;
use crate::program::RunbookId;

/// Prints the plan of the first runbook of a file. Nothing is contacted.
pub fn plan(args: &Plan, global: &Global, output: Output) -> Result<Exit, Failure> {
    let loaded = config::load(global.config.as_deref())?;
    let (_, environment) = loaded.environment(global.env.as_deref())?;
    let program = load::program(&args.file, Some(environment), output)?;
    if program.runbooks.is_empty() {
        return Err(Failure::usage(format!("{} holds no runbook", args.file.display())));
    }
    let plan = crate::plan::plan(&program, RunbookId(0));
    if output.json {
        let text = serde_json::to_string(&plan)
            .map_err(|problem| Failure::usage(format!("cannot write the plan: {problem}")))?;
        line(&text);
    } else {
        print(&crate::render::plan::text(&plan));
    }
    Ok(Exit::Good)
}
