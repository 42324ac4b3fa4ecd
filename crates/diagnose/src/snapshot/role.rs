//! Which part of the chain a process plays, from what nobody in a container can choose.
//!
//! A container may name its processes as it likes, so a process in a pid namespace of its own is one of a container
//! whatever it is called, and a `runc init` only counts below a process of the host.

use super::{Process, Role};

/// Programs that read a script, so that their own name says nothing.
const INTERPRETERS: &[&str] = &["sh", "bash", "dash", "busybox", "python3", "perl", "awk", "gawk", "mawk"];

/// Verbs of a runtime.
pub(crate) const VERBS: [&str; 9] =
    ["exec", "create", "start", "delete", "kill", "pause", "resume", "update", "run"];

/// What a process is, given what its parent is.
///
/// Whatever a shim, a conmon or a runtime starts is a runtime (it may be a wrapper under any name) until the kernel
/// says that it is in a container; of what podman or cri-o starts, whatever it tells to do something with a container.
#[must_use]
pub(crate) fn role(process: &Process, parent: Option<(Role, &Process)>) -> Role {
    let (parent, caller) = parent.unzip();
    let starts_runtimes = matches!(parent, Some(Role::Shim | Role::Conmon | Role::Runtime));
    if process.container.is_some() || process.is_in_a_pid_namespace() {
        // Its runtime may be gone: then a process of the host has inherited it, which one of a container never gets.
        let of_the_host = parent.is_some_and(|role| role != Role::InContainer && role != Role::RuntimeInit);
        return match init_of_a_runtime(process) {
            Init::Surely if of_the_host => Role::RuntimeInit,
            Init::Perhaps if starts_runtimes => Role::RuntimeInit,
            _ => Role::InContainer,
        };
    }
    let named = by_name(process);
    let is_called = parent.zip(caller).is_some_and(|(role, caller)| calls_runtimes(role, caller));
    let is_wrapper = named == Role::Other && is_called && is_told_a_container(process);
    if starts_runtimes || is_wrapper { Role::Runtime } else { named }
}

/// Whether a process of this role calls runtimes itself: a plug-in of docker or kubectl is given a container too.
#[must_use]
pub(crate) fn calls_runtimes(role: Role, process: &Process) -> bool {
    matches!(role, Role::Client | Role::Engine | Role::Crio) && matches!(program(process), "podman" | "crio")
}

/// The script that a process runs: the first argument of an interpreter.
#[must_use]
pub(crate) fn script(process: &Process) -> Option<&str> {
    let exe = process.exe.as_deref().filter(|exe| INTERPRETERS.contains(&base(exe)));
    exe.and_then(|_| process.args.as_ref()?.get(1)).map(String::as_str)
}

/// Whether it was given a verb of a runtime and a whole id, as podman and cri-o call a wrapper of one themselves.
fn is_told_a_container(process: &Process) -> bool {
    let words = || process.args.iter().flatten();
    let is_id = |word: &String| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    words().any(is_id) && words().any(|word| VERBS.contains(&word.as_str()))
}

/// A process that keeps containers, by its name alone, and is in none: a container may share the pids of the host.
#[must_use]
pub(crate) fn is_keeper(process: &Process) -> bool {
    let is_inside = process.is_in_a_pid_namespace() || process.container.is_some();
    !is_inside && matches!(by_name(process), Role::Shim | Role::Conmon)
}

/// The role that the executable of a host process speaks for, or its arguments where that is not known.
#[must_use]
pub(crate) fn by_name(process: &Process) -> Role {
    let name = program(process);
    match name.trim_start_matches("docker-").trim_end_matches("-current") {
        "dockerd" => Role::Engine,
        _ if name == "docker-daemon" => Role::Engine,
        "podman" if process.args.iter().flatten().any(|word| word == "service") => Role::Engine,
        "containerd" | "k3s" => Role::Containerd,
        "crio" => Role::Crio,
        "kubelet" | "hyperkube" => Role::Kubelet,
        "conmon" | "conmonrs" => Role::Conmon,
        _ if name == "docker-compose" => Role::Client,
        "docker" | "ctr" | "containerd-ctr" | "crictl" | "nerdctl" | "kubectl" | "podman" => Role::Client,
        "runc" | "crun" | "sluice" | "youki" | "runsc" | "kata-runtime" => Role::Runtime,
        plain if plain.starts_with("containerd-shim") => Role::Shim,
        _ => Role::Other,
    }
}

