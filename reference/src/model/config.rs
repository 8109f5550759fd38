//! Typed access to a Hugging Face `config.json` that remembers which keys were read.
//!
//! A family reads the keys it knows; [`Config::finish`] then refuses every key that was neither read nor is
//! known to leave the mathematics alone. So a field that goldref does not understand is named, never ignored.
//! Knows JSON and nothing of models beyond the names of such keys.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::error::{Error, Result};

mod neutral;

/// No size in a `config.json` may be larger, so that a product of three sizes cannot overflow.
const MAX_SIZE: u64 = 1 << 31;

/// A JSON object of a `config.json`, read key by key.
///
/// A key whose value is `null` counts as absent, except for the `nullable_…` methods: there `null` means
/// "none" although the key has a default (Mistral's `sliding_window`).
pub struct Config<'a> {
    map: &'a Map<String, Value>,
    /// What stands before a key in a message: empty, or `rope_parameters.` for a nested object.
    prefix: String,
    /// `(other name, name)`: Hugging Face's `attribute_map`, read from either.
    aliases: &'a [(&'a str, &'a str)],
    read: RefCell<BTreeSet<String>>,
}

impl<'a> Config<'a> {
    /// The whole file.
    pub fn new(map: &'a Map<String, Value>) -> Self {
        Self::with_aliases(map, &[])
    }

    /// The whole file, where `(other name, name)` in `aliases` are two names of one field.
    pub fn with_aliases(map: &'a Map<String, Value>, aliases: &'a [(&'a str, &'a str)]) -> Self {
        Self { map, prefix: String::new(), aliases, read: RefCell::default() }
    }

    /// A refusal of the value of `key`: `{key} is {value}; {why}`.
    pub fn refuse(&self, key: &str, why: impl std::fmt::Display) -> Error {
        let value = self.map.get(self.present_name(key)).map_or_else(|| "missing".to_owned(), shorten);
        let key = self.present_name(key);
        ask(format!("{}{key} is {value}; {why}", self.prefix))
    }

    /// The name under which `key` is given: itself or an alias.
    fn present_name<'k>(&'k self, key: &'k str) -> &'k str {
        if self.map.contains_key(key) {
            return key;
        }
        let mut others = self.aliases.iter().filter(|(_, name)| *name == key);
        others.find(|(other, _)| self.map.contains_key(*other)).map_or(key, |(other, _)| other)
    }

    /// The value of `key` or of its aliases, `null` included; all of them count as read.
    fn value(&self, key: &str) -> Result<Option<&'a Value>> {
        let mut found: Option<(&str, &'a Value)> = None;
        let others = self.aliases.iter().filter(|(_, name)| *name == key).map(|(other, _)| *other);
        for name in std::iter::once(key).chain(others) {
            let Some(value) = self.map.get(name) else { continue };
            self.read.borrow_mut().insert(name.to_owned());
            match found {
                Some((first, earlier)) if earlier != value => {
                    return Err(self.refuse(name, format!("its other name {first} says {}", shorten(earlier))));
                }
                _ => found = Some((name, value)),
            }
        }
        Ok(found.map(|(_, value)| value))
    }

