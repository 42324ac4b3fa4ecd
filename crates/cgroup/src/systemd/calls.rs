//! The calls to systemd, and the wait for its jobs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use zbus::{OwnedObjectPath, OwnedVariant, Type, Variant};

use super::bus::{Bus, Clock};
use super::message::{Call, Kind, Message};
use super::property::{IDLE, WEIGHT};
use super::{Address, Error, Property, Unit};

const SYSTEMD: &str = "org.freedesktop.systemd1";
const SYSTEMD_PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const SCOPE: &str = "org.freedesktop.systemd1.Scope";
const SLICE: &str = "org.freedesktop.systemd1.Slice";
const BUS: &str = "org.freedesktop.DBus";
const BUS_PATH: &str = "/org/freedesktop/DBus";

/// After this long without a signal systemd is asked: the signal may have been lost with a bus or a systemd that was
/// restarted.
const PATIENCE: Duration = Duration::from_millis(500);

/// The first version of systemd that knows idle groups.
const SINCE_IDLE: u32 = 252;

/// Properties of units that come and go with another one; always none here.
type Auxiliary<'a> = Vec<(&'a str, Vec<(&'a str, Variant<'a>)>)>;

/// A conversation with one systemd.
#[derive(Debug)]
pub struct Manager {
    bus: Bus,
    address: Address,
    clock: Clock,
    /// The unique name of the one who answers for systemd; only its signals are believed.
    answers: Option<String>,
    /// Whether a unit may be there because we asked for it.
    has_begun: bool,
}

/// A job that systemd has begun.
struct Job<'a> {
    verb: &'static str,
    unit: &'a Unit,
    path: OwnedObjectPath,
    clock: Clock,
}

impl Manager {
    /// Begins a conversation that must be over after `limit`.
    ///
    /// # Errors
    /// Nobody listens there, the bus does not let us in, or does not answer.
    pub fn connect(address: &Address, limit: Duration) -> Result<Self, Error> {
        let clock = Clock::new(limit);
        let bus = greet(address, clock)?;
        Ok(Self { bus, address: address.clone(), clock, answers: None, has_begun: false })
    }

    /// The group below which this systemd makes its groups, as in `/proc/PID/cgroup`.
    ///
    /// # Errors
    /// As for each call: [`Error::Refused`], [`Error::Silent`], [`Error::Lost`].
    pub fn control_group(&mut self) -> Result<PathBuf, Error> {
        let step = "ask systemd for its cgroup";
        let value = self.again(|manager| manager.property(step, SYSTEMD_PATH, (MANAGER, "ControlGroup")))?;
        // The top is said as "" or "/".
        Ok(PathBuf::from("/").join(value.trim_start_matches('/')))
    }

    /// Starts a unit and waits until it is there. A unit of that name that has ended badly is cleared away first.
    ///
    /// When the bus or systemd is restarted meanwhile, it is asked again; `is_there` then tells whether the first
    /// request was carried out after all. A slice is, when it was not there before.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::Job`], [`Error::JobStuck`], and those of each call.
    pub fn start(
        &mut self,
        unit: &Unit,
        properties: &[Property],
        is_there: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        self.refuse_slice(unit)?;
        let (mut cleared, mut lost) = (false, false);
        loop {
            let Err(error) = self.try_start(unit, properties) else { return Ok(()) };
            if error.is_unit_exists() {
                if is_there() || lost && unit.is_slice() {
                    self.has_begun = true;
                    return Ok(());
                }
                let state = self.again(|manager| manager.state(unit))?;
                if cleared || !is_over(&state) {
                    return Err(Error::Exists { unit: unit.name.clone(), state });
                }
                cleared = true;
                self.again(|manager| manager.clear(unit))?;
            } else if !error.is_lost() || self.clock.left().is_zero() {
                return Err(error);
            } else if is_there() {
                return Ok(());
            } else {
                lost = true;
                self.reconnect()?;
            }
        }
    }

