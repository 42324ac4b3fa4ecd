//! Execs into one container again and again by library call, as a shim does; `cargo xtask bench` measures it.
//!
//! Arguments: the state root, the container, the program. Each line of standard input is a number of execs; the answer
//! is one line with the time of each, from the call to the end of the program, in nanoseconds. `memory` is answered by
//! the resident memory of this process in kilobytes.
#![expect(clippy::print_stdout, reason = "a command that answers on standard output")]

use std::error::Error;
use std::ffi::CString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use container::exec::{ExecProcess, ExecRequest, Overrides};
use container::held::Held;
use container::{ContainerId, Store};
use launch::process::{Reap, ended, wait_dead};
use launch::{Ended, Process};

fn main() -> Result<(), Box<dyn Error>> {
    protect()?;
    let mut arguments = std::env::args().skip(1);
    let [Some(root), Some(id), Some(program)] = std::array::from_fn(|_| arguments.next()) else {
        return Err("usage: exec_again ROOT ID PROGRAM".into());
    };
    let store = Store::open(&PathBuf::from(root))?;
    let request = request(ContainerId::parse(&id)?, program);
    let mut held = Held::open(&store, &request.id)?;
    for line in std::io::stdin().lines() {
        match line?.trim() {
            "memory" => println!("{}", resident()?),
            count => {
                let times: Result<Vec<String>, _> =
                    (0..count.parse::<u32>()?).map(|_| once(&mut held, &request)).collect();
                println!("{}", times?.join(" "));
            }
        }
    }
    Ok(())
}

/// As the command line does at its start; a shim does it once in its life.
fn protect() -> Result<(), Box<dyn Error>> {
    let arguments =
        std::env::args_os().map(|one| CString::new(one.into_vec())).collect::<Result<Vec<_>, _>>()?;
    container::protect(&arguments, &[])?;
    Ok(())
}

fn request(id: ContainerId, program: String) -> ExecRequest {
    let overrides = Overrides { args: vec![program], ..Overrides::default() };
    ExecRequest::new(id, ExecProcess::Derived(overrides))
}

fn once(held: &mut Held, request: &ExecRequest) -> Result<String, Box<dyn Error>> {
    const LIMIT: Duration = Duration::from_secs(10);
    let start = Instant::now();
    let running = held.exec(request)?;
    let process = Process { pid: running.pid, pidfd: running.pidfd };
    wait_dead(process.pidfd.as_fd(), LIMIT)?;
    match ended(&process, Reap::Yes)? {
        Some(Ended::Exited(0)) => Ok(start.elapsed().as_nanos().to_string()),
        other => Err(format!("the program did not end with status 0: {other:?}").into()),
    }
}

fn resident() -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
