//! Files and loggers in the place of fifos.

use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn one_file_for_both_streams_keeps_their_order() {
    run(async {
        let place = Place::new();
        let address = format!("file://{}", place.text("made/for/it/log"));
        let (stdio, ends) = open(&request("", &address, &address), PATIENT).await.expect("streams");
        for turn in 0..10 {
            rustix::io::write(&ends[1 + turn % 2], format!("{turn} ").as_bytes()).expect("written");
        }
        drop(ends);
        stdio.leader_exited();
        assert_eq!(stdio.finish().await, Outcome { delivered: 20, lost: 0, cut: 0 });
        let text = std::fs::read_to_string(place.path("made/for/it/log")).expect("the file");
        assert_eq!(text, "0 1 2 3 4 5 6 7 8 9 ");
    });
}

#[test]
fn a_plain_file_is_appended_to_and_never_made() {
    run(async {
        let place = Place::new();
        let (out, errors) = (place.text("out"), place.text("errors"));
        assert!(open(&request("", &out, &errors), PATIENT).await.is_err());
        for path in [&out, &errors] {
            std::fs::OpenOptions::new().create(true).append(true).open(path).expect("made");
        }
        for _ in 0..2 {
            let (stdio, ends) = open(&request("", &out, &errors), PATIENT).await.expect("streams");
            rustix::io::write(&ends[1], b"o").expect("written");
            rustix::io::write(&ends[2], b"e").expect("written");
            drop(ends);
            stdio.leader_exited();
            stdio.finish().await;
        }
        let text = |path| std::fs::read_to_string(path).expect("the file");
        assert_eq!((text(out), text(errors)), ("oo".to_owned(), "ee".to_owned()));
    });
}

#[test]
fn a_file_without_room_costs_its_bytes_and_not_the_process() {
    run(async {
        let (stdio, [_, stdout, _]) =
            open(&request("", "file:///dev/full", ""), PATIENT).await.expect("streams");
        let writes = tokio::task::spawn_blocking(move || {
            std::fs::File::from(stdout).write_all(&vec![0; 1_000_000]).expect("it goes on");
        });
        writes.await.expect("written");
        stdio.leader_exited();
        assert_eq!(stdio.finish().await.lost, 1_000_000);
    });
}

#[test]
fn a_file_that_does_not_open_is_an_error_and_no_wait_without_end() {
    run(async {
        let place = Place::new();
        let path = place.path("fifo");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).expect("made");
        let bounds = Bounds { ready: Duration::from_millis(10), ..PATIENT };
        // Without a reader it opens for ever: the URI says that it is a file.
        let error = open(&request("", &format!("file://{}", place.text("fifo")), ""), bounds)
            .await
            .expect_err("late");
        assert!(matches!(error, Error::Open { source: rustix::io::Errno::TIMEDOUT, .. }), "{error}");
        // So that the thread ends.
        drop(std::fs::OpenOptions::new().read(true).write(true).open(path).expect("opened"));
    });
}

/// A logger in the language of the shell.
fn script(place: &Place, text: &str) -> String {
    let path = place.path("logger");
    let mut file =
        std::fs::OpenOptions::new().create(true).write(true).truncate(true).open(&path).expect("made");
    write!(file, "#!/bin/sh\n{text}\n").expect("written");
    drop(file);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
    place.text("logger")
}

#[test]
fn a_logger_gets_both_streams_its_arguments_and_two_variables() {
    run(async {
        let place = Place::new();
        let text = "exec 5>&-; { echo \"$@\" $CONTAINER_ID $CONTAINER_NAMESPACE; cat <&3; cat <&4; } > $2";
        let address = format!("binary://{}?out={}", script(&place, text), place.text("log"));
        let (stdio, ends) = open(&request("", &address, &address), PATIENT).await.expect("streams");
        rustix::io::write(&ends[1], b"out\n").expect("written");
        rustix::io::write(&ends[2], b"errors\n").expect("written");
        drop(ends);
        stdio.leader_exited();
        assert_eq!(stdio.finish().await.lost, 0);
        let log = std::fs::read_to_string(place.path("log")).expect("the log");
        assert_eq!(log, format!("out {} exec tests\nout\nerrors\n", place.text("log")));
    });
}

#[test]
fn the_second_protocol_wants_a_byte() {
    run(async {
        let place = Place::new();
        let ready = script(&place, "printf x >&5; exec cat <&3 > /dev/null");
        let address = format!("binary-v2://{ready}");
        assert!(open(&request("", &address, ""), PATIENT).await.is_ok());
        let gives_up = script(&place, "exit 3");
        let error =
            open(&request("", &format!("binary-v2://{gives_up}"), ""), PATIENT).await.expect_err("refused");
        assert_eq!(
            error.to_string(),
            format!("start the logger {gives_up}: it closed descriptor 5 without a byte")
        );
    });
}

#[test]
fn a_logger_that_is_never_ready_is_killed_and_named() {
    run(async {
        let place = Place::new();
        let program = script(&place, "exec sleep 3600");
        let bounds = Bounds { ready: Duration::from_millis(50), ..PATIENT };
        let error =
            open(&request("", &format!("binary://{program}"), ""), bounds).await.expect_err("refused");
        assert_eq!(error.to_string(), format!("the logger {program} is not ready after 0 s: it was killed"));
    });
}

#[test]
fn a_logger_that_died_holds_nobody_up() {
    run(async {
        let place = Place::new();
        let program = script(&place, "exec 5>&-; exit 1");
        let address = format!("binary://{program}");
        let (stdio, [_, stdout, _]) = open(&request("", &address, ""), PATIENT).await.expect("streams");
        let writes = tokio::task::spawn_blocking(move || {
            std::fs::File::from(stdout).write_all(&vec![0; 1_000_000]).expect("no SIGPIPE, no wait for ever");
        });
        writes.await.expect("written");
        stdio.leader_exited();
        stdio.finish().await;
    });
}

#[test]
fn a_logger_that_does_not_end_is_ended() {
    run(async {
        let place = Place::new();
        let program = script(&place, "echo $$ > $2; exec 5>&-; exec sleep 3600");
        let address = format!("binary://{program}?pid={}", place.text("pid"));
        let (stdio, ends) = open(&request("", &address, ""), IMPATIENT).await.expect("streams");
        let pid = std::fs::read_to_string(place.path("pid")).expect("its pid");
        drop(ends);
        stdio.leader_exited();
        stdio.finish().await;
        while Path::new("/proc").join(pid.trim()).exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}