    /// systemd makes no new unit of a slice that is there, but changes it and says that all is well: for a slice no file
    /// has to exist, so that it cannot tell one that was asked for from one that is there for another's sake.
    fn refuse_slice(&mut self, unit: &Unit) -> Result<(), Error> {
        if !unit.is_slice() {
            return Ok(());
        }
        let state = self.again(|manager| manager.state(unit))?;
        if is_over(&state) { Ok(()) } else { Err(Error::Exists { unit: unit.name.clone(), state }) }
    }

    /// Whether systemd took the request to start a unit, or may have taken it: then what is there under its name is ours
    /// to take away. A unit that was there before is not.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    fn try_start(&mut self, unit: &Unit, properties: &[Property]) -> Result<(), Error> {
        let step = format!("ask systemd to start unit {}", unit.name);
        self.subscribe()?;
        let properties = self.known(properties)?;
        let auxiliary: Auxiliary<'_> = Vec::new();
        // Compat: runc: `replace`, where a job for the same unit that has not begun gives way.
        let arguments = (unit.name.as_str(), "replace", properties, auxiliary);
        let clock = Clock::new(self.clock.left());
        let answer = self.ask(&step, "StartTransientUnit", &arguments);
        self.has_begun = answer.as_ref().err().is_none_or(Error::is_undecided);
        let answer = answer?;
        let path = object_path(&step, &answer)?;
        self.finish(&Job { verb: "start", unit, path, clock })
    }

    fn subscribe(&mut self) -> Result<(), Error> {
        match self.ask("ask systemd for its signals", "Subscribe", &()) {
            Err(Error::Refused { name, .. }) if name.ends_with(".AlreadySubscribed") => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// Changes properties of a unit until the next boot.
    ///
    /// # Errors
    /// Those of each call.
    pub fn set_properties(&mut self, unit: &Unit, properties: &[Property]) -> Result<(), Error> {
        let step = format!("ask systemd to change unit {}", unit.name);
        let runtime = true;
        self.again(|manager| {
            let arguments = (unit.name.as_str(), runtime, manager.known(properties)?);
            manager.ask(&step, "SetUnitProperties", &arguments).map(drop)
        })
    }

    /// Those of the properties whose values this systemd knows.
    fn known<'a>(
        &mut self,
        properties: &'a [Property],
    ) -> Result<Vec<(&'a str, &'a Variant<'static>)>, Error> {
        let is_idle = |one: &Property| one.name == WEIGHT && one.value == Variant::from(IDLE);
        let knows_idle = !properties.iter().any(is_idle) || self.version()? >= SINCE_IDLE;
        if !knows_idle {
            log::warn!(
                "systemd before version {SINCE_IDLE} cannot be told of linux/resources/cpu/idle and may take it back"
            );
        }
        let known = properties.iter().filter(|one| knows_idle || !is_idle(one));
        Ok(known.map(|one| (one.name.as_str(), &one.value)).collect())
    }

    /// The number at the beginning of `252.38-1~deb12u1`.
    fn version(&mut self) -> Result<u32, Error> {
        let step = "ask systemd for its version";
        let text = self.property(step, SYSTEMD_PATH, (MANAGER, "Version"))?;
        let digits: String = text.trim_start_matches('v').chars().take_while(char::is_ascii_digit).collect();
        digits.parse().map_err(|_| malformed(step, format!("{text:?} does not begin with a number")))
    }

    /// Stops a unit and clears away what is left of it. One that is gone is no error, and one of that name in another
    /// slice is not ours: it is left alone.
    ///
    /// # Errors
    /// [`Error::Job`], [`Error::JobStuck`], and those of each call.
    pub fn stop(&mut self, unit: &Unit) -> Result<(), Error> {
        match self.again(|manager| manager.try_stop(unit)) {
            Err(error) if error.is_no_such_unit() => Ok(()),
            stopped => stopped,
        }
    }

    fn try_stop(&mut self, unit: &Unit) -> Result<(), Error> {
        if !self.is_ours(unit)? {
            return Ok(());
        }
        let step = format!("ask systemd to stop unit {}", unit.name);
        self.subscribe()?;
        let clock = Clock::new(self.clock.left());
        let answer = self.ask(&step, "StopUnit", &(unit.name.as_str(), "replace"))?;
        let path = object_path(&step, &answer)?;
        self.finish(&Job { verb: "stop", unit, path, clock })?;
        self.clear(unit)
    }

    fn is_ours(&mut self, unit: &Unit) -> Result<bool, Error> {
        let step = format!("ask systemd for the cgroup of unit {}", unit.name);
        let path = object_path(&step, &self.ask(&step, "GetUnit", &(unit.name.as_str(),))?)?;
        let interface = if unit.is_slice() { SLICE } else { SCOPE };
        let group = self.property(&step, path.as_str(), (interface, "ControlGroup"))?;
        if !group.is_empty() {
            return Ok(Path::new(&group).ends_with(unit.directory()));
        }
        // A unit that has ended has none. A slice's name says where it is.
        Ok(unit.is_slice() || self.property(&step, path.as_str(), (interface, "Slice"))? == unit.slice)
    }

    /// Takes the mark of a bad end off a unit, so that systemd forgets it.
    fn clear(&mut self, unit: &Unit) -> Result<(), Error> {
        let step = format!("ask systemd to forget unit {}", unit.name);
        match self.ask(&step, "ResetFailedUnit", &(unit.name.as_str(),)) {
            Err(error) if !error.is_no_such_unit() => Err(error),
            _ => Ok(()),
        }
    }

    /// `ActiveState` of a unit; `inactive` when there is none.
    fn state(&mut self, unit: &Unit) -> Result<String, Error> {
        let step = format!("ask systemd for the state of unit {}", unit.name);
        let answer = match self.ask(&step, "GetUnit", &(unit.name.as_str(),)) {
            Err(error) if error.is_no_such_unit() => return Ok("inactive".to_owned()),
            answer => answer?,
        };
        let path = object_path(&step, &answer)?;
        match self.property(&step, path.as_str(), ("org.freedesktop.systemd1.Unit", "ActiveState")) {
            // It was forgotten between the two questions.
            Err(error) if error.is_no_such_object() => Ok("inactive".to_owned()),
            state => state,
        }
    }

    /// Waits for the end of a job: for its signal, and where that does not come, for its effect.
    fn finish(&mut self, job: &Job<'_>) -> Result<(), Error> {
        let step = format!("wait for systemd to {} unit {}", job.verb, job.unit.name);
        loop {
            let heard = match self.bus.signal(&step, PATIENCE) {
                Err(error) if error.is_lost() => self.listen_again().map(|()| None)?,
                heard => heard?,
            };
            if let Some(result) = heard.and_then(|signal| self.result_of(&signal, job)) {
                return job.judge(&result);
            }
            if job.clock.left().is_zero() {
                return Err(job.stuck());
            }
            if self.bus.has_signals() {
                continue;
            }
            if let Some(result) = self.look_for_result(job)? {
                return job.judge(&result);
            }
        }
    }

    /// After the bus was restarted. systemd knows nothing of whom it told of its signals over the former one.
    fn listen_again(&mut self) -> Result<(), Error> {
        self.reconnect()?;
        // Where this is lost too, systemd is asked.
        let _lost = self.subscribe();
        Ok(())
    }

    /// The result of a job whose signal did not come, in systemd's words; none while it is under way.
    fn look_for_result(&mut self, job: &Job<'_>) -> Result<Option<String>, Error> {
        // First, because what the unit is like afterwards is the job's doing.
        let looked = self.is_over(job).and_then(|is_over| Ok((is_over, self.state(job.unit)?)));
        let (is_over, state) = match looked {
            // systemd itself is being restarted.
            Err(error) if error.is_lost() => {
                self.clock.pause();
                return Ok(None);
            }
            Err(Error::Silent { .. }) => return Err(job.stuck()),
            looked => looked?,
        };
        if job.is_effect(&state) {
            return Ok(Some("done".to_owned()));
        }
        Ok(is_over.then_some(state))
    }

    /// Whether systemd has forgotten the job, which it does at its end.
    fn is_over(&mut self, job: &Job<'_>) -> Result<bool, Error> {
        let step = format!("ask systemd for its job {}", job.path);
        match self.property(&step, job.path.as_str(), ("org.freedesktop.systemd1.Job", "State")) {
            Err(error) if error.is_no_such_object() => Ok(true),
            state => state.map(|_| false),
        }
    }

    fn property(&mut self, step: &str, path: &str, (interface, name): (&str, &str)) -> Result<String, Error> {
        let call =
            Call { destination: SYSTEMD, path, interface: "org.freedesktop.DBus.Properties", member: "Get" };
        let answer = self.told(step, call, &(interface, name))?;
        let (value,) = answer.body::<(OwnedVariant,)>().map_err(|reason| malformed(step, reason))?;
        String::try_from(value).map_err(|error| malformed(step, error.to_string()))
    }

    fn ask<B: Serialize + Type>(
        &mut self,
        step: &str,
        member: &str,
        arguments: &B,
    ) -> Result<Message, Error> {
        let call = Call { destination: SYSTEMD, path: SYSTEMD_PATH, interface: MANAGER, member };
        self.told(step, call, arguments)
    }

    /// Calls systemd, and keeps the name under which it answers. A refusal may come from the bus and names nobody.
    fn told<B: Serialize + Type>(
        &mut self,
        step: &str,
        call: Call<'_>,
        arguments: &B,
    ) -> Result<Message, Error> {
        let answer = self.bus.call(step, call, arguments)?;
        self.answers.clone_from(&answer.sender);
        Ok(answer)
    }

    /// The result, if the signal is systemd's and tells of this job.
    fn result_of(&self, signal: &Message, job: &Job<'_>) -> Option<String> {
        is_end_of_job(signal, self.answers.as_deref()).then(|| result_of(signal, job.path.as_str())).flatten()
    }

    /// Asks again when the answer was lost; for what means the same when it is said twice.
    fn again<T>(&mut self, mut ask: impl FnMut(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        loop {
            match ask(self) {
                Err(error) if error.is_lost() && !self.clock.left().is_zero() => self.reconnect()?,
                answer => return answer,
            }
        }
    }

    /// A bus that is being restarted is not there for a moment.
    fn reconnect(&mut self) -> Result<(), Error> {
        loop {
            self.clock.pause();
            match greet(&self.address, self.clock) {
                Err(Error::Connect { .. } | Error::Lost { .. }) if !self.clock.left().is_zero() => {}
                bus => {
                    self.bus = bus?;
                    return Ok(());
                }
            }
        }
    }
}

impl Job<'_> {
    /// Whether a unit in this state is what the job was for.
    fn is_effect(&self, state: &str) -> bool {
        if self.verb == "start" { state == "active" } else { is_over(state) }
    }

    fn judge(&self, result: &str) -> Result<(), Error> {
        if result == "done" {
            return Ok(());
        }
        let (verb, unit, job) = (self.verb, self.unit.name.clone(), self.path.to_string());
        Err(Error::Job { verb, unit, job, result: result.to_owned() })
    }

    fn stuck(&self) -> Error {
        let (verb, unit, job) = (self.verb, self.unit.name.clone(), self.path.to_string());
        Error::JobStuck { verb, unit, job, waited: self.clock.waited() }
    }
}

