//! What the hot path pays. Printed, not judged: run with `--ignored --nocapture`.

use std::time::Instant;

use cgroup::Evidence;

use crate::fixture::Fixture;

#[test]
#[ignore = "prints a measurement"]
fn the_cost_of_evidence() {
    let Some(fixture) = Fixture::new("cost") else { return };
    let measure = |name: &str, run: &dyn Fn()| {
        let mut times: Vec<u128> = (0..2000)
            .map(|_| {
                let start = Instant::now();
                run();
                start.elapsed().as_nanos()
            })
            .collect();
        times.sort_unstable();
        eprintln!("{name}: p50 {} ns, p99 {} ns", times[1000], times[1980]);
    };
    measure("quick", &|| drop(Evidence::quick(&fixture.cgroup)));
    measure("full", &|| drop(Evidence::full(&fixture.cgroup)));
    measure("freezer", &|| drop(fixture.cgroup.freezer()));
    measure("join", &|| drop(fixture.cgroup.join()));
    measure("stats", &|| drop(fixture.cgroup.stats()));
}
