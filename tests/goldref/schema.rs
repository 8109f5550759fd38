//! The JSON Schema of the run report fits what is written and refuses what is not.
//!
//! The validator knows the part of draft 2020-12 that the schema uses, and refuses to read any other keyword: a crate
//! with all of it takes longer to build than the rest of the tests' dependencies together.

use super::hand_made;
use goldref::report;
use serde_json::{Map, Value, json};

fn schema() -> Value {
    named("goldref-run-1.schema.json")
}

fn named(name: &str) -> Value {
    let path = super::root().join("schema").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Why `value` does not follow the schema of this name.
pub(super) fn refusal_by(name: &str, value: &Value) -> Option<String> {
    let schema = named(name);
    refusal(&schema, &schema, value, "")
}

/// Why `value` does not follow `schema`; `root` holds the `$defs`.
fn refusal(root: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    let keywords = schema.as_object().unwrap();
    keywords.iter().find_map(|(keyword, wanted)| {
        let refused = |why: String| Some(format!("{at}: {why}"));
        match keyword.as_str() {
            "$schema" | "$id" | "$defs" | "title" | "description" => None,
            "$ref" => {
                let target = root.pointer(wanted.as_str().unwrap().strip_prefix('#').unwrap()).unwrap();
                refusal(root, target, value, at)
            }
            "type" => {
                let types = wanted.as_array().cloned().unwrap_or_else(|| vec![wanted.clone()]);
                let fits = types.iter().any(|name| is_of_type(value, name.as_str().unwrap()));
                if fits { None } else { refused(format!("{value} is not of type {wanted}")) }
            }
            "const" => {
                if value == wanted {
                    None
                } else {
                    refused(format!("{value} is not {wanted}"))
                }
            }
            "enum" => {
                if wanted.as_array().unwrap().contains(value) {
                    None
                } else {
                    refused(format!("{value} is none of {wanted}"))
                }
            }
            "minimum" => match value.as_f64() {
                Some(number) if number < wanted.as_f64().unwrap() => refused(format!("{value} is below {wanted}")),
                _ => None,
            },
            "maximum" => match value.as_f64() {
                Some(number) if number > wanted.as_f64().unwrap() => refused(format!("{value} is above {wanted}")),
                _ => None,
            },
            "minProperties" | "maxProperties" => value.as_object().and_then(|object| {
                let (found, bound) = (object.len() as u64, wanted.as_u64().unwrap());
                let fits = if keyword == "minProperties" { found >= bound } else { found <= bound };
                if fits { None } else { refused(format!("{found} fields")) }
            }),
            "minItems" => match value.as_array() {
                Some(items) if (items.len() as u64) < wanted.as_u64().unwrap() => refused("too few items".to_string()),
                _ => None,
            },
            "items" => value.as_array().and_then(|items| {
                items.iter().enumerate().find_map(|(i, item)| refusal(root, wanted, item, &format!("{at}/{i}")))
            }),
            "required" => value.as_object().and_then(|object| {
                let missing =
                    wanted.as_array().unwrap().iter().find(|name| !object.contains_key(name.as_str().unwrap()));
                missing.and_then(|name| refused(format!("{name} is missing")))
            }),
            "properties" => value.as_object().and_then(|object| {
                let of_field = |(name, value): (&String, &Value)| {
                    wanted.get(name).and_then(|schema| refusal(root, schema, value, &format!("{at}/{name}")))
                };
                object.iter().find_map(of_field)
            }),
            "additionalProperties" => {
                assert_eq!(wanted, &json!(false));
                let known = keywords.get("properties").and_then(Value::as_object).unwrap();
                let unknown =
                    value.as_object().and_then(|object| object.keys().find(|name| !known.contains_key(*name)));
                unknown.and_then(|name| refused(format!("{name} is unknown")))
            }
            "oneOf" => {
                let refusals: Vec<Option<String>> =
                    wanted.as_array().unwrap().iter().map(|one| refusal(root, one, value, at)).collect();
                match refusals.iter().filter(|refusal| refusal.is_none()).count() {
                    1 => None,
                    fits => refused(format!("{fits} of its forms fit: {refusals:?}")),
                }
            }
            other => panic!("the schema uses {other}, which this validator does not know"),
        }
    })
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        other => panic!("the schema uses the type {other}"),
    }
}