/// Connects to the bus, or where none is up to systemd itself, as far as the caller may.
///
/// Compat: go-systemd, as runc uses it, has the same second way.
fn greet(address: &Address, clock: Clock) -> Result<Bus, Error> {
    match Bus::connect(address, clock) {
        Ok(bus) => listen(bus),
        Err(error @ Error::Connect { .. }) if *address == Address::system() => {
            // Between two there is nobody to greet, and signals are passed on without being asked for.
            Bus::connect(&Address::private(), clock).map_err(|_| error)
        }
        Err(error) => Err(error),
    }
}

/// Says hello, and asks the bus to pass on the ends of jobs.
fn listen(mut bus: Bus) -> Result<Bus, Error> {
    let call = |member| Call { destination: BUS, path: BUS_PATH, interface: BUS, member };
    bus.call("greet the bus", call("Hello"), &())?;
    let rule = "type='signal',sender='org.freedesktop.systemd1',path='/org/freedesktop/systemd1',\
                interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";
    bus.call("ask the bus for the ends of jobs", call("AddMatch"), &(rule,))?;
    Ok(bus)
}

/// Whether a unit in this state is not there any more, or not yet.
fn is_over(state: &str) -> bool {
    matches!(state, "failed" | "inactive")
}

/// Whether the signal tells of the end of a job, and comes from `systemd`: any process on the bus can send us one.
fn is_end_of_job(signal: &Message, systemd: Option<&str>) -> bool {
    let Kind::Signal(what) = &signal.kind else { return false };
    (what.path.as_str(), what.interface.as_str(), what.member.as_str())
        == (SYSTEMD_PATH, MANAGER, "JobRemoved")
        && signal.sender.as_deref() == systemd
}

