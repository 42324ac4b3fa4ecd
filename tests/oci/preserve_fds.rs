//! `--preserve-fds` and `LISTEN_FDS`: which descriptors reach the program, and no other.

use testkit::{Config, conformance};

conformance! {
    fn preserved_descriptors_reach_the_program(lab) {
        let c = lab.bundle(&Config::new().script("cat <&3; cat <&4; ls /proc/self/fd"));
        let files =
            [lab.write("three", "third\n"), lab.write("four", "fourth\n"), lab.write("five", "secret\n")];
        let output = c.run_with(&["--preserve-fds", "2"]).inherit(&files).ok();
        assert_eq!(output.stdout, "third\nfourth\n0\n1\n2\n3\n4\n5\n", "5 is the directory being read");
    }

    fn exec_preserves_too(lab) {
        let c = lab.sleeper();
        let files = [lab.write("three", "third\n"), lab.write("four", "secret\n")];
        let command = c.exec_with(&["--preserve-fds", "1"], &["sh", "-c", "cat <&3; ls /proc/self/fd"]);
        let output = command.inherit(&files).ok();
        assert_eq!(output.stdout, "third\n0\n1\n2\n3\n4\n", "4 is the directory being read");
    }

    fn a_detached_exec_preserves_too(lab) {
        let c = lab.sleeper();
        let files = [lab.write("three", "")];
        let flags = ["-d", "--preserve-fds", "1"];
        c.exec_with(&flags, &["sh", "-c", "echo through >&3"]).inherit(&files).ok();
        testkit::hang::eventually("the text", || std::fs::read_to_string(&files[0]).unwrap() == "through\n");
    }

    fn an_absent_descriptor_is_named(lab) {
        let c = lab.bundle(&Config::new().args(&["true"]));
        let output = c.run_with(&["--preserve-fds", "30"]).inherit(&[lab.write("three", "")]).run().code(1);
        output.says("unable to stat preserved-fd").says("(of 30)");
    }

    fn what_the_runtime_has_open_itself_is_not_passed(lab) {
        if lab.reference_lacks("a look that tells descriptors of its own from those it was given") {
            return;
        }
        let c = lab.sleeper();
        let output = c.exec_with(&["--preserve-fds", "1"], &["cat", "/proc/self/fd/3"]).run();
        output.code(255).says("unable to stat preserved-fd");
    }

    fn listen_fds_are_passed_with_listen_pid_1(lab) {
        let c = lab.bundle(&Config::new().script("echo $LISTEN_FDS $LISTEN_PID $$; cat <&3"));
        let file = lab.write("three", "third\n");
        let output = c
            .run_with(&[])
            .through_shell(&format!("exec 3<>{}; export LISTEN_FDS=1 LISTEN_PID=$$", file.display()))
            .ok();
        assert_eq!(output.stdout, "1 1 1\nthird\n");
    }

    fn without_the_flag_nothing_passes(lab) {
        let c = lab.bundle(&Config::new().args(&["ls", "/proc/self/fd"]));
        let output = c.run_with(&[]).inherit(&[lab.write("three", "")]).ok();
        assert_eq!(output.stdout, "0\n1\n2\n3\n", "3 is the directory being read");
    }
}
