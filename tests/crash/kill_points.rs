//! Every command killed before its n-th system call: a sample here, every single one in the soak.

use testkit::{Lab, Runtime, partner};

use crate::leftovers;
use crate::scenario::{ALL, Scenario};
use crate::tracer::Victim;
use testkit::soak::Section;

/// Points of the sample for one scenario and victim.
const SAMPLE: usize = 20;

/// Every command, and every child that becomes a process of a container, makes more system calls.
const FEWEST: usize = 50;

/// How the points of a sweep are chosen.
#[derive(Debug, Clone, Copy)]
enum Density {
    /// So many of them, spread evenly.
    Sample(usize),
    /// All.
    Every,
}

/// What a sweep did; it would have panicked if anything had been left.
struct Sweep {
    scenario: Scenario,
    victim: Victim,
    calls: usize,
    tried: usize,
    killed: usize,
}

impl Sweep {
    fn row(&self) -> Vec<String> {
        let Sweep { scenario, victim, calls, tried, killed } = self;
        vec![
            format!("{scenario:?}"),
            format!("{victim:?}"),
            calls.to_string(),
            tried.to_string(),
            killed.to_string(),
            "nothing".to_owned(),
        ]
    }
}

impl std::fmt::Display for Sweep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Sweep { scenario, victim, calls, tried, killed } = self;
        write!(f, "{scenario:?} {victim:?}: {calls} system calls, {tried} kills tried, {killed} reached")
    }
}

/// Kills at the chosen points.
fn sweep(scenario: Scenario, victim: Victim, density: Density) -> Sweep {
    let mut done = Sweep { scenario, victim, calls: 0, tried: 0, killed: 0 };
    let Some(binary) = Runtime::Sluice.find().filter(|_| partner::is_root()) else { return done };
    let lab = Lab::new(Runtime::Sluice, binary);
    let container = lab.bundle(&scenario.config(&lab));
    let points = scenario.points(&container, &lab, victim);
    let step = match density {
        Density::Every => 1,
        Density::Sample(wanted) => (points.len() / wanted).max(1),
    };
    done.calls = points.len();
    assert!(done.calls > FEWEST, "{done}: this is not the process that was meant");
    for point in points.iter().step_by(step) {
        done.tried += 1;
        done.killed += usize::from(scenario.kill_at(&container, &lab, victim, point));
    }
    eprintln!("{done}");
    // Some calls are made once more or less often, depending on who is faster.
    assert!(done.killed * 2 >= done.tried, "half of the points were reached");
    leftovers::assert_no_keyring(container.id());
    lab.assert_nothing_left();
    done
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
            sweep(Scenario::$scenario, Victim::$victim, Density::Sample(SAMPLE));
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
    let section = Section::begin("Kills at every single system call");
    let pairs = ALL.into_iter().flat_map(|one| victims(one).iter().map(move |victim| (one, *victim)));
    let sweeps: Vec<_> = pairs.map(|(one, victim)| sweep(one, victim, Density::Every)).collect();
    let rows: Vec<_> = sweeps.iter().map(Sweep::row).collect();
    let raw: Vec<_> = sweeps.iter().map(Sweep::to_string).collect();
    let head = ["command", "killed", "system calls", "kills tried", "of them reached", "left afterwards"];
    section.end(&head, &rows, &raw);
}
