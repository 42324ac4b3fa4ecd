//! A snapshot with the look-ups that rules and graph need, made once: who is who, who is whose child.
//!
//! **Invariant**: whoever runs in a container is [`Role::InContainer`] or the runtime's own child there, whatever it
//! calls itself; only the kernel's word (namespaces, control groups, the executable) makes a process anything else.

use std::collections::HashMap;

use crate::snapshot::{Container, End, Pipe, Process, Role, Snapshot, Thread};

/// A snapshot, indexed.
#[derive(Debug)]
pub struct View<'a> {
    /// What was seen.
    pub snapshot: &'a Snapshot,
    roles: HashMap<i32, Role>,
    children: HashMap<i32, Vec<&'a Process>>,
    containers: HashMap<&'a str, &'a Container>,
}

impl<'a> View<'a> {
    /// Indexes a snapshot.
    #[must_use]
    pub fn of(snapshot: &'a Snapshot) -> Self {
        let mut children: HashMap<i32, Vec<&Process>> = HashMap::new();
        for process in &snapshot.processes {
            children.entry(process.ppid).or_default().push(process);
        }
        let containers =
            snapshot.containers.iter().map(|container| (container.id.as_str(), container)).collect();
        let mut view = Self { snapshot, roles: HashMap::new(), children, containers };
        let roots: Vec<&Process> =
            snapshot.processes.iter().filter(|process| snapshot.process(process.ppid).is_none()).collect();
        for root in roots {
            view.assign(root);
        }
        view
    }

    /// Parents before children, since a runtime is known by who started it.
    fn assign(&mut self, root: &'a Process) {
        let mut todo = vec![root];
        while let Some(process) = todo.pop() {
            let role = role(process, self.roles.get(&process.ppid).copied());
            if self.roles.insert(process.pid, role).is_none() {
                todo.extend(self.children.get(&process.pid).into_iter().flatten().copied());
            }
        }
    }

    /// What a process is.
    #[must_use]
    pub fn role(&self, pid: i32) -> Role {
        self.roles.get(&pid).copied().unwrap_or(Role::Other)
    }