fn refused(value: &Value) -> Option<String> {
    let schema = schema();
    refusal(&schema, &schema, value, "")
}

fn every_outcome() -> Value {
    serde_json::from_str(&report::json(&hand_made::report())).unwrap()
}

type Object = Map<String, Value>;

/// Calls `visit` with the whole value once for each object in it, after `edit` changed that object.
pub(super) fn with_each_object_edited(
    value: &Value,
    edit: &dyn Fn(&mut Object) -> Vec<Object>,
    visit: &mut dyn FnMut(&Value, &str),
) {
    fn pointers(value: &Value, at: String, found: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                found.push(at.clone());
                object.iter().for_each(|(name, value)| pointers(value, format!("{at}/{name}"), found));
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(i, item)| pointers(item, format!("{at}/{i}"), found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    pointers(value, String::new(), &mut found);
    for at in found {
        let mut original = value.pointer(&at).unwrap().as_object().unwrap().clone();
        for edited in edit(&mut original) {
            let mut whole = value.clone();
            *whole.pointer_mut(&at).unwrap() = Value::Object(edited);
            visit(&whole, &at);
        }
    }
}

#[test]
fn the_reports_of_check_follow_the_schema() {
    for report in [report::json(&super::reports::small_report()), report::json(&hand_made::hostile())] {
        assert_eq!(refused(&serde_json::from_str(&report).unwrap()), None);
    }
    assert_eq!(refused(&every_outcome()), None);
}

#[test]
fn a_field_more_or_less_is_refused_in_every_object() {
    let mut objects = 0;
    let more = |object: &mut Object| {
        object.insert("surplus".to_string(), Value::Null);
        vec![object.clone()]
    };
    with_each_object_edited(&every_outcome(), &more, &mut |broken, at| {
        objects += 1;
        assert!(refused(broken).is_some(), "{at} may have a surplus field");
    });
    assert!(objects > 50, "{objects}");
    let less = |object: &mut Object| {
        let without = |name: &String| {
            let mut object = object.clone();
            object.remove(name);
            object
        };
        // What stands beside an array that does not fit is left out where there is nothing.
        let beside = matches!(object.get("kind").and_then(Value::as_str), Some("missing" | "wrong_shape"));
        object.keys().filter(|name| !(beside && matches!(name.as_str(), "also" | "arrays"))).map(without).collect()
    };
    with_each_object_edited(&every_outcome(), &less, &mut |broken, at| {
        assert!(refused(broken).is_some(), "{at} may lack a field");
    });
}

#[test]
fn broken_reports_are_refused() {
    let broken = |pointer: &str, value: Value| {
        let mut report = every_outcome();
        *report.pointer_mut(pointer).unwrap() = value;
        refused(&report).unwrap_or_else(|| panic!("{pointer} was accepted"))
    };
    assert!(broken("/format", json!("goldref-run/2")).starts_with("/format: "));
    broken("/ladder/0/atol", json!(-1.0));
    broken("/suites/0/cases", json!(1.5));
    broken("/results/0/outcome/kind", json!("passed"));
    broken("/results/0/outcome/passes", json!([1, 0, 1]));
    broken("/results/0/outcome/arrays", json!([]));
    broken("/results/0/outcome/verdict", json!("not rounding"));
    broken("/results/0/outcome/arrays/0/facts/compared", json!(-1));
    broken("/results/0/outcome/arrays/0/facts/scale", json!("Infinity"));
    broken("/results/0/outcome/arrays/0/facts/scale", Value::Null);
    let pattern = "/results/3/outcome/arrays/0/facts/location/0/pattern";
    broken(pattern, json!("shrinks"));
    broken(pattern, json!({}));
    broken(pattern, json!({"one_index": {"index": 0}, "range": {"first": 0, "last": 1}}));
    broken("/results/3/outcome/arrays/0/judged/basis", json!({"kind": "bounds", "evaluations": 8}));
}
