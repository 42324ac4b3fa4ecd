//! Further looks at what a healthy node can show for a moment: nobody there, because a daemon is being restarted.
//!
//! A snapshot has no before. Much of what *is* there (a full pipe, a frozen group) says itself how long it has been; what
//! is *not* there cannot, nor can a thread that waits for a disk. Nor can two things that must be true at once and were
//! seen one after the other: an exec, and a container that has ended. Rules call such a finding momentary. It is told at
//! once as seen once, and believed when it was seen in every look, for as long as a daemon on its way may need: a moment
//! on a calm host, longer where everything is late or where an init system lets some time pass before it starts dockerd
//! again.

use std::time::{Duration, Instant};

use super::diagnose;
use crate::diagnosis::Diagnosis;
use crate::snapshot::Host;
use crate::{Result, Snapshot, Source, collect};

/// From one look to the next. Long enough for an init system to start what it has just ended, short enough to answer
/// within two seconds.
const MOMENT: Duration = Duration::from_secs(1);

/// How long is waited at most: with the time between two looks of a watch it stays below ten seconds.
const LONGEST: Duration = Duration::from_secs(4);

/// A sleep that ends so much later than it should tells that the host is busy.
const LATE: Duration = Duration::from_millis(250);

/// Part of the last ten seconds in which somebody waited for a processor, in percent, from which on a host is busy.
const BUSY_PERCENT: f64 = 50.0;

/// Runnable tasks for each processor, from which on a host without PSI is busy.
const BUSY_LOAD: f64 = 2.0;

/// Units whose control group holds a containerd that the host's own dockerd uses.
const SERVICES: &[&str] = &["/containerd.service", "/docker.service"];

type Seen = (Snapshot, Diagnosis);

/// Takes one snapshot and judges it. What a further look would have to confirm says so.
///
/// # Errors
/// When no snapshot can be taken.
pub fn glance(source: &Source) -> Result<Seen> {
    let snapshot = collect(source)?;
    let diagnosis = diagnose(&snapshot);
    Ok((snapshot, diagnosis))
}

/// Takes a snapshot and judges it; when something seems to be missing, tells that, does so again and believes what it
/// has seen every time.
///
/// # Errors
/// When no snapshot can be taken.
pub fn observe(source: &Source, tell: impl FnOnce(&Diagnosis)) -> Result<Seen> {
    let look = || glance(source);
    if matches!(source, Source::Tree(_)) { look() } else { until_sure(look, sleep, tell) }
}

/// Sleeps, and says how long that was.
fn sleep(pause: Duration) -> Duration {
    let begun = Instant::now();
    std::thread::sleep(pause);
    begun.elapsed()
}

fn until_sure(
    mut look: impl FnMut() -> Result<Seen>,
    mut sleep: impl FnMut(Duration) -> Duration,
    tell: impl FnOnce(&Diagnosis),
) -> Result<Seen> {
    let mut seen = look()?;
    if !momentary(&seen.1).is_empty() {
        tell(&seen.1);
    }
    let (mut waited, mut is_late) = (Duration::ZERO, false);
    while !momentary(&seen.1).is_empty() {
        let enough = patience(&seen, is_late);
        if waited >= enough {
            return Ok(confirmed(seen));
        }
        is_late |= sleep(MOMENT) > MOMENT + LATE;
        waited += MOMENT;
        let (snapshot, diagnosis) = look()?;
        seen = (snapshot, believed(&seen.1, diagnosis));
    }
    Ok(seen)
}

/// How long something has to be missing before that is told. How slow the host is does not matter to what has left its
/// socket behind: nobody restarts it in order.
fn patience(seen: &Seen, is_late: bool) -> Duration {
    let restart = restart_delay(seen).map_or(MOMENT, |delay| delay.saturating_add(MOMENT).min(LONGEST));
    let mut open = seen.1.findings.iter().filter(|it| !it.confirmed);
    let is_slow = || is_late || is_busy(&seen.0.host);
    if !open.all(|it| it.is_abrupt) && is_slow() { LONGEST } else { restart }
}

fn is_busy(host: &Host) -> bool {
    let by_load = || host.load[0] > BUSY_LOAD * f64::from(host.processors.max(1));
    host.pressure.cpu.map_or_else(by_load, |percent| percent >= BUSY_PERCENT)
}