    /// Every process with this role.
    pub fn with_role(&self, role: Role) -> impl Iterator<Item = &'a Process> {
        self.snapshot.processes.iter().filter(move |process| self.role(process.pid) == role)
    }

    /// The children of a process.
    pub fn children(&self, pid: i32) -> impl Iterator<Item = &'a Process> {
        self.children.get(&pid).into_iter().flatten().copied()
    }

    /// The process itself and everything below it.
    #[must_use]
    pub fn family(&self, process: &'a Process) -> Vec<&'a Process> {
        let mut family = vec![process];
        let mut at = 0;
        while let Some(member) = family.get(at) {
            family.extend(self.children(member.pid));
            at += 1;
        }
        family
    }

    /// The runtime that a shim itself started, above a process that works for it; the process when there is none.
    ///
    /// A runtime whose helper is killed wants to say so, into the same full pipe; the shim waits for the runtime alone.
    #[must_use]
    pub fn started_by_shim(&self, process: &'a Process) -> &'a Process {
        let mut top = process;
        while let Some(parent) =
            self.snapshot.process(top.ppid).filter(|it| self.role(it.pid) == Role::Runtime)
        {
            top = parent;
        }
        top
    }

    /// The container with this id.
    #[must_use]
    pub fn container(&self, id: &str) -> Option<&'a Container> {
        self.containers.get(id).copied()
    }

    /// Id of the container that a process is in, or works for: its own group's, else that of the shim above it.
    #[must_use]
    pub fn container_of(&self, process: &'a Process) -> Option<&'a str> {
        let mut at = Some(process);
        while let Some(process) = at {
            if let Some(id) = process.container.as_deref() {
                return Some(id);
            }
            match self.role(process.pid) {
                Role::Shim | Role::Conmon => return self.kept_by(process),
                Role::Runtime => at = self.snapshot.process(process.ppid).or(None),
                _ => return None,
            }
            if at.is_none_or(|parent| self.role(parent.pid) == Role::Other) {
                return self.named_by(process);
            }
        }
        None
    }

    /// The one container a shim keeps; none when it keeps several.
    fn kept_by(&self, shim: &Process) -> Option<&'a str> {
        let mut kept = self.snapshot.containers.iter().filter(|container| container.shim == Some(shim.pid));
        match (kept.next(), kept.next()) {
            (Some(one), None) => Some(&one.id),
            _ => None,
        }
    }

    /// The container that a command line names in full; for runtimes, which are called by id.
    fn named_by(&self, runtime: &Process) -> Option<&'a str> {
        let mut arguments = runtime.args.iter().flatten();
        arguments.find_map(|argument| self.container(argument)).map(|container| container.id.as_str())
    }

    /// The shim of a container.
    #[must_use]
    pub fn shim_of(&self, id: &str) -> Option<&'a Process> {
        self.snapshot.process(self.container(id)?.shim?)
    }

    /// The pipe that a thread waits to write to, and through which descriptor.
    #[must_use]
    pub fn writing_to(&self, process: &'a Process, thread: &Thread) -> Option<(&'a Pipe, End)> {
        self.waiting_on_pipe(
            process,
            thread,
            &["write", "writev", "pwrite64", "splice", "sendfile"],
            "pipe_w",
        )
    }

    fn waiting_on_pipe(
        &self,
        process: &'a Process,
        thread: &Thread,
        calls: &[&str],
        channel: &str,
    ) -> Option<(&'a Pipe, End)> {
        let call = thread.call.as_ref()?;
        let fd = call.fd.filter(|_| call.name.as_deref().is_some_and(|name| calls.contains(&name)))?;
        let pipe = self.snapshot.pipe(process.fd(fd)?.pipe()?)?;
        // Kernel: 3.10 to 5.4 sleep in pipe_wait, later ones in pipe_write or anon_pipe_write.
        let sleeps = thread.wchan.as_deref().is_none_or(|name| name.contains(channel) || name == "pipe_wait");
        (thread.state != 'R' && sleeps).then_some((pipe, End { pid: process.pid, fd }))
    }

    /// What people call a process: its name and pid.
    #[must_use]
    pub fn label(&self, process: &Process) -> String {
        format!("{} ({})", crate::finding::one_line(&self.name(process)), process.pid)
    }

    /// Name of the program: of a process of the host that of its executable, of one in a container what it says.
    #[must_use]
    pub fn name(&self, process: &Process) -> String {
        let inside = matches!(self.role(process.pid), Role::InContainer | Role::RuntimeInit);
        match program(process) {
            Some(name) if !inside => name.to_owned(),
            _ => process.comm.clone(),
        }
    }

    /// How long a process has been running, in words.
    #[must_use]
    pub fn age(&self, process: &Process) -> String {
        if self.snapshot.taken.version == crate::listing::BY_HAND {
            return String::from("for an unknown time");
        }
        words(self.snapshot.age_ms(process))
    }
}

