//! `sluice exec`.

use clap::Arg;
use container::config::Process;
use container::create::Terminal;
use container::exec::{self, ExecProcess, ExecRequest, Overrides, Paused};
use container::foreground::{self, Subreaper};

use crate::failure::Failure;
use crate::flag::{repeated, switch, value};
use crate::invocation::{Invocation, invalid};
use crate::verb::{Count, Group, Order, Reach, Verb};

/// `exec`.
pub(crate) const VERB: Verb = Verb {
    name: "exec",
    group: Group::LifeCycle,
    about: "Run another program in a running container",
    synopsis: "ID COMMAND [ARGUMENTS...]",
    count: Count::AtLeast(1),
    order: Order::OptionsFirst,
    reach: Reach::Container,
    example: "exec --tty --env TERM=xterm --user 1000:1000 web sh -l",
    options,
    run,
};

fn options() -> Vec<Arg> {
    vec![
        switch("tty", "Give the program a terminal").short('t'),
        switch("detach", "Do not wait for the program's end").short('d'),
        value("pid-file", "FILE", "Write the program's pid to FILE"),
        value("process", "FILE", "Take the whole process from a JSON file").short('p'),
        value("cwd", "DIR", "Working directory inside the container"),
        repeated("env", "NAME=VALUE", "Set an environment variable (repeatable)").short('e'),
        value("user", "UID[:GID]", "Numeric user and group").short('u'),
        repeated("additional-gids", "GID", "A supplementary group (repeatable)").short('g'),
        repeated("cap", "NAME", "Add a capability (repeatable)").short('c'),
        switch("no-new-privs", "Set no_new_privs"),
        value("process-label", "LABEL", "SELinux label"),
        value("apparmor", "PROFILE", "AppArmor profile"),
        repeated("cgroup", "[CONTROLLER:]PATH", "Sub-cgroup of the container (repeatable)"),
        switch("ignore-paused", "In a paused container, wait 10 s for a resume instead of refusing"),
        value("console-socket", "PATH", "Send the terminal's master to this AF_UNIX socket"),
        value("pidfd-socket", "PATH", "Send the program's pidfd to this AF_UNIX socket"),
        value(
            "preserve-fds",
            "N",
            "Hand on N descriptors from 3 up, after those of $LISTEN_FDS [default: 0]",
        ),
        // Compat: go-runc and buildkit may pass it to exec as to run.
        switch("no-subreaper", "").hide(true),
    ]
}

fn run(call: &Invocation<'_>) -> Result<u8, Failure> {
    let store = call.store()?;
    let request = request(call)?;
    if request.terminal == Terminal::Socket {
        exec::exec(&store, &request)?;
        return Ok(0);
    }
    let subreaper = if call.is("no-subreaper") { Subreaper::No } else { Subreaper::Yes };
    Ok(foreground::exec(&store, &request, subreaper)?.shell_status())
}

fn request(call: &Invocation<'_>) -> Result<ExecRequest, Failure> {
    let plain = ExecRequest::new(call.id()?, process(call)?);
    Ok(ExecRequest {
        pid_file: call.path("pid-file"),
        console_socket: call.path("console-socket"),
        pidfd_socket: call.path("pidfd-socket"),
        preserve_fds: call.number("preserve-fds")?.unwrap_or(0),
        listen_fds: call.environment.listen_fds,
        inherited: call.environment.inherited,
        cgroup: call.texts("cgroup")?,
        paused: if call.is("ignore-paused") { Paused::Wait } else { Paused::Refuse },
        terminal: if call.is("detach") { Terminal::Socket } else { Terminal::Relay },
        ..plain
    })
}

/// Compat: runc, exec.go, `getProcess`: a process file stands alone, the other options are ignored beside it.
fn process(call: &Invocation<'_>) -> Result<ExecProcess, Failure> {
    if let Some(path) = call.path("process") {
        let process = Process::load(&path).map_err(container::Error::from)?;
        return Ok(ExecProcess::Described(Box::new(process)));
    }
    if call.arguments.len() < 2 {
        return Err(Failure::NoCommand);
    }
    let args = (1..call.arguments.len()).filter_map(|index| call.argument(index).transpose());
    Ok(ExecProcess::Derived(Overrides {
        args: args.collect::<Result<_, _>>()?,
        cwd: call.path("cwd"),
        env: environment(call)?,
        terminal: call.is("tty"),
        user: call.text("user")?.map(|text| user(&text)).transpose()?,
        additional_gids: additional_gids(call)?,
        selinux_label: call.text("process-label")?,
        apparmor_profile: call.text("apparmor")?,
        no_new_privileges: call.is("no-new-privs"),
        capabilities: call.texts("cap")?,
    }))
}

fn environment(call: &Invocation<'_>) -> Result<Vec<String>, Failure> {
    let variables = call.texts("env")?;
    match variables.iter().find(|variable| variable.find('=').unwrap_or(0) == 0) {
        Some(wrong) => Err(invalid("env", wrong, "must be NAME=VALUE")),
        None => Ok(variables),
    }
}

/// `UID` or `UID:GID`, decimal.
fn user(text: &str) -> Result<(u32, Option<u32>), Failure> {
    let (uid, gid) = text.split_once(':').map_or((text, None), |(uid, gid)| (uid, Some(gid)));
    let gid = gid.map(str::parse).transpose();
    match (uid.parse(), gid) {
        (Ok(uid), Ok(gid)) => Ok((uid, gid)),
        _ => Err(invalid("user", text, "must be numeric, UID or UID:GID")),
    }
}

fn additional_gids(call: &Invocation<'_>) -> Result<Vec<u32>, Failure> {
    let gid =
        |text: &String| text.parse().map_err(|_| invalid("additional-gids", text, "must be a group id"));
    call.texts("additional-gids")?.iter().map(gid).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_numbers() {
        assert_eq!(user("5").expect("valid"), (5, None));
        assert_eq!(user("5:6").expect("valid"), (5, Some(6)));
        for wrong in ["root", "5:", ":6", "5:x", "-1", "4294967296"] {
            let text = user(wrong).expect_err("invalid").to_string();
            assert_eq!(text, format!("invalid --user {wrong:?}: must be numeric, UID or UID:GID"));
        }
    }
}
