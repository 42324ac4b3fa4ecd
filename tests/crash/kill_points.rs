//! Every command killed before its n-th system call: a sample here, every single one in the soak.

use testkit::{Lab, Runtime, partner};

use crate::leftovers;
use crate::scenario::{ALL, Scenario};
use crate::tracer::Victim;

/// Points of the sample, at most, for one scenario and victim.
const SAMPLE: usize = 12;

/// More system calls than any command makes.
const MANY: usize = 5000;

/// How the points of a sweep are chosen.
#[derive(Debug, Clone, Copy)]
enum Density {
    /// [`SAMPLE`] of them, spread evenly.
    Sample,
    /// All.
    Every,
}

/// Kills at the chosen points; how many there were.
fn sweep(scenario: Scenario, victim: Victim, density: Density) -> usize {
    let Some(binary) = Runtime::Sluice.find().filter(|_| partner::is_root()) else { return 0 };
    let lab = Lab::new(Runtime::Sluice, binary);
    let container = lab.bundle(&scenario.config(&lab));
    let kill = |number| scenario.kill_at(&container, &lab, victim, number);
    let step = match density {
        Density::Every => 1,
        Density::Sample => (last_point(&kill) / SAMPLE).max(1),
    };
    let count = (0..).map(|index| 1 + index * step).take_while(|number| kill(*number)).count();
    eprintln!("{scenario:?}, {victim:?} killed: {count} points, step {step}");
    leftovers::assert_no_keyring(container.id());
    lab.assert_nothing_left();
    count
}

/// About how many system calls there are: by halving.
fn last_point(kill: &impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, MANY);
    while high - low > 40 {
        let middle = usize::midpoint(low, high);
        if kill(middle) { low = middle } else { high = middle }
    }
    low
}

/// Which process of a scenario can be killed apart from the command.
fn victims(scenario: Scenario) -> &'static [Victim] {
    match scenario {
        Scenario::Create | Scenario::CreateMapped | Scenario::Run | Scenario::Exec => {
            &[Victim::Runtime, Victim::Child]
        }
        _ => &[Victim::Runtime],
    }
}

macro_rules! sampled {
    ($($name:ident: $scenario:ident, $victim:ident;)*) => {$(
        #[test]
        fn $name() {
            sweep(Scenario::$scenario, Victim::$victim, Density::Sample);
        }
    )*};
}

sampled! {
    a_killed_create_leaves_nothing: Create, Runtime;
    a_create_whose_init_is_killed_leaves_nothing: Create, Child;
    a_killed_create_with_id_mappings_leaves_nothing: CreateMapped, Runtime;
    a_killed_start_leaves_a_whole_state: Start, Runtime;
    a_killed_run_leaves_nothing: Run, Runtime;
    a_killed_exec_leaves_a_whole_state: Exec, Runtime;
    an_exec_whose_child_is_killed_leaves_a_whole_state: Exec, Child;
    a_killed_update_leaves_a_whole_state: Update, Runtime;
    a_killed_pause_leaves_a_whole_state: Pause, Runtime;
    a_killed_resume_leaves_a_whole_state: Resume, Runtime;
    a_killed_kill_leaves_a_whole_state: Kill, Runtime;
    a_killed_delete_can_be_repeated: Delete, Runtime;
    a_killed_forced_delete_can_be_repeated: DeleteForce, Runtime;
}

#[test]
#[ignore = "soak: every single system call of every command, tens of minutes"]
fn soak_kills_at_every_single_system_call() {
    for scenario in ALL {
        for victim in victims(scenario) {
            sweep(scenario, *victim, Density::Every);
        }
    }
}