    /// As [`Config::value`], without `null`.
    fn given(&self, key: &str) -> Result<Option<&'a Value>> {
        Ok(self.value(key)?.filter(|value| !value.is_null()))
    }

    /// Whether `key` has a value other than `null`. Does not count as reading it.
    pub fn has(&self, key: &str) -> bool {
        self.map.get(self.present_name(key)).is_some_and(|value| !value.is_null())
    }

    fn to_usize(&self, key: &str, value: &Value) -> Result<usize> {
        match value.as_u64() {
            Some(size @ 1..=MAX_SIZE) => {
                usize::try_from(size).map_err(|_| self.refuse(key, "it does not fit into this machine's sizes"))
            }
            Some(size) if size > MAX_SIZE => Err(self.refuse(key, format!("goldref reads sizes up to {MAX_SIZE}"))),
            _ => Err(self.refuse(key, "it must be a positive whole number")),
        }
    }

    fn to_f64(&self, key: &str, value: &Value) -> Result<f64> {
        let number = value.as_f64().filter(|x| x.is_finite());
        number.ok_or_else(|| self.refuse(key, "it must be a finite number"))
    }

    fn to_positive(&self, key: &str, value: &Value) -> Result<f64> {
        let number = value.as_f64().filter(|x| x.is_finite() && *x > 0.0);
        number.ok_or_else(|| self.refuse(key, "it must be a positive number"))
    }

    /// A positive whole number that must be given.
    pub fn usize(&self, key: &str) -> Result<usize> {
        let size = self.optional_usize(key)?;
        size.ok_or_else(|| self.refuse(key, "it must be a positive whole number"))
    }

    /// A positive whole number, `default` if absent.
    pub fn usize_or(&self, key: &str, default: usize) -> Result<usize> {
        Ok(self.optional_usize(key)?.unwrap_or(default))
    }

    /// A positive whole number, if given.
    pub fn optional_usize(&self, key: &str) -> Result<Option<usize>> {
        self.given(key)?.map(|value| self.to_usize(key, value)).transpose()
    }

    /// A positive whole number: `default` if absent, `None` if `null`.
    pub fn nullable_usize(&self, key: &str, default: Option<usize>) -> Result<Option<usize>> {
        match self.value(key)? {
            None => Ok(default),
            Some(Value::Null) => Ok(None),
            Some(value) => self.to_usize(key, value).map(Some),
        }
    }

    /// A finite number, `default` if absent.
    pub fn f64_or(&self, key: &str, default: f64) -> Result<f64> {
        Ok(self.optional_f64(key)?.unwrap_or(default))
    }

    /// A finite number, if given.
    pub fn optional_f64(&self, key: &str) -> Result<Option<f64>> {
        self.given(key)?.map(|value| self.to_f64(key, value)).transpose()
    }

    /// A positive number, `default` if absent.
    pub fn positive_or(&self, key: &str, default: f64) -> Result<f64> {
        Ok(self.optional_positive(key)?.unwrap_or(default))
    }

    /// A positive number, if given.
    pub fn optional_positive(&self, key: &str) -> Result<Option<f64>> {
        self.given(key)?.map(|value| self.to_positive(key, value)).transpose()
    }

    /// A positive number: `default` if absent, `None` if `null`.
    pub fn nullable_positive(&self, key: &str, default: Option<f64>) -> Result<Option<f64>> {
        match self.value(key)? {
            None => Ok(default),
            Some(Value::Null) => Ok(None),
            Some(value) => self.to_positive(key, value).map(Some),
        }
    }

    /// The number added inside a norm's root: zero or positive, `default` if absent.
    pub fn norm_eps_or(&self, key: &str, default: f64) -> Result<f64> {
        let eps = self.f64_or(key, default)?;
        if eps < 0.0 { Err(self.refuse(key, "it must not be negative")) } else { Ok(eps) }
    }

    /// A truth value, `default` if absent.
    pub fn bool_or(&self, key: &str, default: bool) -> Result<bool> {
        let Some(value) = self.given(key)? else { return Ok(default) };
        value.as_bool().ok_or_else(|| self.refuse(key, "it must be true or false"))
    }

    /// A string, `default` if absent.
    pub fn string_or(&self, key: &str, default: &'a str) -> Result<&'a str> {
        Ok(self.optional_string(key)?.unwrap_or(default))
    }

    /// A string, if given.
    pub fn optional_string(&self, key: &str) -> Result<Option<&'a str>> {
        let Some(value) = self.given(key)? else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.refuse(key, "it must be a string"))
    }

    /// A list of strings, if given.
    pub fn optional_strings(&self, key: &str) -> Result<Option<Vec<&'a str>>> {
        let Some(value) = self.given(key)? else { return Ok(None) };
        let list = value.as_array().and_then(|list| list.iter().map(Value::as_str).collect());
        Ok(Some(list.ok_or_else(|| self.refuse(key, "it must be a list of strings"))?))
    }

    /// A list of positive numbers that must be given.
    pub fn positives(&self, key: &str) -> Result<Vec<f64>> {
        let positive = |value: &Value| value.as_f64().filter(|x| x.is_finite() && *x > 0.0);
        let list = self.given(key)?.and_then(Value::as_array);
        let list = list.and_then(|list| list.iter().map(positive).collect());
        list.ok_or_else(|| self.refuse(key, "it must be a list of positive numbers"))
    }

    /// A nested object, if given and not empty. It has to be finished by itself.
    pub fn optional_object(&self, key: &str) -> Result<Option<Config<'a>>> {
        let Some(value) = self.given(key)? else { return Ok(None) };
        let map = value.as_object().ok_or_else(|| self.refuse(key, "it must be an object"))?;
        let prefix = format!("{}{key}.", self.prefix);
        Ok((!map.is_empty()).then(|| Config { map, prefix, aliases: &[], read: RefCell::default() }))
    }

    /// Whether two objects hold the same.
    pub fn same_as(&self, other: &Config<'_>) -> bool {
        self.map == other.map
    }

    /// Refuses `key` if it is given with a value other than `only`.
    pub fn must_be(&self, key: &str, only: impl Into<Value>, why: &str) -> Result<()> {
        let only = only.into();
        match self.given(key)? {
            Some(value) if *value != only => Err(self.refuse(key, format!("{why}, goldref reads only {only}"))),
            _ => Ok(()),
        }
    }

    /// Refuses a size that is given although the family works it out, unless it says the same.
    pub fn must_agree(&self, key: &str, derived: usize) -> Result<()> {
        match self.optional_usize(key)? {
            Some(size) if size != derived => Err(self.refuse(key, format!("this family has {derived} there"))),
            _ => Ok(()),
        }
    }

    /// Refuses what no family reads: another mask, another kind of layer, other weights than the plain ones.
    pub fn refuse_other_mathematics(&self) -> Result<()> {
        let decoder = "a decoder without cross-attention is wanted";
        self.must_be("is_encoder_decoder", false, decoder)?;
        self.must_be("add_cross_attention", false, decoder)?;
        self.must_be("use_bidirectional_attention", false, "the mask is causal")?;
        self.must_be("is_causal", true, "the mask is causal")?;
        self.must_be("pruned_heads", Value::Object(Map::new()), "all heads are there")?;
        for key in ["quantization_config", "compression_config"] {
            if self.has(key) {
                return Err(self.refuse(key, "goldref reads weights that are not quantised"));
            }
        }
        for key in ["num_local_experts", "num_experts", "n_routed_experts"] {
            if self.has(key) {
                return Err(self.refuse(key, "goldref does not read mixtures of experts"));
            }
        }
        if self.has("per_layer_config") {
            return Err(self.refuse("per_layer_config", "goldref reads layers of one size"));
        }
        Ok(())
    }

    /// Refuses the first key that was neither read, nor is in `neutral`, nor is known to change nothing in any family.
    pub fn finish(&self, neutral: &[&str]) -> Result<()> {
        let read = self.read.borrow();
        // The list of keys that any family may carry belongs to the top of the file.
        let general = if self.prefix.is_empty() { neutral::KEYS } else { &[] };
        for (key, value) in self.map {
            let known = read.contains(key) || neutral.contains(&key.as_str()) || general.contains(&key.as_str());
            if !known && !value.is_null() {
                let reason = "goldref does not know whether it changes the mathematics";
                return Err(ask(format!("unknown field \"{}{key}\"; {reason}", self.prefix)));
            }
        }
        Ok(())
    }
}

