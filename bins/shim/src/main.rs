//! The program `containerd-shim-sluice-v2`.

use std::io::Write;
use std::process::ExitCode;

use shim::argv::{Action, Invocation};

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1).collect::<Vec<_>>();
    match Invocation::parse(&arguments) {
        Ok(invocation) if invocation.action == Action::Version => say(&version()),
        Ok(_) => ExitCode::from(2),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn version() -> String {
    format!("containerd-shim-sluice-v2:\n  Version:  {}\n", env!("CARGO_PKG_VERSION"))
}

fn say(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
