//! `completions` and `man`: what a shell and its users want to know of the command line.

use crate::cli::Cli;
use crate::cli::around::Completions;
use crate::exit::{Exit, Failure};
use crate::report::terminal::result;
use crate::report::units::counted;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use std::io;
use std::path::Path;

/// The program's name.
const NAME: &str = "devrev-batch";

/// The same as bash's completions call it in one place, and in another.
const BASH_NAME: &str = "devrev__batch";
const BASH_SLIP: &str = "devrev__subcmd__batch";

/// Prints the completions of a shell.
pub(crate) fn completions(args: &Completions, json: bool) -> Result<Exit, Failure> {
    no_json(json, "completions")?;
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), NAME, &mut script);
    if args.shell == Shell::Bash {
        // clap_complete 4.6 calls a program with a hyphen by two names, so that nothing below a subcommand would be
        // completed (clap issue 6421). Where that is fixed there is nothing to replace.
        script = String::from_utf8_lossy(&script).replace(BASH_SLIP, BASH_NAME).into_bytes();
    }
    print(&script)
}

/// Prints the manual page, or writes those of all commands.
pub(crate) fn man(dir: Option<&Path>, json: bool) -> Result<Exit, Failure> {
    no_json(json, "man")?;
    // Else there would be a page of every command's `help`.
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let Some(dir) = dir else {
        let mut page = Vec::new();
        Man::new(command).render(&mut page).map_err(|error| unwritten(Path::new("the page"), &error))?;
        return print(&page);
    };
    std::fs::create_dir_all(dir).map_err(|error| unwritten(dir, &error))?;
    let pages = write_pages(command, dir)?;
    print(format!("{} written to {}", counted(pages, "page"), dir.display()).as_bytes())
}

/// Writes the page of a command and of those below it; how many these are.
fn write_pages(command: Command, dir: &Path) -> Result<u64, Failure> {
    let mut pages = 1;
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        pages += write_pages(below.clone(), dir)?;
    }
    let man = Man::new(command);
    let path = dir.join(man.get_filename());
    let mut page = Vec::new();
    // Not private, as other files are: it is to be installed.
    man.render(&mut page)
        .and_then(|()| std::fs::write(&path, page))
        .map_err(|error| unwritten(&path, &error))?;
    Ok(pages)
}

fn no_json(json: bool, command: &str) -> Result<(), Failure> {
    if json {
        let text = format!("`{command}` does not print JSON: leave out --json");
        return Err(Failure::new(Exit::Usage, text));
    }
    Ok(())
}

fn print(text: &[u8]) -> Result<Exit, Failure> {
    let text = String::from_utf8_lossy(text);
    result(text.trim_end()).map_err(|error| unwritten(Path::new("standard output"), &error))?;
    Ok(Exit::Ok)
}

fn unwritten(path: &Path, error: &io::Error) -> Failure {
    let exit = match error.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::AlreadyExists
        | io::ErrorKind::NotADirectory => Exit::Usage,
        _ => Exit::Unexpected,
    };
    Failure::new(exit, format!("cannot write {}: {error}", path.display()))
}
