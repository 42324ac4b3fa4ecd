//! How fast log text and goroutine dumps are read, and how much memory that takes: a part of `make bench`.
//!
//! The input is made while it is read, so that no disk is measured: healthy lines of containerd, kubelet and dockerd; and
//! a `debug=2` dump of 700,000 goroutines that wait for one container's lock.

use std::io::{Read, Write};
use std::time::Instant;

use diagnose::explain::Explainer;
use diagnose::goroutines::read;

/// Bytes of log text.
const LOG: usize = 512 << 20;
/// Goroutines of the dump.
const GOROUTINES: u64 = 700_000;

const HEALTHY: &str = "\
Oct 11 12:15:52 node1 containerd[2943]: time=\"2024-10-11T12:15:52.750621068Z\" level=info msg=\"ExecSync for \\\"e8c5a50d8910a6fa64367be2b7a1e972086cb304436edcf4bbfc923ba61c5ec0\\\" with command [cat /app/ready.txt] and timeout 1 (s)\"
Oct 11 12:15:52 node1 containerd[2943]: time=\"2024-10-11T12:15:52.799021068Z\" level=info msg=\"Finish piping \\\"stderr\\\" of container exec \\\"d5b66ebad3e5863d3c43943d9f6af7cb1bf67c23c9491f1f466385acbb5db561\\\"\"
Oct 11 12:15:53 node1 kubelet[24706]: I1011 12:15:53.302096   24706 kubelet.go:2039] \"SyncLoop (PLEG): event for pod\" pod=\"default/web-0\" event={\"ID\":\"0f3a\",\"Type\":\"ContainerStarted\"}
Oct 11 12:15:53 node1 dockerd[812]: time=\"2024-10-11T12:15:53.501246723Z\" level=debug msg=\"Calling GET /v1.41/containers/0f3ab1c2d3e4/json\"
Oct 11 12:15:54 node1 systemd[1]: docker-0f3ab1c2d3e4f5a6b7c8d9e0f1a2b3c4.scope: Deactivated successfully.
Oct 11 12:15:54 node1 kernel: docker0: port 1(veth3b2a1c0) entered blocking state
";

/// Bytes made on demand.
struct Made<F> {
    make: F,
    left: Vec<u8>,
    at: usize,
    bytes: u64,
}

impl<F: FnMut(&mut Vec<u8>) -> bool> Read for Made<F> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.left.len() {
            self.left.clear();
            self.at = 0;
            while self.left.len() < 1 << 16 && (self.make)(&mut self.left) {}
        }
        let rest = self.left.get(self.at..).unwrap_or_default();
        let count = rest.len().min(out.len());
        out.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.at += count;
        self.bytes += u64::try_from(count).unwrap_or(0);
        Ok(count)
    }
}

fn made<F: FnMut(&mut Vec<u8>) -> bool>(make: F) -> Made<F> {
    Made { make, left: Vec::new(), at: 0, bytes: 0 }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout();
    let explainer = Explainer::new()?;
    let mut size = 0;
    let mut log = made(|left| {
        let is_more = size < LOG;
        if is_more {
            left.extend_from_slice(HEALTHY.as_bytes());
            size += HEALTHY.len();
        }
        is_more
    });
    let start = Instant::now();
    let totals = explainer.read(&mut log, &mut drop)?;
    let rate = rate(totals.bytes, start);
    writeln!(out, "explain: {} lines without a failure, {rate:.0} MB/s, {}", totals.lines, peak())?;

    let mut id = 0;
    let mut dump = made(|left| {
        let is_more = id < GOROUTINES;
        if is_more {
            id += 1;
            left.extend_from_slice(goroutine(id).as_bytes());
        }
        is_more
    });
    let start = Instant::now();
    let dumps = read(&mut dump)?;
    let seconds = start.elapsed().as_secs_f64();
    let count: u64 = dumps.iter().map(|dump| dump.goroutines).sum();
    let megabytes = dump.bytes >> 20;
    writeln!(out, "goroutines: {count} in {megabytes} MiB, {seconds:.1} s, {}", peak())?;
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "megabytes for a reader")]
fn rate(bytes: u64, start: Instant) -> f64 {
    bytes as f64 / 1e6 / start.elapsed().as_secs_f64()
}

fn goroutine(id: u64) -> String {
    format!(
        "goroutine {id} [semacquire, {} minutes]:\nsync.runtime_SemacquireMutex(0xc{id:09x}, 0xb8?, 0x1)\n\t/usr/lib/go/src/runtime/sema.go:77 +0x25\n\
         sync.(*Mutex).lockSlow(0xc001745b80)\n\t/usr/lib/go/src/sync/mutex.go:171 +0x165\nsync.(*Mutex).Lock(...)\n\t/usr/lib/go/src/sync/mutex.go:90\n\
         github.com/docker/docker/daemon.(*Daemon).ContainerInspectCurrent(0xc000d6a000, 0xc{id:09x}, 0x0)\n\t/src/daemon/inspect.go:40 +0x8d\n\
         github.com/docker/docker/api/server/router/container.(*containerRouter).getContainersByName(0xc0007a2d80, {{0x7f, 0xc{id:09x}}})\n\t/src/api/server/router/container/inspect.go:15 +0x118\n\
         net/http.HandlerFunc.ServeHTTP(0xc{id:09x}, {{0x1}})\n\t/usr/lib/go/src/net/http/server.go:2109 +0x2f\n\
         created by net/http.(*Server).Serve\n\t/usr/lib/go/src/net/http/server.go:3102 +0x4db\n\n",
        id % 900
    )
}

/// The most memory this process had, as the kernel counted it.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    format!("{} at most", line.trim())
}