/// File name of the program: of its executable, of the script that an interpreter runs, of its first argument.
#[must_use]
pub(crate) fn program(process: &Process) -> &str {
    let args = process.args.as_deref().unwrap_or_default();
    let exe = process.exe.as_deref().map(|path| path.strip_suffix(" (deleted)").unwrap_or(path));
    // A runtime that protects itself runs from a copy in memory or a detached mount, whose path says nothing.
    let exe = exe.filter(|path| !path.starts_with("/memfd:")).map(base).filter(|name| !name.is_empty());
    let Some(exe) = exe else { return args.first().map_or(&process.comm, |first| base(first)) };
    let is_script = INTERPRETERS.contains(&exe) && !process.comm.is_empty() && process.comm != exe;
    // The kernel calls a process after the script that it started, cut at 15 bytes; the argument has all of it.
    let whole = args.get(1).map(|path| base(path)).filter(|name| name.starts_with(&process.comm));
    if is_script { whole.unwrap_or(&process.comm) } else { exe }
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether a process in a container is still the runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Init {
    /// Its executable is the runtime's own, from a place that no container has.
    Surely,
    /// It says so, and its executable does not speak against it.
    Perhaps,
    /// It is the container's program.
    Not,
}

fn init_of_a_runtime(process: &Process) -> Init {
    let second = process.args.as_ref().and_then(|args| args.get(1));
    if second.is_none_or(|word| word != "init") && !process.comm.starts_with("runc:[") {
        return Init::Not;
    }
    let exe = process.exe.as_deref().unwrap_or_default();
    // A runtime that protects itself runs from a detached mount, whose path is `/`, or from a copy in memory.
    if exe == "/" || exe.starts_with("/memfd:runc_cloned") {
        return Init::Surely;
    }
    let known = ["runc", "crun", "sluice", "youki"].iter().any(|name| exe.contains(name));
    if exe.is_empty() || known { Init::Perhaps } else { Init::Not }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Snapshot;
    use crate::view::View;

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
        let view = View::of(&snapshot);
        snapshot.processes.iter().map(|process| view.role(process.pid)).collect()
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

    #[test]
    fn what_podman_tells_to_do_something_with_a_container_is_a_runtime() {
        let id = "dc33aedd29e035058340afd15c4dc4ac23e5e947a1ca498f811bbcf0be98a51e";
        let family = vec![
            process(4, 1, &["podman", "start", id]),
            process(5, 4, &["/opt/wrapper", "start", id]),
            process(6, 5, &["sleep", "600"]),
            process(7, 4, &["less", id]),
            process(8, 1, &["/opt/wrapper", "start", id]),
        ];
        let expected = [Role::Client, Role::Runtime, Role::Runtime, Role::Other, Role::Other];
        assert_eq!(roles(family), expected);
    }

    #[test]
    fn a_plug_in_of_a_client_is_no_runtime() {
        let id = "dc33aedd29e035058340afd15c4dc4ac23e5e947a1ca498f811bbcf0be98a51e";
        let family = ["docker", "kubectl", "dockerd"].map(|caller| {
            let caller = process(4, 1, &[caller]);
            roles(vec![caller, process(5, 4, &["/opt/plug-in", "exec", id])])[1]
        });
        assert_eq!(family, [Role::Other; 3]);
    }

    fn run_from(mut process: Process, exe: &str, comm: &str) -> Process {
        (process.exe, process.comm) = (Some(exe.to_owned()), comm.to_owned());
        process
    }

    #[test]
    fn what_a_shim_starts_is_a_runtime_whatever_it_is_called() {
        let wrapper = process(11, 10, &["/bin/sh", "/opt/runc-flood", "exec"]);
        let init = in_container(process(13, 11, &["runc", "init"]));
        let family = vec![
            process(10, 1, &["/usr/bin/containerd-shim-runc-v2"]),
            run_from(wrapper, "/usr/bin/dash", "runc-flood"),
            process(12, 11, &["mawk"]),
            run_from(init, "/memfd:runc_cloned:/proc/self/exe (deleted)", "runc:[2:INIT]"),
        ];
        assert_eq!(roles(family), [Role::Shim, Role::Runtime, Role::Runtime, Role::RuntimeInit]);
    }

    #[test]
    fn an_init_whose_runtime_is_gone_is_still_one() {
        let inherited =
            |pid, exe| in_container(run_from(process(pid, 1, &["runc", "init"]), exe, "runc:[2:INIT]"));
        let family = vec![process(1, 0, &["/sbin/init"]), inherited(5, "/"), inherited(6, "/bin/runc")];
        assert_eq!(roles(family), [Role::Other, Role::RuntimeInit, Role::InContainer]);
    }

    #[test]
    fn a_script_is_called_by_its_own_name() {
        let script = process(1, 0, &["/bin/sh", "/opt/nvidia-container-runtime", "exec"]);
        let whole = run_from(script, "/usr/bin/dash", "nvidia-containe");
        let unread = Process { args: None, ..whole.clone() };
        let shell = run_from(process(1, 0, &["bash"]), "/usr/bin/bash", "bash");
        assert_eq!(
            [&whole, &unread, &shell].map(program),
            ["nvidia-container-runtime", "nvidia-containe", "bash"]
        );
    }
}
