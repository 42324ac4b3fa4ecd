//! What a shim costs: ours and the stock one, each under a containerd of its own, and the command lines beside them.

mod account;
mod containers;
mod grpc;
mod memory;
mod message;
mod node;
mod probes;
mod touched;
mod ttrpc;

use std::cell::RefCell;
use std::process::Command;
use std::time::Instant;

use crate::bench::contestant::Standing;
use crate::bench::fact::Fact;
use crate::bench::lab::Lab;
use crate::bench::options::Options;
use crate::bench::rhythm;
use crate::bench::sample::Result as Measured;
use crate::bench::trial::{self, Trial};
use crate::bench::usage::Usage;
use crate::failure::Failure;

use containers::Container;
pub(super) use memory::USED as SHIM_MEMORY;
use node::Node;
pub(super) use probes::Load;
pub(super) use touched::pages as touched_pages;
use ttrpc::Shim;

/// The stock shim with Debian's runtimes, as the report calls them.
const STOCK: [(&str, &str); 2] = [("stock+crun", "crun"), ("stock+runc", "runc")];

/// What the stock shim is called beside ours where the runtime is runc, as containerd installs it.
const STOCK_PAIR: &str = "stock+runc";

/// Everything that was found out.
#[derive(Default)]
pub(super) struct Findings {
    /// Execs over the socket of a shim, and through containerd.
    pub(super) rows: Vec<Measured>,
    /// Memory.
    pub(super) facts: Vec<Fact>,
    /// A node under probes.
    pub(super) load: Vec<Load>,
}

/// Measures what is wanted. Without containerd there is nothing, said aloud.
///
/// # Errors
/// When a daemon does not start or a call fails, or on Ctrl-C.
pub(super) fn measure(lab: &Lab, standing: &[Standing<'_>], options: &Options) -> Result<Findings, Failure> {
    let mut findings = Findings::default();
    let wanted = ["shim", "ctr", "memory", "probes"].iter().any(|name| options.wants(name));
    let Some(binary) = options.shim.as_ref().filter(|_| wanted) else { return Ok(findings) };
    if !node::is_installed() {
        eprintln!("bench: SKIPPED: the shim's part needs containerd, ctr and containerd-shim-runc-v2");
        return Ok(findings);
    }
    let ours = Node::start(lab, "sluice", Some(binary))?;
    let stock = Node::start(lab, "stock", None)?;
    execs(&[&ours, &stock], standing, options, &mut findings)?;
    if options.wants("memory") {
        findings.facts.extend(memory::measure(&ours, &stock, options)?);
    }
    if options.wants("probes") {
        findings.load = probes::measure(&ours, &stock, options)?;
    }
    Ok(findings)
}

/// One exec at a time, in containers that stand all the while.
fn execs(
    [ours, stock]: &[&Node<'_>; 2],
    standing: &[Standing<'_>],
    options: &Options,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let mut seats = vec![Seat::new("sluice", Container::run(ours, "standing", None)?)?];
    for (name, runtime) in STOCK {
        let runtime = standing.iter().map(|one| one.contestant).find(|one| one.name == runtime);
        if let Some(runtime) = runtime {
            seats.push(Seat::new(name, Container::run(stock, runtime.name.as_str(), Some(&runtime.path))?)?);
        }
    }
    let lab = ours.lab();
    if options.wants("shim") {
        let mut trials: Vec<Trial<'_>> = seats.iter().map(Seat::socket).collect();
        trials.extend(trial::execs(lab, standing).into_iter().filter(|trial| trial.name != "sluice"));
        findings.rows.extend(rhythm::back_to_back(lab, SOCKET, &mut trials, options)?);
        findings.rows.extend(rhythm::probe(lab, SOCKET, &mut trials, &options.slower())?);
    }
    if options.wants("ctr") {
        let mut trials: Vec<Trial<'_>> = seats.iter().map(Seat::ctr).collect();
        findings.rows.extend(rhythm::back_to_back(lab, CTR, &mut trials, &options.shorter())?);
    }
    Ok(())
}

/// Exec, Start, Wait and Delete, asked of the shim itself.
const SOCKET: &str = "exec over the shim's socket";

/// The whole way, with the start of `ctr`.
const CTR: &str = "ctr tasks exec";

/// A container that stands, and a connection to its shim.
struct Seat<'a> {
    name: &'static str,
    container: Container<'a>,
    shim: RefCell<Shim>,
}

impl<'a> Seat<'a> {
    fn new(name: &'static str, container: Container<'a>) -> Result<Self, Failure> {
        let shim = RefCell::new(container.shim()?);
        Ok(Self { name, container, shim })
    }

    /// The processor time is that of the shim and of all that it starts, without containerd's.
    fn socket(&self) -> Trial<'_> {
        let call = || {
            let start = Instant::now();
            self.shim.borrow_mut().exec(&self.container)?;
            Ok(start.elapsed())
        };
        let node = self.container.node();
        Trial::counted(self.name, call, move || Usage::of_time(node.account().without_daemon()))
    }

    fn ctr(&self) -> Trial<'_> {
        let node = self.container.node();
        let command = move || -> Command { self.container.ctr_exec() };
        let usage = move || Usage::of_children().plus(Usage::of_time(node.account().whole()));
        Trial::new(self.name, command).with_usage(usage)
    }
}
