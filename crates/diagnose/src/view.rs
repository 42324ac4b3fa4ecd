//! A snapshot with the look-ups that rules and graph need, made once: who is who, who is whose child.
//!
//! **Invariant**: whoever runs in a container is [`Role::InContainer`] or the runtime's own child there, whatever it
//! calls itself; only the kernel's word (namespaces, control groups, the executable) makes a process anything else.

use std::collections::HashMap;

use crate::snapshot::{Container, End, Pipe, Process, Role, Snapshot, Thread, role};

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
            let parent = self.roles.get(&process.ppid).copied().zip(self.snapshot.process(process.ppid));
            let role = role::role(process, parent);
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
            if at.is_none_or(|parent| !self.starts_runtimes(parent)) {
                return self.named_by(process);
            }
        }
        None
    }

    /// Whether its container is that of the runtimes below it.
    fn starts_runtimes(&self, process: &Process) -> bool {
        process.container.is_some()
            || matches!(self.role(process.pid), Role::Shim | Role::Conmon | Role::Runtime)
    }

    /// The one container a shim or conmon keeps; none when it keeps several.
    fn kept_by(&self, shim: &Process) -> Option<&'a str> {
        if self.role(shim.pid) == Role::Conmon {
            // An exec has a conmon of its own, which is told the id of the container.
            let id = shim.option("-c").or_else(|| shim.option("--cid"))?;
            return self.container(id).map(|container| container.id.as_str());
        }
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

    /// The shim or conmon of a container, and the conmons of its execs.
    #[must_use]
    pub fn keepers_of(&self, id: &str) -> Vec<&'a Process> {
        let shim = self.shim_of(id);
        let is_other = |it: &&Process| shim.is_none_or(|shim| shim.pid != it.pid);
        let of_execs =
            self.with_role(Role::Conmon).filter(|it| self.kept_by(it) == Some(id)).filter(is_other);
        shim.into_iter().chain(of_execs).collect()
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
        if inside { process.comm.clone() } else { role::program(process).to_owned() }
    }

    /// How long a process has been running, in words.
    #[must_use]
    pub fn age(&self, process: &Process) -> String {
        self.known_age(process).unwrap_or_else(|| String::from("an unknown time"))
    }

    /// The same; `None` when a listing taken by hand does not tell.
    #[must_use]
    pub fn known_age(&self, process: &Process) -> Option<String> {
        let is_known = self.snapshot.taken.version != crate::listing::BY_HAND;
        is_known.then(|| words(self.snapshot.age_ms(process)))
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
    fn a_time_is_told_in_the_unit_people_would_use() {
        let told = [420, 12_000, 200_000, 8_000_000, 400_000_000].map(words);
        assert_eq!(told, ["0.4 s", "12 s", "3 min", "2 h", "4 days"]);
    }
}
