//! The calls to systemd, and the wait for its jobs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use zbus::{OwnedObjectPath, OwnedVariant, Type, Variant};

use super::bus::{Bus, Clock};
use super::message::{Call, Kind, Message};
use super::{Address, Error, Property, Unit};

const SYSTEMD: &str = "org.freedesktop.systemd1";
const SYSTEMD_PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const BUS: &str = "org.freedesktop.DBus";
const BUS_PATH: &str = "/org/freedesktop/DBus";

/// After this long without a signal systemd is asked: the signal may have been lost with a bus or a systemd that was
/// restarted.
const PATIENCE: Duration = Duration::from_millis(500);

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
    /// request was carried out after all.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::Job`], [`Error::JobStuck`], and those of each call.
    pub fn start(
        &mut self,
        unit: &Unit,
        properties: &[Property],
        is_there: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        let mut cleared = false;
        loop {
            let Err(error) = self.try_start(unit, properties) else { return Ok(()) };
            let is_known = !error.is_lost();
            if error.is_unit_exists() {
                if is_there() {
                    self.has_begun = true;
                    return Ok(());
                }
                let state = self.again(|manager| manager.state(unit))?;
                if cleared || !matches!(state.as_str(), "failed" | "inactive") {
                    return Err(Error::Exists { unit: unit.name.clone(), state });
                }
                cleared = true;
                self.again(|manager| manager.clear(unit))?;
            } else if is_known || self.clock.left().is_zero() {
                return Err(error);
            } else if is_there() {
                return Ok(());
            } else {
                self.reconnect()?;
            }
        }
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
        let auxiliary: Auxiliary<'_> = Vec::new();
        // Compat: runc: `replace`, where a job for the same unit that has not begun gives way.
        let arguments = (unit.name.as_str(), "replace", borrowed(properties), auxiliary);
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
        let arguments = (unit.name.as_str(), runtime, borrowed(properties));
        self.again(|manager| manager.ask(&step, "SetUnitProperties", &arguments).map(drop))
    }

    /// Stops a unit and clears away what is left of it. One that is gone is no error, and one of that name with its group
    /// elsewhere is not ours: it is left alone.
    ///
    /// # Errors
    /// [`Error::Job`], [`Error::JobStuck`], and those of each call.
    pub fn stop(&mut self, unit: &Unit) -> Result<(), Error> {
        match self.again(|manager| manager.try_stop(unit)) {
            Err(error) if error.is_no_such_unit() => Ok(()),
            stopped => stopped.and_then(|()| self.again(|manager| manager.clear(unit))),
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
        self.finish(&Job { verb: "stop", unit, path, clock })
    }

    fn is_ours(&mut self, unit: &Unit) -> Result<bool, Error> {
        let step = format!("ask systemd for the cgroup of unit {}", unit.name);
        let path = object_path(&step, &self.ask(&step, "GetUnit", &(unit.name.as_str(),))?)?;
        let interface =
            if unit.is_slice() { "org.freedesktop.systemd1.Slice" } else { "org.freedesktop.systemd1.Scope" };
        let group = self.property(&step, path.as_str(), (interface, "ControlGroup"))?;
        // A unit that has ended has none.
        Ok(group.is_empty() || Path::new(&group).ends_with(unit.directory()))
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
            Err(Error::Refused { name, .. }) if name.ends_with("UnknownObject") => Ok("inactive".to_owned()),
            state => state,
        }
    }

    /// Waits for the end of a job: for its signal, and where that does not come, for its effect.
    fn finish(&mut self, job: &Job<'_>) -> Result<(), Error> {
        let step = format!("wait for systemd to {} unit {}", job.verb, job.unit.name);
        loop {
            let heard = match self.bus.signal(&step, PATIENCE) {
                Err(error) if error.is_lost() => self.reconnect().map(|()| None)?,
                heard => heard?,
            };
            if let Some(result) = heard.and_then(|signal| self.result_of(&signal, job)) {
                return job.judge(&result);
            }
            if job.clock.left().is_zero() {
                return Err(job.stuck());
            }
            if !self.signals_pending() && self.has_effect(job)? {
                return Ok(());
            }
        }
    }

    fn signals_pending(&self) -> bool {
        self.bus.has_signals()
    }

    fn has_effect(&mut self, job: &Job<'_>) -> Result<bool, Error> {
        let state = match self.state(job.unit) {
            // systemd itself is being restarted.
            Err(error) if error.is_lost() => {
                self.clock.pause();
                return Ok(false);
            }
            Err(Error::Silent { .. }) => return Err(job.stuck()),
            state => state?,
        };
        Ok(match job.verb {
            "start" => state == "active",
            _ => matches!(state.as_str(), "inactive" | "failed"),
        })
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

/// Connects, says hello, and asks the bus to pass on the ends of jobs.
fn greet(address: &Address, clock: Clock) -> Result<Bus, Error> {
    let mut bus = Bus::connect(address, clock)?;
    let call = |member| Call { destination: BUS, path: BUS_PATH, interface: BUS, member };
    bus.call("greet the bus", call("Hello"), &())?;
    let rule = "type='signal',sender='org.freedesktop.systemd1',path='/org/freedesktop/systemd1',\
                interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";
    bus.call("ask the bus for the ends of jobs", call("AddMatch"), &(rule,))?;
    Ok(bus)
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

fn borrowed(properties: &[Property]) -> Vec<(&str, &Variant<'static>)> {
    properties.iter().map(|property| (property.name.as_str(), &property.value)).collect()
}

fn malformed(step: &str, reason: impl Into<String>) -> Error {
    Error::Malformed { step: step.to_owned(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::super::message::signal_from;
    use super::*;

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
