//! `starr render`: the guide that people read, or the diagram.

use super::args::{Global, Render, To};
use super::output::{Output, complain, print, write_file};
use super::{Exit, Failure, load};
use crate::config;
use crate::program::RunbookId;

/// Renders the first runbook of a file.
pub fn render(args: &Render, global: &Global, output: Output) -> Result<Exit, Failure> {
    let loaded = config::load(global.config.as_deref())?;
    let (_, environment) = loaded.environment(global.env.as_deref())?;
    let program = load::program(&args.file, Some(environment), output)?;
    if program.runbooks.is_empty() {
        return Err(Failure::usage(format!("{} holds no runbook", args.file.display())));
    }
    if args.alert_command {
        print(&super::intake::annotations(&program, &args.file));
        return Ok(Exit::Good);
    }
    let text = match args.to {
        To::Md => crate::render::guide::markdown(&program, RunbookId(0)),
        To::Html => crate::render::guide::html(&program, RunbookId(0))
            .map_err(|problem| Failure::usage(format!("cannot render the page: {problem}")))?,
        To::Mermaid => crate::render::guide::chart(&program, RunbookId(0)),
    };
    match &args.output {
        None => print(&text),
        Some(path) => {
            write_file(path, &text)
                .map_err(|problem| Failure::usage(format!("cannot write {}: {problem}", path.display())))?;
            complain(&format!("wrote {}", path.display()));
        }
    }
    Ok(Exit::Good)
}
