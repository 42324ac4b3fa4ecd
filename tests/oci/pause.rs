//! `pause` and `resume`: the freezer, and what is refused when.

use testkit::freezer::Freezer;
use testkit::{Config, conformance};

conformance! {
    fn pause_freezes_and_resume_thaws(lab) {
        let c = lab.sleeper();
        c.pause().ok().prints("");
        assert!(Freezer::of(&c.group()).is_frozen());
        assert_eq!(c.status(), "paused");
        c.resume().ok().prints("");
        assert!(Freezer::of(&c.group()).is_thawed());
        c.exec(&["true"]).ok();
    }

    fn a_created_container_can_be_paused(lab) {
        let c = lab.created(&Config::new());
        c.pause().ok();
        assert_eq!(c.status(), "paused");
        c.resume().ok();
        assert_eq!(c.status(), "created");
    }

    fn pausing_twice_is_refused(lab) {
        let c = lab.sleeper();
        c.pause().ok();
        c.pause().code(1).says("container not running");
    }

    fn resuming_what_runs_is_refused(lab) {
        let c = lab.sleeper();
        c.resume().code(1).says("container not paused");
    }

    fn a_stopped_container_is_neither_paused_nor_resumed(lab) {
        let c = lab.sleeper();
        c.stop();
        c.pause().code(1).says("container not running");
        c.resume().code(1).says("container not paused");
    }

    fn an_unknown_container_is_named(lab) {
        lab.run(&["pause", "nobody"]).code(1).says("does not exist");
        lab.run(&["resume", "nobody"]).code(1).says("does not exist");
    }

    fn exec_is_refused_while_paused(lab) {
        let c = lab.sleeper();
        c.pause().ok();
        c.exec(&["true"])
            .code(255)
            .says("cannot exec in a paused container (use --ignore-paused to override)");
        c.resume().ok();
        c.exec(&["true"]).ok();
    }
}
