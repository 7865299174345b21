//! `seeds DIRECTORY`: what the fuzzers start from. Writes `DIRECTORY/TARGET/` with an input per file and
//! `DIRECTORY/TARGET.dict` with the words of the language, all of it made from the tables and rules of this repository.

use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(directory) = std::env::args_os().nth(1) else {
        eprintln!("usage: seeds DIRECTORY");
        return ExitCode::FAILURE;
    };
    match lanner_fuzz::write_seeds(directory.as_ref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}: {error}", directory.display());
            ExitCode::FAILURE
        }
    }
}
