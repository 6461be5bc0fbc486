//! The guide: a runbook as a page that a tired person reads at 3 am. Made from the checked program alone.

mod chart;
mod sections;
mod steps;
#[cfg(test)]
mod tests;

use super::document::{self, Block, Document};
use super::words::Words;
use crate::eval::Constants;
use crate::program::{Program, Runbook, RunbookId};

pub use chart::chart;

/// The guide as Markdown, with a flow chart at its end.
pub fn markdown(program: &Program, runbook: RunbookId) -> String {
    let mut document = guide(program, runbook);
    document.heading(2, "The way at a glance");
    document.blocks.push(Block::Chart {
        text: chart(program, runbook),
    });
    document::markdown(&document)
}

/// The guide as one self-contained HTML page.
///
/// # Errors
/// When the page's own template cannot be filled, which would be a mistake of ours.
pub fn html(program: &Program, runbook: RunbookId) -> Result<String, String> {
    let runbook_of = &program.runbooks[runbook.0];
    let file = program
        .sources
        .iter()
        .find(|(id, _)| *id == runbook_of.span.file)
        .map(|(_, source)| source.name.clone())
        .unwrap_or_default();
    let digest = program
        .digests
        .get(&file)
        .map(|digest| format!(", SHA-256 {}", digest.chars().take(16).collect::<String>()))
        .unwrap_or_default();
    super::html::html(
        &guide(program, runbook),
        &format!("Made by starr {} from `{file}`{digest}", env!("CARGO_PKG_VERSION")),
    )
}

/// The guide as blocks.
pub fn guide(program: &Program, runbook: RunbookId) -> Document {
    let runbook: &Runbook = &program.runbooks[runbook.0];
    let constants = Constants::of(runbook);
    let guide = Guide {
        program,
        runbook,
        words: Words::new(program, runbook, &constants),
    };
    let mut document = Document {
        title: guide.words.text(&runbook.title),
        blocks: Vec::new(),
    };
    guide.header(&mut document);
    guide.situation(&mut document);
    guide.task(&mut document);
    guide.diagnosis(&mut document);
    guide.result(&mut document);
    guide.reflection(&mut document);
    document
}

/// What the parts of the guide are made from.
struct Guide<'a> {
    program: &'a Program,
    runbook: &'a Runbook,
    words: Words<'a>,
}