/// A time in words: `0.4 s`, `12 s`, `3 min`, `5 h`, `4 days`.
#[must_use]
pub fn words(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0..10 => format!("{}.{} s", seconds, milliseconds % 1000 / 100),
        10..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// File name of the executable; a script's own name when an interpreter runs it for a shim.
fn program(process: &Process) -> Option<&str> {
    let base = |path: &'_ str| path.rsplit('/').next().map(str::len);
    let name = |path: &'_ str| -> usize { path.len() - base(path).unwrap_or(0) };
    let on_disk = process.exe.as_deref().filter(|path| !path.starts_with("/memfd:"));
    let exe = on_disk.map(|path| path.strip_suffix(" (deleted)").unwrap_or(path));
    let exe = exe.map(|path| &path[name(path)..]);
    let script = process.args.as_ref().and_then(|args| args.get(1)).map(|path| &path[name(path)..]);
    match exe {
        Some("sh" | "bash" | "dash" | "busybox" | "python3" | "perl") if script == Some(&process.comm) => {
            script
        }
        Some(name) if !name.is_empty() => Some(name),
        _ => None,
    }
}

fn role(process: &Process, parent: Option<Role>) -> Role {
    let starts_runtimes = matches!(parent, Some(Role::Shim | Role::Conmon | Role::Runtime));
    if process.container.is_some() || process.is_in_a_pid_namespace() {
        let is_init = starts_runtimes && is_runtime_init(process);
        return if is_init { Role::RuntimeInit } else { Role::InContainer };
    }
    if starts_runtimes {
        return Role::Runtime;
    }
    let name = program(process).or_else(|| process.args.as_ref()?.first()?.rsplit('/').next());
    by_name(name.unwrap_or(&process.comm))
}

/// A process of the host by the name of its executable.
fn by_name(name: &str) -> Role {
    let plain = name.trim_start_matches("docker-").trim_end_matches("-current");
    match plain {
        "dockerd" => Role::Engine,
        "containerd" | "k3s" => Role::Containerd,
        "crio" => Role::Crio,
        "kubelet" | "hyperkube" => Role::Kubelet,
        "docker" | "ctr" | "crictl" | "nerdctl" | "kubectl" | "podman" => Role::Client,
        "conmon" | "conmonrs" => Role::Conmon,
        "runc" | "crun" | "sluice" | "youki" => Role::Runtime,
        _ if plain.starts_with("containerd-shim") => Role::Shim,
        _ => Role::Other,
    }
}

/// Whether a runtime's child is still the runtime: by what it executes, which nobody in a container can choose for it
/// before `execve`.
fn is_runtime_init(process: &Process) -> bool {
    let second = process.args.as_ref().and_then(|args| args.get(1));
    let says_init = second.is_some_and(|word| word == "init") || process.comm.starts_with("runc:[");
    let exe = process.exe.as_deref().unwrap_or_default();
    // A runtime that protects itself runs from a detached mount, whose path is `/`.
    says_init
        && (exe.is_empty()
            || exe == "/"
            || ["runc", "crun", "sluice", "youki"].iter().any(|name| exe.contains(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, ppid: i32, exe: &str) -> Process {
        let comm: String = exe.rsplit('/').next().unwrap().chars().take(15).collect();
        Process { pid, ppid, comm, exe: Some(exe.to_owned()), ns_pids: vec![pid], ..Process::default() }
    }

    #[test]
    fn nobody_in_a_container_is_taken_for_a_daemon() {
        let mut inside = process(20, 10, "/usr/bin/dockerd");
        inside.ns_pids = vec![20, 1];
        let mut named = process(21, 10, "/usr/bin/dockerd");
        named.container = Some(String::from("c"));
        let shim = process(10, 1, "/usr/bin/containerd-shim-runc-v2");
        let snapshot = Snapshot {
            processes: vec![process(1, 0, "/sbin/init"), shim, inside, named],
            ..Snapshot::default()
        };
        let view = View::of(&snapshot);
        assert_eq!(
            [1, 10, 20, 21].map(|pid| view.role(pid)),
            [Role::Other, Role::Shim, Role::InContainer, Role::InContainer]
        );
    }

    #[test]
    fn what_a_shim_starts_is_a_runtime_whatever_it_is_called() {
        let shim = process(10, 1, "/usr/bin/containerd-shim-runc-v2");
        let mut wrapper = process(11, 10, "/usr/bin/dash");
        wrapper.comm = String::from("runc-flood");
        wrapper.args = Some(vec!["/bin/sh".into(), "/opt/runc-flood".into(), "exec".into()]);
        let mut init = process(13, 11, "/memfd:runc_cloned:/proc/self/exe (deleted)");
        init.args = Some(vec!["runc".into(), "init".into()]);
        init.container = Some(String::from("c"));
        let snapshot = Snapshot {
            processes: vec![shim, wrapper, process(12, 11, "/usr/bin/mawk"), init],
            ..Snapshot::default()
        };
        let view = View::of(&snapshot);
        assert_eq!([11, 12, 13].map(|pid| view.role(pid)), [Role::Runtime, Role::Runtime, Role::RuntimeInit]);
        assert_eq!(view.name(&snapshot.processes[1]), "runc-flood");
    }

    #[test]
    fn a_time_is_told_in_the_unit_people_would_use() {
        let told = [420, 12_000, 200_000, 8_000_000, 400_000_000].map(words);
        assert_eq!(told, ["0.4 s", "12 s", "3 min", "2 h", "4 days"]);
    }
}
