//! Log text: any bytes are read, every explanation is of a line that is there, and unknown lines have neighbours at most.

use std::sync::OnceLock;

use diagnose::explain::{Consequences, Explainer};

/// Building it costs more than reading a line.
static EXPLAINER: OnceLock<Option<Explainer>> = OnceLock::new();

#[expect(clippy::panic, reason = "a fuzz target speaks by panicking")]
pub(crate) fn run(bytes: &[u8]) {
    let Some(explainer) = EXPLAINER.get_or_init(|| Explainer::new().ok()) else {
        panic!("the classes of this build are broken");
    };
    let mut consequences = Consequences::new(explainer);
    let mut given = 0;
    let totals = explainer.read(&mut &*bytes, &mut |found| {
        assert!(found.number > 0, "no line has the number 0");
        assert!(found.class.is_none() || found.nearest.is_empty(), "a known line needs no neighbours");
        given += u64::from(consequences.push(found).is_some());
    });
    while consequences.pop().is_some() {
        given += 1;
    }
    if let Ok(totals) = totals {
        assert_eq!(given, totals.failures, "what goes in comes out");
        assert!(totals.failures <= totals.lines, "more failures than lines");
    }
}
