//! Which part of the chain a process plays, from what nobody in a container can choose.
//!
//! A container may name its processes as it likes, so a process in a pid namespace of its own is one of a container
//! whatever it is called, and a `runc init` only counts below a runtime of the host.

use super::{Process, Role, Snapshot};

/// Names of low-level runtimes.
const RUNTIMES: &[&str] = &["runc", "crun", "sluice", "youki", "docker-runc", "runsc", "kata-runtime"];

/// Verbs that tell a wrapper of a runtime from any other script.
const VERBS: &[&str] = &["create", "start", "exec", "run", "delete", "kill", "state", "update", "init"];

impl Snapshot {
    /// What a process is in the chain from a client to a container.
    #[must_use]
    pub fn role(&self, process: &Process) -> Role {
        let parent = self.process(process.ppid);
        if is_init_of_a_runtime(process) && parent.is_some_and(|it| self.role_of_parent(it) == Role::Runtime)
        {
            return Role::RuntimeInit;
        }
        if process.is_in_a_pid_namespace() {
            return Role::InContainer;
        }
        let role = by_name(process);
        if role != Role::Other {
            return role;
        }
        let keeper = parent.map_or(Role::Other, by_name);
        let wrapper = matches!(keeper, Role::Shim | Role::Conmon) && has_a_verb(process);
        match process.container {
            _ if wrapper => Role::Runtime,
            Some(_) => Role::InContainer,
            None => Role::Other,
        }
    }

    /// The role of the parent of an init: a runtime, perhaps through its own first stages.
    fn role_of_parent(&self, parent: &Process) -> Role {
        match by_name(parent) {
            Role::Other if is_init_of_a_runtime(parent) => {
                self.process(parent.ppid).map_or(Role::Other, by_name)
            }
            other if parent.is_in_a_pid_namespace() && other != Role::Other => Role::InContainer,
            other => other,
        }
    }
}

/// `runc init` in any of its stages, by its name or its arguments.
fn is_init_of_a_runtime(process: &Process) -> bool {
    let words = process.args.as_deref().unwrap_or_default();
    let by_args = words.len() == 2 && words[1] == "init" && RUNTIMES.contains(&base(&words[0]));
    process.comm.starts_with("runc:[") || by_args
}

/// The role that name and arguments of a host process speak for.
#[must_use]
pub(crate) fn by_name(process: &Process) -> Role {
    let name = program(process);
    match name {
        "dockerd" | "dockerd-current" | "docker-daemon" => Role::Engine,
        "podman" if process.args.as_deref().is_some_and(|args| args.iter().any(|word| word == "service")) => {
            Role::Engine
        }
        "containerd" | "docker-containerd" => Role::Containerd,
        "crio" => Role::Crio,
        "kubelet" => Role::Kubelet,
        "conmon" | "conmonrs" => Role::Conmon,
        "docker" | "ctr" | "crictl" | "nerdctl" | "kubectl" | "podman" => Role::Client,
        _ if name.starts_with("containerd-shim") || name == "docker-containerd-shim" => Role::Shim,
        _ if RUNTIMES.contains(&name) || process.comm == "runc" => Role::Runtime,
        _ => Role::Other,
    }
}

/// Base name of the program: its executable, else its first argument, else its name.
fn program(process: &Process) -> &str {
    let first = process.args.as_deref().and_then(|args| args.first());
    let exe = process.exe.as_deref().map(|exe| exe.trim_end_matches(" (deleted)"));
    // A runtime that protects itself runs from a copy in memory, whose name says nothing.
    let exe = exe.filter(|exe| exe.starts_with('/') && !exe.starts_with("/memfd:") && !is_interpreter(exe));
    base(exe.or(first.map(String::as_str)).unwrap_or(&process.comm))
}

fn is_interpreter(exe: &str) -> bool {
    matches!(base(exe), "sh" | "bash" | "dash" | "busybox" | "python3" | "awk" | "gawk" | "mawk")
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn has_a_verb(process: &Process) -> bool {
    let args = process.args.as_deref().unwrap_or_default();
    args.iter().skip(1).any(|word| VERBS.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, ppid: i32, args: &[&str]) -> Process {
        let args: Vec<String> = args.iter().map(|&word| word.to_owned()).collect();
        let comm = base(&args[0]).chars().take(15).collect();
        Process { pid, ppid, comm, args: Some(args), ns_pids: vec![pid], ..Process::default() }
    }

    fn in_container(mut process: Process) -> Process {
        process.ns_pids.push(7);
        process
    }

    fn roles(processes: Vec<Process>) -> Vec<Role> {
        let snapshot = Snapshot { processes, ..Snapshot::default() };
        snapshot.processes.iter().map(|process| snapshot.role(process)).collect()
    }

    #[test]
    fn the_chain_of_a_stock_exec() {
        let chain = vec![
            process(1, 0, &["/sbin/init"]),
            process(2, 1, &["/usr/bin/dockerd"]),
            process(3, 1, &["/usr/bin/containerd"]),
            process(4, 1, &["/usr/bin/containerd-shim-runc-v2", "-namespace", "moby"]),
            process(5, 4, &["runc", "--root", "/run/x", "exec", "id"]),
            in_container(process(6, 5, &["runc", "init"])),
            process(7, 4, &["/bin/bash", "/srv/runc-flood", "--root", "/x", "exec", "id"]),
        ];
        assert_eq!(
            roles(chain),
            [
                Role::Other,
                Role::Engine,
                Role::Containerd,
                Role::Shim,
                Role::Runtime,
                Role::RuntimeInit,
                Role::Runtime
            ]
        );
    }

    #[test]
    fn a_container_cannot_call_itself_a_daemon() {
        let liars = vec![
            process(4, 1, &["/usr/bin/containerd-shim-runc-v2"]),
            in_container(process(5, 4, &["dockerd"])),
            in_container(process(6, 5, &["runc", "init"])),
            in_container(process(7, 5, &["runc", "exec"])),
            in_container(process(8, 7, &["runc", "init"])),
        ];
        let expected =
            [Role::Shim, Role::InContainer, Role::InContainer, Role::InContainer, Role::InContainer];
        assert_eq!(roles(liars), expected);
    }
}
