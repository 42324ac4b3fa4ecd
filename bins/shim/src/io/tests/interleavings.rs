//! Random orders of writing, reading, leaving and ending, against what a client must see.

use super::*;

/// Something that happens to a stream.
#[derive(Clone, Copy, Debug)]
enum Step {
    Write(usize),
    Read(usize),
    ReaderGoes,
    ReaderComes,
    TasksRun(usize),
    LeaderExits,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1_usize..20_000).prop_map(Step::Write),
        3 => (1_usize..20_000).prop_map(Step::Read),
        1 => Just(Step::ReaderGoes),
        1 => Just(Step::ReaderComes),
        3 => (1_usize..200).prop_map(Step::TasksRun),
        1 => Just(Step::LeaderExits),
    ];
    proptest::collection::vec(step, 1..60)
}

/// One stream, and what was seen of it.
struct World {
    place: Place,
    stdio: Stdio,
    writer: OwnedFd,
    reader: Option<OwnedFd>,
    written: Vec<u8>,
    /// Length of `written` when the leader ended.
    owed: Option<usize>,
    read: Vec<u8>,
}

impl World {
    async fn new() -> Self {
        let place = Place::new();
        let stdout = place.text("stdout");
        let (stdio, [_, writer, _]) = open(&request("", &stdout, ""), IMPATIENT).await.expect("streams");
        rustix::io::ioctl_fionbio(&writer, true).expect("non-blocking");
        Self { place, stdio, writer, reader: None, written: Vec::new(), owed: None, read: Vec::new() }
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Write(count) => {
                let begin = self.written.len();
                let bytes: Vec<u8> =
                    (begin..begin + count).map(|at| u8::try_from(at % 251).unwrap_or_default()).collect();
                let taken = rustix::io::write(&self.writer, &bytes).unwrap_or(0);
                self.written.extend_from_slice(&bytes[..taken]);
            }
            Step::Read(count) => {
                let mut piece = vec![0; count];
                let read = self.reader.as_ref().map(|reader| rustix::io::read(reader, &mut piece));
                self.read.extend_from_slice(&piece[..read.and_then(Result::ok).unwrap_or(0)]);
            }
            Step::ReaderGoes if self.owed.is_none() => self.reader = None,
            Step::ReaderGoes => {}
            Step::ReaderComes => self.reader = Some(self.place.reader("stdout")),
            Step::TasksRun(turns) => {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
            }
            Step::LeaderExits => {
                self.owed.get_or_insert(self.written.len());
                self.stdio.leader_exited();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_client_sees_a_prefix_that_holds_all_the_leader_wrote(steps in steps(), survivor in any::<bool>()) {
        let world = run(async {
            let mut world = World::new().await;
            for step in steps {
                world.take(step).await;
            }
            world.take(Step::LeaderExits).await;
            let World { place, stdio, writer, reader, written, owed, mut read } = world;
            let held = survivor.then_some(writer);
            // One that is there stays: when it has all it may see the end, and a new one would see nothing.
            let reader = reader.unwrap_or_else(|| place.reader("stdout"));
            read.extend(read_to_end(&reader).await);
            let outcome = stdio.drained().await;
            drop(held);
            (written, owed.unwrap_or_default(), read, outcome)
        });
        let (written, owed, read, outcome) = world;
        prop_assert!(read.len() >= owed, "{} of {owed} bytes", read.len());
        prop_assert!(written.starts_with(&read), "bytes in another order");
        prop_assert_eq!((outcome.delivered, outcome.lost), (read.len() as u64, 0));
        prop_assert!(survivor || read.len() == written.len() || outcome.cut == 1);
    }
}
