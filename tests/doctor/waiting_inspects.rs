//! Two hundred clients behind one container: a consequence, with its cause named.

use testkit::process;

use crate::{blocker, id_of, on_stock};

const CLIENTS: usize = 200;

#[test]
fn the_queue_is_counted_and_its_cause_named() {
    on_stock(|lab, docker, doctor| {
        docker.sleeper("one", &["--runtime=flood"]);
        let id = id_of(docker, "one");
        let exec = docker.cli(&["exec", &id, "true"]).spawn();
        let cause = doctor.finding("full_pipe", &id);

        lab.step("two hundred inspects");
        let clients: Vec<_> = (0..CLIENTS).map(|_| docker.cli(&["inspect", &id]).spawn()).collect();
        let queue = testkit::hang::eventually_some("the queue", || {
            let found = doctor.finding("waiting_clients", &id);
            found["title"].as_str().unwrap().starts_with("200 clients").then_some(found)
        });
        assert_eq!((&queue["class"], blocker(&queue)), (&"IN-03".into(), blocker(&cause)), "{queue:#}");
        assert!(process::is_alive(blocker(&queue)));

        lab.step("healing the cause empties the queue");
        doctor.heal(&cause, &[]);
        clients.into_iter().for_each(|client| drop(client.wait().ok()));
        exec.wait();
        assert_eq!(doctor.now("waiting_clients", &id), None);
        docker.ok(&["rm", "--force", "one"]);
    });
}