/// A refusal of the file for a reason that names its key.
pub(crate) fn ask(reason: impl std::fmt::Display) -> Error {
    Error::ask(reason)
}

/// A value as a message shows it: whole if short.
fn shorten(value: &Value) -> String {
    const MOST: usize = 60;
    let text = value.to_string();
    if text.chars().count() <= MOST {
        return text;
    }
    text.chars().take(MOST).chain("…".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[rstest::rstest]
    #[case(json!(0))]
    #[case(json!(-3))]
    #[case(json!(2.5))]
    #[case(json!(64.0))]
    #[case(json!("64"))]
    #[case(json!([64]))]
    #[case(json!(true))]
    fn a_size_that_is_no_positive_whole_number_is_refused_with_its_value(#[case] value: Value) {
        let text = value.to_string();
        let map = map(json!({ "num_attention_heads": value }));
        let message = Config::new(&map).usize("num_attention_heads").unwrap_err().to_string();
        let expected = format!("num_attention_heads is {text}; it must be a positive whole number");
        assert_eq!(message, expected);
    }

    #[test]
    fn a_size_that_would_overflow_a_product_is_refused() {
        let map = map(json!({ "hidden_size": 1_u64 << 40, "vocab_size": u64::MAX }));
        let config = Config::new(&map);
        for key in ["hidden_size", "vocab_size"] {
            let message = config.usize(key).unwrap_err().to_string();
            assert!(message.ends_with("goldref reads sizes up to 2147483648"), "{message}");
        }
    }

    #[test]
    fn a_missing_size_is_said_to_be_missing() {
        let map = Map::new();
        let message = Config::new(&map).usize("vocab_size").unwrap_err().to_string();
        assert_eq!(message, "vocab_size is missing; it must be a positive whole number");
    }

    #[test]
    fn null_is_absent_but_for_nullable_keys() {
        let map = map(json!({ "sliding_window": null, "cap": null }));
        let config = Config::new(&map);
        assert_eq!(config.usize_or("sliding_window", 4096).unwrap(), 4096);
        assert_eq!(config.nullable_usize("sliding_window", Some(4096)).unwrap(), None);
        assert_eq!(config.nullable_usize("absent", Some(4096)).unwrap(), Some(4096));
        assert_eq!(config.nullable_positive("cap", Some(50.0)).unwrap(), None);
        config.finish(&[]).unwrap();
    }

    #[test]
    fn each_type_is_checked() {
        let map = map(json!({ "a": "x", "b": 1, "c": -1.0, "d": [1, "x"], "e": 0.0 }));
        let config = Config::new(&map);
        let message = |result: Result<()>| result.unwrap_err().to_string();
        assert!(message(config.f64_or("a", 0.0).map(drop)).contains("a is \"x\"; it must be a finite number"));
        assert!(message(config.bool_or("b", true).map(drop)).contains("b is 1; it must be true or false"));
        assert!(message(config.string_or("b", "").map(drop)).contains("it must be a string"));
        assert!(message(config.positive_or("c", 1.0).map(drop)).contains("it must be a positive number"));
        assert!(message(config.positive_or("e", 1.0).map(drop)).contains("it must be a positive number"));
        assert!(message(config.norm_eps_or("c", 1.0).map(drop)).contains("it must not be negative"));
        assert!(message(config.positives("d").map(drop)).contains("a list of positive numbers"));
        assert!(message(config.optional_strings("d").map(drop)).contains("a list of strings"));
        assert!(message(config.optional_object("d").map(drop)).contains("it must be an object"));
    }

    #[test]
    fn a_key_that_nobody_read_is_refused_by_name() {
        let map = map(json!({ "hidden_size": 8, "use_cache": true, "foo": 1, "bar": null }));
        let config = Config::new(&map);
        config.usize("hidden_size").unwrap();
        let message = config.finish(&[]).unwrap_err().to_string();
        let reason = "goldref does not know whether it changes the mathematics";
        assert_eq!(message, format!("unknown field \"foo\"; {reason}"));
        config.finish(&["foo"]).unwrap();
    }

    #[test]
    fn a_nested_object_names_its_keys_and_knows_no_general_ones() {
        let map = map(json!({ "rope_parameters": { "use_cache": true, "factor": 0 }, "rope_scaling": {} }));
        let config = Config::new(&map);
        let rope = config.optional_object("rope_parameters").unwrap().unwrap();
        let message = rope.positive_or("factor", 1.0).unwrap_err().to_string();
        assert_eq!(message, "rope_parameters.factor is 0; it must be a positive number");
        let message = rope.finish(&[]).unwrap_err().to_string();
        assert!(message.starts_with("unknown field \"rope_parameters.use_cache\";"), "{message}");
        assert!(config.optional_object("rope_scaling").unwrap().is_none());
    }

    #[test]
    fn two_names_of_one_field_must_agree() {
        let aliases = [("hidden_size", "n_embd")];
        let one = map(json!({ "hidden_size": 64 }));
        assert_eq!(Config::with_aliases(&one, &aliases).usize_or("n_embd", 768).unwrap(), 64);
        let zero = map(json!({ "hidden_size": 0 }));
        let message = Config::with_aliases(&zero, &aliases).usize_or("n_embd", 768).unwrap_err().to_string();
        assert!(message.contains("hidden_size is 0;"), "{message}");
        let both = map(json!({ "hidden_size": 64, "n_embd": 32 }));
        let message = Config::with_aliases(&both, &aliases).usize_or("n_embd", 768).unwrap_err().to_string();
        assert!(message.contains("its other name n_embd says 32"), "{message}");
    }

    #[rstest::rstest]
    #[case(json!({ "add_cross_attention": true }), "add_cross_attention is true;")]
    #[case(json!({ "is_encoder_decoder": true }), "is_encoder_decoder is true;")]
    #[case(json!({ "use_bidirectional_attention": true }), "use_bidirectional_attention is true;")]
    #[case(json!({ "is_causal": false }), "is_causal is false;")]
    #[case(json!({ "pruned_heads": { "0": [1] } }), "pruned_heads is {\"0\":[1]};")]
    #[case(json!({ "quantization_config": { "bits": 4 } }), "quantization_config is {\"bits\":4};")]
    #[case(json!({ "num_local_experts": 8 }), "num_local_experts is 8;")]
    #[case(json!({ "per_layer_config": { "0": {} } }), "per_layer_config is {\"0\":{}};")]
    fn other_mathematics_is_refused_with_the_value(#[case] value: Value, #[case] start: &str) {
        let map = map(value);
        let message = Config::new(&map).refuse_other_mathematics().unwrap_err().to_string();
        assert!(message.starts_with(start), "{message}");
    }

    #[test]
    fn the_plain_values_of_those_keys_are_read() {
        let map = map(json!({
            "add_cross_attention": false, "is_encoder_decoder": false, "use_bidirectional_attention": null,
            "is_causal": true, "pruned_heads": {}, "quantization_config": null, "num_experts": null,
        }));
        let config = Config::new(&map);
        config.refuse_other_mathematics().unwrap();
        config.finish(&[]).unwrap();
    }
}
