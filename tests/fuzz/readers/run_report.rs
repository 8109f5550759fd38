//! Saved runs: `goldref::suite::RunReport`.

use goldref::error::Result;
use goldref::report;

use crate::campaign::Reader;
use crate::json;
use crate::random::Random;

pub(crate) struct RunReport;

impl Reader for RunReport {
    type Value = goldref::suite::RunReport;
    const NAME: &'static str = "run_report";
    const DICTIONARY: &'static [&'static [u8]] = &[
        b"goldref-run/1",
        b"goldref-run/2",
        b"format",
        b"ladder",
        b"suites",
        b"variants",
        b"results",
        b"variant",
        b"case",
        b"outcome",
        b"kind",
        b"compared",
        b"failed",
        b"not_asked",
        b"missing",
        b"wrong_shape",
        b"reason",
        b"verdict",
        b"exact",
        b"rounding",
        b"explained",
        b"not rounding",
        b"ops/relu",
        b"f64",
        b"bf16",
        b"NaN",
        b"inf",
        b"-inf",
    ];

    fn read(bytes: &[u8]) -> Result<Self::Value> {
        goldref::suite::RunReport::from_json(bytes)
    }

    fn most_memory(length: usize) -> usize {
        // Every field of an array's facts must be spelled, so what is read is of the size of its text; names are kept
        // in sets while they are compared.
        (64 << 10) + 64 * length
    }

    fn check(run: &Self::Value, _: &[u8]) {
        // NaN is not equal to itself; its text is.
        let saved = report::json(run);
        assert_eq!(report::json(&Self::read(saved.as_bytes()).unwrap()), saved);
        // Whoever makes a report of what was accepted need not ask again.
        for render in [report::text, report::summary, report::junit, report::markdown, report::github] {
            render(run);
        }
    }

    fn change_inside(random: &mut Random, bytes: &[u8], other: &[u8]) -> Option<Vec<u8>> {
        json::change(random, bytes, other, Self::DICTIONARY)
    }
}