/// After which time the init system starts a dockerd again that is gone; none when it does not look after it.
fn restart_delay((snapshot, diagnosis): &Seen) -> Option<Duration> {
    let ids: Vec<&str> = momentary(diagnosis);
    let containerds = snapshot.processes.iter().filter(|it| {
        let id = format!("engine_gone/{}", it.pid);
        ids.contains(&id.as_str())
    });
    let mut groups = containerds.flat_map(|it| &it.cgroups);
    groups.find(|group| SERVICES.iter().any(|service| group.path.ends_with(service)))?;
    let unit = snapshot.units.iter().find(|unit| unit.name == "docker.service")?;
    unit.get("Service", "Restart").filter(|when| *when != "no")?;
    Some(unit.get("Service", "RestartSec").map_or(Duration::from_millis(100), span))
}

/// A time span of one number. What is longer or stranger than this is as long as is waited for anything.
///
/// Source: systemd.time(7).
fn span(text: &str) -> Duration {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    match (number.parse(), unit.trim()) {
        (Ok(number), "" | "s" | "sec") => Duration::from_secs(number),
        (Ok(number), "ms" | "msec") => Duration::from_millis(number),
        _ => LONGEST,
    }
}

fn momentary(diagnosis: &Diagnosis) -> Vec<&str> {
    diagnosis.findings.iter().filter(|it| !it.confirmed).map(|it| it.id.as_str()).collect()
}

/// The later diagnosis without what was not missing before.
fn believed(before: &Diagnosis, mut later: Diagnosis) -> Diagnosis {
    later.findings.retain(|it| it.confirmed || before.findings.iter().any(|known| known.id == it.id));
    later
}

