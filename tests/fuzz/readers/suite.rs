//! Descriptions of suites, `suite.json`: `goldref::suite::Suite`.

use std::collections::HashSet;
use std::path::Path;

use goldref::error::Result;
use goldref::suite;
use serde_json::Value;

use crate::campaign::Reader;
use crate::json;
use crate::random::Random;

pub(crate) struct Suite;

impl Reader for Suite {
    type Value = suite::Suite;
    const NAME: &'static str = "suite";
    const DICTIONARY: &'static [&'static [u8]] = &[
        b"goldref-suite/1",
        b"goldref-suite/2",
        b"format",
        b"name",
        b"about",
        b"notice",
        b"cases",
        b"id",
        b"op",
        b"params",
        b"dtypes",
        b"tolerance",
        b"atol",
        b"rtol",
        b"max_ulps",
        b"flags",
        b"catches",
        b"oracle",
        b"computed_by",
        b"attested_by",
        b"distance",
        b"seed",
        b"baseline",
        b"compare_where",
        b"sha256",
        b"softmax",
        b"f16",
        b"bf16",
        b"f8_e4m3",
        b"../x",
        b"Upper",
        b"a b",
        b"NaN",
        b"1e400",
    ];

    fn read(bytes: &[u8]) -> Result<Self::Value> {
        suite::Suite::parse(bytes, Path::new("x"))
    }

    fn most_memory(length: usize) -> usize {
        // A map of one pair in `params` takes 7 bytes of text and a node of 11 pairs in memory.
        (64 << 10) + 128 * length
    }

    fn check(suite: &Self::Value, bytes: &[u8]) {
        let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_'));
        assert_eq!(suite.format, "goldref-suite/1");
        assert!(is_word(&suite.name), "{:?}", suite.name);
        // Read once more, as a tree that knows nothing of suites.
        let tree: Value = serde_json::from_slice(bytes).unwrap();
        assert_eq!(tree["name"], suite.name.as_str());
        assert_eq!(tree["cases"].as_array().unwrap().len(), suite.cases.len());
        let mut ids = HashSet::new();
        for (case, spelled) in suite.cases.iter().zip(tree["cases"].as_array().unwrap()) {
            assert_eq!((&spelled["id"], &spelled["op"]), (&Value::from(&*case.id), &Value::from(&*case.op)));
            let object = |name: &str| spelled.get(name).is_none_or(|value| value.is_object() || value.is_null());
            assert!(["params", "tolerance", "oracle"].iter().all(|name| object(name)), "{spelled}");
            assert!(is_word(&case.id) && ids.insert(&case.id), "{:?}", case.id);
            assert_eq!(case.name, format!("{}/{}", suite.name, case.id));
            assert_eq!(case.folder(), Path::new("x").join(&case.id));
        }
    }

    fn change_inside(random: &mut Random, bytes: &[u8], other: &[u8]) -> Option<Vec<u8>> {
        json::change(random, bytes, other, Self::DICTIONARY)
    }
}