/// The result, if the job is this one.
fn result_of(signal: &Message, job: &str) -> Option<String> {
    let (_, path, _, result) = signal.body::<(u32, OwnedObjectPath, String, String)>().ok()?;
    (path.as_str() == job).then_some(result)
}

fn object_path(step: &str, answer: &Message) -> Result<OwnedObjectPath, Error> {
    answer.body::<(OwnedObjectPath,)>().map(|(path,)| path).map_err(|reason| malformed(step, reason))
}

fn malformed(step: &str, reason: impl Into<String>) -> Error {
    Error::Malformed { step: step.to_owned(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::super::message::peer::{Peer, Say};
    use super::super::message::signal_from;
    use super::super::{Owner, Unit};
    use super::*;

    const UNKNOWN_OBJECT: &str = "org.freedesktop.DBus.Error.UnknownObject";

    fn unit(path: &str) -> Unit {
        Unit::parse(Some(path), "id", Owner::System, Address::system()).unwrap()
    }

    fn manager(peer: &Peer, limit: Duration) -> Manager {
        Manager::connect(&peer.address(), limit).unwrap()
    }

    /// Units in this state, whose jobs end as `job` says and tell nobody.
    fn silent(state: &'static str, job: fn() -> Say) -> Peer {
        Peer::new(move |call| match call {
            "StartTransientUnit" => Say::Path("/job/1"),
            "GetUnit" => Say::Path("/unit"),
            "Get State" => job(),
            "Get ActiveState" => Say::Text(state),
            _ => Say::Done,
        })
    }

    fn start(peer: &Peer, limit: Duration) -> Result<(), Error> {
        manager(peer, limit).start(&unit("a.slice:x:y"), &[], &|| false)
    }

    #[test]
    fn a_job_whose_end_nobody_heard_of_has_the_result_that_its_unit_shows() {
        let gone = || Say::No(UNKNOWN_OBJECT);
        assert!(start(&silent("active", gone), LONG).is_ok());
        for state in ["failed", "inactive"] {
            let error = start(&silent(state, gone), LONG).unwrap_err();
            assert!(matches!(&error, Error::Job { result, .. } if result == state), "{error}");
        }
        let error = start(&silent("inactive", || Say::Text("running")), Duration::from_secs(3));
        assert!(matches!(error, Err(Error::JobStuck { .. })), "{error:?}");
    }

    #[test]
    fn after_a_restart_of_the_bus_systemd_is_asked_for_its_signals_anew() {
        let closed = std::sync::atomic::AtomicBool::new(false);
        let peer = Peer::new(move |call| match call {
            "StartTransientUnit" => Say::Path("/job/1"),
            "GetUnit" => Say::Path("/unit"),
            "Get State" if !closed.swap(true, std::sync::atomic::Ordering::SeqCst) => Say::Close,
            "Get State" => Say::No(UNKNOWN_OBJECT),
            "Get ActiveState" => Say::Text("active"),
            _ => Say::Done,
        });
        start(&peer, LONG).unwrap();
        assert_eq!(peer.heard().matches("Subscribe").count(), 2, "{}", peer.heard());
        assert_eq!(peer.heard().matches("StartTransientUnit").count(), 1, "{}", peer.heard());
    }

    #[test]
    fn a_slice_that_is_there_is_refused_before_systemd_is_asked_for_it() {
        let peer = silent("active", || Say::No(UNKNOWN_OBJECT));
        let mut manager = manager(&peer, LONG);
        let error = manager.start(&unit("a.slice:x:a-b.slice"), &[], &|| false).unwrap_err();
        assert!(matches!(&error, Error::Exists { state, .. } if state == "active"), "{error}");
        assert!(!manager.has_begun() && !peer.heard().contains("StartTransientUnit"), "{}", peer.heard());
    }

    #[test]
    fn a_unit_of_another_slice_is_neither_stopped_nor_cleared() {
        for (group, slice) in [("/b.slice/x-y.scope", "b.slice"), ("", "b.slice")] {
            let peer = Peer::new(move |call| match call {
                "GetUnit" => Say::Path("/unit"),
                "Get ControlGroup" => Say::Text(group),
                "Get Slice" => Say::Text(slice),
                _ => Say::Done,
            });
            manager(&peer, LONG).stop(&unit("a.slice:x:y")).unwrap();
            let heard = peer.heard();
            assert!(!heard.contains("StopUnit") && !heard.contains("ResetFailedUnit"), "{group:?}: {heard}");
        }
    }

    #[test]
    fn an_old_systemd_is_not_told_of_idle_groups() {
        for (version, knows) in [("247.3-7+deb11u6", false), ("252.39-1~deb12u1", true), ("v257", true)] {
            let peer = Peer::new(move |call| match call {
                "Get Version" => Say::Text(version),
                _ => Say::Done,
            });
            let idle = Property { name: WEIGHT.to_owned(), value: IDLE.into() };
            manager(&peer, LONG).set_properties(&unit("a.slice:x:y"), &[idle]).unwrap();
            assert_eq!(peer.heard().contains(WEIGHT), knows, "{version}: {}", peer.heard());
        }
    }

    /// A hang guard.
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn only_systemds_own_signals_end_a_job() {
        let job = "/org/freedesktop/systemd1/job/7";
        let hear = |sender, path, interface, member| signal_from(sender, (path, interface, member), job);
        let genuine = hear(":1.1", SYSTEMD_PATH, MANAGER, "JobRemoved");
        assert!(is_end_of_job(&genuine, Some(":1.1")));
        assert_eq!(result_of(&genuine, job).as_deref(), Some("done"));
        assert_eq!(result_of(&genuine, "/org/freedesktop/systemd1/job/8"), None);
        for forged in [
            hear(":1.2", SYSTEMD_PATH, MANAGER, "JobRemoved"),
            hear(":1.1", "/other", MANAGER, "JobRemoved"),
            hear(":1.1", SYSTEMD_PATH, "a.Other", "JobRemoved"),
            hear(":1.1", SYSTEMD_PATH, MANAGER, "JobNew"),
        ] {
            assert!(!is_end_of_job(&forged, Some(":1.1")), "{forged:?}");
        }
        assert!(!is_end_of_job(&genuine, None), "nobody has answered for systemd yet");
    }
}
