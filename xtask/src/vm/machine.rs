//! The emulated machine: its command line, its console, its end.
//!
//! **Invariant:** qemu never outlives this program: it is killed by its id when a guard strikes, and by the kernel when
//! this program is killed.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::failure::Failure;
use crate::vm::cache::Guest;
use crate::vm::event::PORT;
use crate::vm::options::{Layout, Options};
use crate::vm::payload::Payload;
use crate::vm::results::{Fault, Results};

/// Without a word for so long, the guest is stuck. It boots in 10 to 20 seconds and then speaks every few.
const SILENCE: Duration = Duration::from_mins(5);

/// How the console ends after `systemctl poweroff`, and only then.
const POWER_DOWN: &str = "reboot: Power down";

/// What the kernel says before it stops on its own account.
const PANIC: &str = "Kernel panic";

/// How much of the console is shown after a fault.
const CONSOLE_LINES: usize = 60;

/// Settings for both kernels. An oops ends the guest, so that it cannot pass for a slow test.
///
/// qemu 7.2 keeps translated code by its virtual address too: with every program at an address of its own it translates
/// libc again for each process. `norandmaps` makes fork and execve four times as fast (37 ms, then 8 ms).
const KERNEL_ARGUMENTS: &str = "root=/dev/vda rw console=ttyS0 quiet net.ifnames=0 mitigations=off norandmaps oops=panic panic=-1 \
                                psi=1 swapaccount=1 systemd.show_status=0 modprobe.blacklist=kvm_amd,ata_piix";

/// All that qemu can emulate but for what is slow there: a fifth level of page tables, and `rep movsb` taken for the
/// quickest way to copy, which makes filling a page cost three times as much.
const PROCESSOR: &str = "max,la57=off,erms=off,fsrm=off";

/// Two hundred clients of Docker at a time, as a test of the doctor starts them, do not fit into half of it.
const MEMORY_MIB: &str = "4096";

/// Runs the planned tests on a kernel; true when all is well.
///
/// # Errors
/// When qemu cannot be started, or on Ctrl-C.
pub(super) fn test(
    guest: &Guest,
    kernel: &str,
    options: &Options,
    payload: &Payload,
) -> Result<bool, Failure> {
    let console = payload.beside(&format!("console-{kernel}"));
    let mut command = qemu(guest, (kernel, options.layout), payload, "sluice.tests systemd.getty_auto=no")?;
    command.args(["-display", "none", "-monitor", "none", "-serial"]);
    command.arg(format!("file:{}", console.display()));
    // The port is qemu's standard output, so its end is the end of the results. Its standard input stays open: at the
    // end of that qemu would call the port unplugged, and the guest would wait with every word.
    command.args(["-chardev", "stdio,id=results,signal=off", "-device", "virtio-serial-pci", "-device"]);
    command.arg(format!("virtserialport,chardev=results,name={PORT}"));
    let mut machine = Machine::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
    let mut results = Results::new(kernel, payload);
    let struck = machine.listen(&mut results, options.limit)?;
    if let Some(fault) = struck.or_else(|| machine.fault(&console)) {
        results.fault(fault, &tail(&console));
    } else if !results.is_summed_up() {
        results.fault(Fault::Mute, &tail(&console));
    }
    Ok(results.verdict())
}

/// A root shell on this terminal.
///
/// # Errors
/// When qemu cannot be started.
pub(super) fn shell(guest: &Guest, options: &Options, payload: &Payload) -> Result<ExitCode, Failure> {
    let kernel = options.kernels.first().map_or("6.1", String::as_str);
    println!("root has no password; /opt/sluice has the binaries; `poweroff` ends it, Ctrl-A X at once");
    let mut command = qemu(guest, (kernel, options.layout), payload, "")?;
    let status = command.arg("-nographic").status().map_err(not_started)?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The machine without a way to talk to it.
fn qemu(
    guest: &Guest,
    (kernel, layout): (&str, Layout),
    payload: &Payload,
    arguments: &str,
) -> Result<Command, Failure> {
    let (image, initrd) = guest.kernel(kernel)?;
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "qemu-system-x86_64", "-nodefaults", "-no-reboot"]);
    command.args(["-accel", "tcg,thread=multi,tb-size=512", "-cpu", PROCESSOR]);
    command.args(["-smp", "2", "-m", MEMORY_MIB]);
    command.args(["-nic", "none", "-device", "virtio-rng-pci"]);
    command.arg("-kernel").arg(image).arg("-initrd").arg(initrd);
    command.arg("-append").arg(format!("{KERNEL_ARGUMENTS} {} {arguments}", layout.kernel_arguments()));
    let disk = |path: PathBuf, more: &str| {
        format!(
            "file={},format=raw,if=virtio,cache=unsafe,{more}",
            path.display().to_string().replace(',', ",,")
        )
    };
    command.arg("-drive").arg(disk(guest.disk(), "snapshot=on"));
    command.arg("-drive").arg(disk(payload.disk(), "readonly=on"));
    Ok(command)
}

/// A running qemu.
struct Machine {
    child: Child,
    signalled: Arc<AtomicBool>,
}

impl Machine {
    fn start(command: &mut Command) -> Result<Self, Failure> {
        let signalled = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&signalled)).map_err(not_started)?;
        }
        Ok(Self { child: command.spawn().map_err(not_started)?, signalled })
    }

    /// Takes every event until the machine is gone; says which guard struck, if one did.
    fn listen(&mut self, results: &mut Results, limit: Duration) -> Result<Option<Fault>, Failure> {
        let lines = self.child.stdout.take().map(lines);
        let (start, mut heard) = (Instant::now(), Instant::now());
        while let Some(lines) = &lines {
            match lines.recv_timeout(Duration::from_secs(1)) {
                Ok(line) => {
                    heard = Instant::now();
                    results.line(&line);
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.signalled.load(Ordering::Relaxed) {
                return Err(Failure::Interrupted);
            }
            if heard.elapsed() > SILENCE {
                return Ok(Some(Fault::Silent(SILENCE)));
            }
            if start.elapsed() > limit {
                return Ok(Some(Fault::Overdue(limit)));
            }
        }
        Ok(None)
    }

    /// What was wrong with the machine's end.
    fn fault(&mut self, console: &Path) -> Option<Fault> {
        let ended = self.child.wait().is_ok_and(|status| status.success());
        let text = text(console);
        match text {
            _ if text.contains(PANIC) => Some(Fault::Panic),
            _ if !ended => Some(Fault::Emulator),
            _ if !text.contains(POWER_DOWN) => Some(Fault::NoPowerDown),
            _ => None,
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _no_zombie = self.child.wait();
    }
}

/// The lines of the port, read by a thread of their own so that waiting for one can be limited.
fn lines(port: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut port = BufReader::new(port);
        let mut bytes = Vec::new();
        while port.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
            let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            bytes.clear();
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn text(console: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(console).unwrap_or_default()).into_owned()
}

fn tail(console: &Path) -> String {
    let text = text(console);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(CONSOLE_LINES)..].join("\n")
}

fn not_started(source: std::io::Error) -> Failure {
    Failure::Start { program: "qemu-system-x86_64".to_owned(), source }
}
