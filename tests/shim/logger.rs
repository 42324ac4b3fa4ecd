//! `file://` and `binary://` through a real containerd.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use testkit::hang::eventually;

use crate::ctr::{Ctr, lab, ours};

#[test]
fn a_file_gets_both_streams_in_their_order() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let ctr = Ctr::start(&lab, &shim);
    let file = lab.path("logs/deep/c.log");
    let flag = format!("--log-uri=file://{}", file.display());
    let script = "for n in 1 2 3; do echo out $n; echo errors $n >&2; done";
    ctr.run(&["--rm", &flag], "c", &["/bin/sh", "-c", script]).ok();
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text, "out 1\nerrors 1\nout 2\nerrors 2\nout 3\nerrors 3\n");
    ctr.end();
}

#[test]
fn a_logger_gets_the_output_and_is_gone_with_the_container() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let ctr = Ctr::start(&lab, &shim);
    let log = lab.path("log");
    let text = format!(
        "#!/bin/sh\nexec 5>&-\n{{ echo $CONTAINER_NAMESPACE $CONTAINER_ID; cat <&3; cat <&4; echo end; }} > {}\n",
        log.display()
    );
    let program = lab.write("logger", &text);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let flag = format!("--log-uri=binary://{}", program.display());
    ctr.run(&["--rm", &flag], "c", &["/bin/sh", "-c", "echo out; echo errors >&2"]).ok();
    eventually("the logger to end", || fs::read_to_string(&log).is_ok_and(|text| text.ends_with("end\n")));
    assert_eq!(fs::read_to_string(&log).unwrap(), "test c\nout\nerrors\nend\n");
    ctr.end();
}

/// The stock shim waits for a logger without a bound.
#[test]
fn a_logger_that_does_not_start_is_named_and_nothing_is_left() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let ctr = Ctr::start(&lab, &shim);
    let flag = "--log-uri=binary:///no/such/logger";
    ctr.run(&["--rm", flag], "c", &["/bin/true"]).run().code(1).says("start the logger /no/such/logger");
    ctr.end();
}
