//! The order of events, and exits that come in bad moments.

use containerd_shim_protos::api::ShutdownRequest;
use protobuf::well_known_types::empty::Empty;

use crate::session::{Event, sessions};

sessions! {
    #[doc = "The exit of a process that ends at once comes after the event of its start, and there is one of each."]
    fn the_exit_of_a_short_exec_comes_after_its_start(session) {
        session.run_first();
        let ids: Vec<String> = (0..20).map(|number| format!("e{number}")).collect();
        std::thread::scope(|scope| {
            for id in &ids {
                scope.spawn(move || session.exec(id, &["/bin/sh", "-c", "exit 3"]));
            }
        });
        for id in &ids {
            assert_eq!(session.exit_of(id).exit_status, 3);
            let start = session.place("its start", |event| event.starts(id));
            let exit = session.place("its exit", |event| event.ends(id));
            assert!(start < exit, "{id}: start at {start}, exit at {exit}");
        }
        let exits = session.exits();
        assert_eq!(exits.len(), ids.len(), "{exits:?}");
        session.remove_first();
    }

    #[doc = "The exit of a container's init comes after those of the execs that ran in it."]
    fn the_exit_of_init_comes_after_those_of_its_execs(session) {
        session.run_first();
        let ids = ["a", "b", "c"];
        for id in ids {
            session.exec(id, &["/bin/sleep", "1000000"]);
        }
        session.remove_first();
        let init = session.place("the exit of init", |event| event.ends(session.first().id()));
        for id in ids {
            let exec = session.place("the exit of an exec", |event| event.ends(id));
            assert!(exec < init, "{id}: exit at {exec}, that of init at {init}");
            assert_eq!(session.exit_of(id).exit_status, 137);
        }
    }

    #[doc = "Create, start, exit, delete: each once, in this order."]
    fn the_events_of_a_container_come_in_their_order(session) {
        session.run_first();
        session.remove_first();
        session.place("the delete", |event| event.topic == "/tasks/delete");
        let topics: Vec<String> = session.events().into_iter().map(|event| event.topic).collect();
        assert_eq!(topics, ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"]);
    }
}

sessions! {
    ours
    /// containerd passes events on to who listens, and dockerd comes back a moment later than containerd does. It forgets
    /// the execs of a container that has ended: had it missed the first of these events and heard the second, a client
    /// would wait for ever. The stock shim tells each of them once.
    fn who_comes_back_between_two_exits_hears_that_of_the_exec_first(session) {
        session.run_first();
        session.exec("e", &["/bin/sleep", "1000000"]);
        let first = session.first().id();
        let is_exit = |event: &Event| event.topic == "/tasks/exit";
        session.without_containerd(|| {
            let _killed: Empty = session.ok("Kill", &session.kill_request("", 9));
            assert_eq!((session.wait("e"), session.wait("")), (137, 137));
        });
        session.place("the exit of init", |event| event.ends(first));
        let told: Vec<Event> = session.events().into_iter().filter(is_exit).collect();
        let before = told.iter().take_while(|event| event.ends("e")).count();
        // At once, after two seconds, and right before that of init.
        assert!(before >= 3, "who has missed one exit hears that of init next: {told:?}");
        session.remove_first();
    }
}

sessions! {
    ours
    /// What waits for clients of containerd is not lost when the shim ends meanwhile.
    fn who_deletes_right_after_a_return_of_containerd_hears_of_every_exit(session) {
        session.run_first();
        session.exec("e", &["/bin/sleep", "1000000"]);
        let first = session.first().id();
        session.without_containerd(|| {
            let _killed: Empty = session.ok("Kill", &session.kill_request("", 9));
            assert_eq!((session.wait("e"), session.wait("")), (137, 137));
        });
        session.place("the exit of the exec", |event| event.ends("e"));
        session.remove_first();
        let _ended: Empty = session.ok("Shutdown", &ShutdownRequest::new());
        session.place("the exit of init", |event| event.ends(first));
    }
}