/// What was seen often enough, noted in the snapshot too: whoever judges that later has not seen the looks before it.
fn confirmed((mut snapshot, mut diagnosis): Seen) -> Seen {
    snapshot.taken.found_before = momentary(&diagnosis).into_iter().map(str::to_owned).collect();
    diagnosis.findings.iter_mut().for_each(|it| it.confirmed = true);
    (snapshot, diagnosis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Finding, Severity};
    use crate::snapshot::installed::Setting;
    use crate::snapshot::{Membership, Process, UnitFile};

    fn diagnosis(findings: &[(&str, &str)]) -> Diagnosis {
        let finding = |(rule, subject): &(&str, &str)| {
            let finding = Finding::new(rule, subject, Severity::Critical, "t");
            if *rule == "full_pipe" { finding } else { finding.momentary() }
        };
        Diagnosis { findings: findings.iter().map(finding).collect(), ..diagnose(&Snapshot::default()) }
    }

    #[test]
    fn what_is_there_only_once_is_not_told() {
        let first = diagnosis(&[("d_state_helper", "5"), ("lost_exec_client", "7")]);
        let second = diagnosis(&[("d_state_helper", "5"), ("lost_exec_client", "8")]);
        assert_eq!(believed(&first, second).findings, diagnosis(&[("d_state_helper", "5")]).findings);
    }

    #[test]
    fn what_is_missing_only_once_is_not_told() {
        let first = diagnosis(&[("engine_gone", "5"), ("full_pipe", "a")]);
        let second = diagnosis(&[("engine_gone", "6"), ("full_pipe", "b")]);
        let told = believed(&first, second.clone());
        assert_eq!(told.findings, diagnosis(&[("full_pipe", "b")]).findings);
        assert_eq!(believed(&second, second.clone()), second);
    }

    /// A host, and in which looks at it dockerd is away; how many looks were taken, and what was told.
    fn told(host: &Snapshot, away: &[bool], slept: Duration) -> (usize, usize) {
        let mut looks = 0;
        let look = || {
            let is_away = away.get(looks).or(away.last()).copied().unwrap_or_default();
            looks += 1;
            Ok((host.clone(), diagnosis(if is_away { &[("engine_gone", "5")] } else { &[] })))
        };
        let (_, told) = until_sure(look, |_| slept, |_| ()).unwrap();
        assert!(told.findings.iter().all(|it| it.confirmed));
        (looks, told.findings.len())
    }

    fn pressed(percent: f64) -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.host.pressure.cpu = Some(percent);
        snapshot
    }

    #[test]
    fn on_a_calm_host_the_second_look_decides() {
        let calm = pressed(12.0);
        assert_eq!(told(&calm, &[false], MOMENT), (1, 0));
        assert_eq!(told(&calm, &[true, false], MOMENT), (2, 0));
        assert_eq!(told(&calm, &[true], MOMENT), (2, 1));
    }

    #[test]
    fn on_a_busy_host_a_daemon_may_need_longer() {
        let busy = pressed(96.6);
        assert_eq!(told(&busy, &[true, true, true, false], MOMENT), (4, 0));
        assert_eq!(told(&busy, &[true], MOMENT), (5, 1));
        let mut loaded = Snapshot::default();
        (loaded.host.load, loaded.host.processors) = ([19.0, 4.0, 1.0], 2);
        assert_eq!(told(&loaded, &[true, true, false], MOMENT), (3, 0), "a kernel without PSI");
        loaded.host.load = [3.0, 30.0, 30.0];
        assert_eq!(told(&loaded, &[true, true, false], MOMENT), (2, 1));
    }

    #[test]
    fn a_look_that_came_late_is_not_the_last_one() {
        assert_eq!(told(&pressed(1.0), &[true, true, false], MOMENT * 2), (3, 0));
        assert_eq!(told(&pressed(1.0), &[true], MOMENT * 2), (5, 1));
    }

    /// A containerd in this group, and a unit of dockerd with these settings.
    fn looked_after(group: &str, settings: &[(&str, &str)]) -> Snapshot {
        let mut snapshot = pressed(0.0);
        let member = Membership { hierarchy: "unified".to_owned(), path: group.to_owned() };
        snapshot.processes = vec![Process { pid: 5, cgroups: vec![member], ..Process::default() }];
        let setting = |(key, value): &(&str, &str)| Setting {
            section: "Service".to_owned(),
            key: (*key).to_owned(),
            value: (*value).to_owned(),
        };
        let settings = settings.iter().map(setting).collect();
        snapshot.units =
            vec![UnitFile { name: "docker.service".to_owned(), settings, ..UnitFile::default() }];
        snapshot
    }

    #[test]
    fn what_left_its_socket_behind_is_told_at_the_second_look_on_a_busy_host() {
        let mut left = diagnosis(&[("engine_gone", "5")]);
        left.findings[0].is_abrupt = true;
        let looks = std::cell::Cell::new(0);
        let mut gone = || {
            looks.set(looks.get() + 1);
            Ok((pressed(99.0), left.clone()))
        };
        let (_, told) = until_sure(&mut gone, |_| MOMENT * 2, |_| ()).unwrap();
        assert!(told.findings[0].confirmed);
        assert_eq!(looks.get(), 2);
    }

    #[test]
    fn an_init_system_has_the_time_to_start_it_again() {
        let always = [("Restart", "always"), ("RestartSec", "2")];
        let own = looked_after("/system.slice/containerd.service", &always);
        assert_eq!(told(&own, &[true, true, true, false], MOMENT), (4, 0));
        assert_eq!(told(&own, &[true], MOMENT), (4, 1));
        let foreign = looked_after("/system.slice/ci.service", &always);
        assert_eq!(told(&foreign, &[true], MOMENT), (2, 1), "not the host's own dockerd");
        let left = looked_after("/system.slice/docker.service", &[("Restart", "no"), ("RestartSec", "2")]);
        assert_eq!(told(&left, &[true], MOMENT), (2, 1), "nobody starts it again");
    }

    #[test]
    fn time_spans_are_read_as_systemd_writes_them() {
        let spans = ["2", "2s", "500ms", "3 sec"].map(span);
        assert_eq!(spans.map(|span| span.as_millis()), [2000, 2000, 500, 3000]);
        assert_eq!(["1min 20s", "infinity", ""].map(span), [LONGEST; 3]);
    }

    #[test]
    fn what_a_busy_host_has_to_wait_for_is_told_at_once() {
        let look = || Ok((pressed(99.0), diagnosis(&[("engine_gone", "5"), ("full_pipe", "a")])));
        let slept = std::cell::Cell::new(0);
        let sleep = |pause| {
            slept.set(slept.get() + 1);
            pause
        };
        let mut told = Vec::new();
        let tell = |diagnosis: &Diagnosis| {
            assert_eq!(slept.get(), 0, "before the first pause");
            told = diagnosis.findings.iter().map(|it| (it.rule.clone(), it.confirmed)).collect();
        };
        let (snapshot, last) = until_sure(look, sleep, tell).unwrap();
        assert_eq!(told, [("engine_gone".to_owned(), false), ("full_pipe".to_owned(), true)]);
        assert!(slept.get() == 4 && last.findings.iter().all(|it| it.confirmed));
        assert_eq!(snapshot.taken.found_before, ["engine_gone/5"]);
    }

    #[test]
    fn what_is_sure_at_the_first_look_is_not_told_twice() {
        let look = || Ok((pressed(99.0), diagnosis(&[("full_pipe", "a")])));
        until_sure(look, |_| panic!("nothing to wait for"), |_| panic!("nothing is left open")).unwrap();
    }
}
