//! The doctor, asked by a test about what the test staged.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::Value;

use crate::command::{Cmd, Output};
use crate::hang::eventually_some;
use crate::lab::Lab;
use crate::partner;
use crate::runtime::built;

/// `sluice-doctor` with a lab to look at.
#[derive(Debug)]
pub struct Doctor<'lab> {
    lab: &'lab Lab,
    binary: PathBuf,
}

impl<'lab> Doctor<'lab> {
    /// The built doctor (`SLUICE_DOCTOR_BIN`, or beside the test); none, after saying so, when it is not built.
    ///
    /// # Panics
    /// When it is missing and partners are required.
    #[must_use]
    pub fn find(lab: &'lab Lab) -> Option<Self> {
        let told = std::env::var_os("SLUICE_DOCTOR_BIN").map(PathBuf::from);
        let Some(binary) = told.or_else(|| built("sluice-doctor")) else {
            partner::skip("sluice-doctor is not built");
            return None;
        };
        Some(Self { lab, binary })
    }

    /// `sluice-doctor ARGUMENTS...`
    #[must_use]
    pub fn cli(&self, arguments: &[&str]) -> Cmd {
        self.lab.program(&self.binary).args(arguments)
    }

    /// What it finds now, as `--json` prints it.
    ///
    /// # Panics
    /// When it prints no JSON.
    #[must_use]
    #[track_caller]
    pub fn look(&self) -> Value {
        self.cli(&["--json"]).run().json()
    }

    /// What `rule` finds about `container` now. Other containers of the host are other tests' affair.
    #[must_use]
    #[track_caller]
    pub fn now(&self, rule: &str, container: &str) -> Option<Value> {
        let about = |finding: &Value| finding["rule"] == rule && finding["container"] == container;
        self.look()["findings"].as_array().unwrap().iter().find(|finding| about(finding)).cloned()
    }

    /// Looks until `rule` finds something about `container`, and says how long the look took that found it.
    ///
    /// # Panics
    /// When it never does.
    #[track_caller]
    pub fn finding(&self, rule: &str, container: &str) -> Value {
        eventually_some(&format!("the doctor to find {rule}"), || {
            let begin = Instant::now();
            let found = self.now(rule, container)?;
            self.lab.step(&format!("{} named in {:.2} s", found["id"], begin.elapsed().as_secs_f64()));
            Some(found)
        })
    }

    /// `sluice-doctor heal --apply ID ARGUMENTS...`, which has to help; evidence goes into the lab.
    #[track_caller]
    pub fn heal(&self, finding: &Value, arguments: &[&str]) -> Output {
        let id = finding["id"].as_str().unwrap();
        let heal = self.cli(&["heal", "--apply", id]).args(arguments);
        heal.args(["--evidence"]).args([self.lab.path("evidence")]).ok()
    }
}
