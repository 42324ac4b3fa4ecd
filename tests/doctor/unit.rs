//! The unit for systemd that the doctor prints of itself.

use testkit::{Doctor, Runtime, case, runtime};

#[test]
fn the_printed_unit_runs_this_program() {
    case::run(Runtime::Runc, |lab| {
        let Some(doctor) = Doctor::find(lab) else { return };
        let unit = doctor.cli(&["watch", "--print-unit"]).ok().stdout;
        let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
        let program = start.split(' ').next().unwrap();
        lab.program(program).args(["watch", "--help"]).ok();
        let file = lab.write("sluice-doctor.service", &unit);
        if runtime::on_path("systemd-analyze").is_some() {
            let checked = lab.program("systemd-analyze").args(["verify"]).args([file]).run();
            assert!(!checked.stderr.contains("sluice-doctor.service:"), "{checked}");
        }
    });
}
