//! Any number in a `config.json` is read or refused in a sentence, whatever it is.

use super::command_line::goldref;
use goldref::model::family;
use serde_json::{Map, Value, json};
use std::fs;
use tempfile::TempDir;

/// The bundled configs.
fn configs() -> Vec<Map<String, Value>> {
    let mut configs = Vec::new();
    for folder in fs::read_dir(super::root().join("fixtures/model/models")).unwrap() {
        let bytes = fs::read(folder.unwrap().path().join("config.json")).unwrap();
        configs.push(serde_json::from_slice(&bytes).unwrap());
    }
    assert!(configs.len() > 20);
    configs
}

fn strange() -> Vec<Value> {
    let mut values = vec![json!(null), json!("x"), json!([]), json!({}), json!(true)];
    values
        .extend([0, 1, 2, 3, 1 << 16, 1 << 31, (1 << 31) - 1, (1 << 31) + 1, 1 << 63, u64::MAX].map(|n: u64| json!(n)));
    values.extend([-1, i64::MIN].map(|n| json!(n)));
    values.extend([0.0, -0.0, 0.3, 0.5, 2.5, -1.5, 1e30, -1e30, 1e308, 5e-324].map(|x: f64| json!(x)));
    values
}

/// Calls `visit` with each config in which one value, at the top or in an object, is `value`.
fn with_each_changed(config: &Map<String, Value>, value: &Value, visit: &mut dyn FnMut(&Map<String, Value>, &str)) {
    for (key, old) in config {
        let mut changed = config.clone();
        if let Some(inner) = old.as_object() {
            with_each_changed(inner, value, &mut |inner, at| {
                changed.insert(key.clone(), Value::Object(inner.clone()));
                visit(&changed, at);
            });
        }
        // As many numbers as there were, or one in place of one.
        let value = match old.as_array() {
            Some(list) if list.iter().all(Value::is_number) => Value::Array(vec![value.clone(); list.len()]),
            _ => value.clone(),
        };
        changed.insert(key.clone(), value);
        visit(&changed, key);
    }
}

#[test]
fn every_value_of_every_config_is_read_or_refused() {
    let (mut read, mut refused) = (0, 0);
    for config in configs() {
        for value in strange() {
            with_each_changed(&config, &value, &mut |changed, at| match family::read(changed) {
                Ok(_) => read += 1,
                Err(error) => {
                    refused += 1;
                    let message = error.to_string();
                    assert!(message.lines().count() == 1 && message.len() < 500, "{at} = {value}: {message}");
                }
            });
        }
    }
    assert!(read > 1000 && refused > 1000, "{read} {refused}");
}

#[test]
fn a_share_of_a_head_is_above_nothing_and_at_most_all_of_it() {
    let mut shares = 0;
    for config in configs() {
        for share in [json!(1.0000001), json!(2), json!(1e30), json!(1e308), json!(u64::MAX), json!(-1), json!(0)] {
            with_each_changed(&config, &share, &mut |changed, at| {
                if ["rotary_pct", "partial_rotary_factor"].contains(&at) {
                    shares += 1;
                    let error = family::read(changed).map(drop).expect_err(&format!("{at} = {share}")).to_string();
                    assert!(error.contains(at), "{error}");
                }
            });
        }
    }
    assert!(shares >= 21, "{shares}");
}

#[test]
fn the_program_says_so_with_exit_code_2() {
    let bundled = super::root().join("fixtures/model/models/gpt_neox_parallel/config.json");
    let mut config: Map<String, Value> = serde_json::from_slice(&fs::read(bundled).unwrap()).unwrap();
    assert!(config.contains_key("rotary_pct"));
    config.insert("rotary_pct".to_string(), json!(1e30));
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("config.json"), Value::Object(config).to_string()).unwrap();
    let output = goldref().args(["cost", "--model"]).arg(folder.path()).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.ends_with("rotary_pct is 1e+30; it must be above 0 and at most 1\n"), "{message}");
}
