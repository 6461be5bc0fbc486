//! `starr completions` and `starr man`.

use super::args::{Cli, Completions};
use super::output::print;
use super::{Exit, Failure};
use clap::CommandFactory;

/// Prints the completions for a shell.
pub fn completions(args: &Completions) -> Result<Exit, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "starr", &mut text);
    print(&String::from_utf8_lossy(&text));
    Ok(Exit::Good)
}

/// Prints the manual page, with a section for every command.
pub fn man() -> Result<Exit, Failure> {
    let mut text = Vec::new();
    let command = Cli::command();
    let failed = |problem: std::io::Error| Failure::usage(format!("cannot write the manual page: {problem}"));
    clap_mangen::Man::new(command.clone())
        .render(&mut text)
        .map_err(failed)?;
    for subcommand in command.get_subcommands() {
        let page = clap_mangen::Man::new(subcommand.clone());
        text.extend_from_slice(format!(".SH STARR {}\n", subcommand.get_name().to_uppercase()).as_bytes());
        page.render_description_section(&mut text).map_err(failed)?;
        page.render_options_section(&mut text).map_err(failed)?;
    }
    print(&String::from_utf8_lossy(&text));
    Ok(Exit::Good)
}
