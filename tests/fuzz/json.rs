//! Changes of JSON that leave it JSON, so that they get past the parser and reach what reads the tree.

use serde_json::{Map, Value, json};

use crate::mutation::NUMBERS;
use crate::random::Random;

/// `text` with one to three places of its tree changed; `None` when it is not JSON.
pub(crate) fn change(random: &mut Random, text: &[u8], other: &[u8], words: &[&[u8]]) -> Option<Vec<u8>> {
    let mut tree: Value = serde_json::from_slice(text).ok()?;
    for _ in 0..=random.below(3) {
        once(random, &mut tree, other, words);
    }
    serde_json::to_vec(&tree).ok()
}

fn once(random: &mut Random, tree: &mut Value, other: &[u8], words: &[&[u8]]) {
    let place = somewhere(tree, random);
    match (random.below(8), place) {
        (0, Value::Object(map)) if !map.is_empty() => {
            let key = map.keys().nth(random.below(map.len())).cloned();
            key.and_then(|key| map.remove(&key));
        }
        (1 | 2, Value::Object(map)) => {
            map.insert(word(random, words), value(random, words));
        }
        (0, Value::Array(items)) if !items.is_empty() => drop(items.remove(random.below(items.len()))),
        (1 | 2, Value::Array(items)) if !items.is_empty() => {
            let item = items[random.below(items.len())].clone();
            items.push(item);
        }
        (3, place) => *place = json!([place.take()]),
        (4, place) => *place = json!({ word(random, words): place.take() }),
        (5, place) => {
            if let Ok(mut donor) = serde_json::from_slice(other) {
                *place = somewhere(&mut donor, random).take();
            }
        }
        (6, place) => *place = value(random, words),
        // What stands there becomes something of its own kind, which gets furthest.
        (_, Value::Bool(truth)) => *truth = !*truth,
        (_, place @ Value::Number(_)) => *place = number(random),
        (_, Value::String(text)) => *text = word(random, words),
        (_, place) => *place = value(random, words),
    }
}

/// A place in the tree; deeper ones as likely as upper ones.
fn somewhere<'a>(tree: &'a mut Value, random: &mut Random) -> &'a mut Value {
    let children = match tree {
        Value::Array(items) => items.len(),
        Value::Object(map) => map.len(),
        _ => 0,
    };
    if children == 0 || random.one_in(5) {
        return tree;
    }
    let at = random.below(children);
    match tree {
        Value::Array(items) => somewhere(&mut items[at], random),
        Value::Object(map) => match map.values_mut().nth(at) {
            Some(child) => somewhere(child, random),
            None => unreachable!("there are {children} children"),
        },
        leaf => leaf,
    }
}

fn word(random: &mut Random, words: &[&[u8]]) -> String {
    match random.below(8) {
        0 => String::new(),
        1 => "\u{1b}[2J\n\0é".to_owned(),
        2 => "long".repeat(1500),
        _ => String::from_utf8_lossy(random.pick(words)).into_owned(),
    }
}

fn value(random: &mut Random, words: &[&[u8]]) -> Value {
    match random.below(10) {
        0 => Value::Null,
        1 => json!(random.one_in(2)),
        2..5 => number(random),
        5 => Value::Object(Map::new()),
        6 => Value::Array(vec![number(random); random.below(70)]),
        // Readers that recurse must stop somewhere.
        7 => (0..random.below(200)).fold(Value::Null, |inner, _| json!([inner])),
        _ => Value::String(word(random, words)),
    }
}

fn number(random: &mut Random) -> Value {
    let number = NUMBERS[random.below(NUMBERS.len())];
    match random.below(4) {
        0 | 1 => json!(number),
        2 => json!((number as i64).wrapping_neg()),
        _ => json!([1e308, -1e308, 5e-324, 0.1, -0.0, 1e-9][random.below(6)]),
    }
}

#[test]
fn changed_json_is_json() {
    let text = br#"{"a": [1, 2, {"b": null}], "c": "d"}"#;
    let mut different = 0;
    for seed in 0..300 {
        let changed = change(&mut Random::new(seed), text, b"[true]", &[b"a"]).unwrap();
        let tree: Value = serde_json::from_slice(&changed).unwrap_or_else(|e| {
            assert!(e.to_string().contains("recursion limit"), "{e}");
            Value::Null
        });
        different += usize::from(tree != json!({"a": [1, 2, {"b": null}], "c": "d"}));
    }
    assert!(different > 250, "{different}");
    assert!(change(&mut Random::new(0), b"{", b"", &[b"a"]).is_none());
}
