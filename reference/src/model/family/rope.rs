//! Reading the rotary embedding of a `config.json`, in the old spelling and in the new one.
//!
//! Old: `rope_theta`, `rope_scaling` and `partial_rotary_factor` beside the sizes. New: all of it in
//! `rope_parameters`. What stands in the object wins over what stands beside it, as in Hugging Face.

use crate::error::Result;
use crate::model::config::{Config, ask};
use crate::num::core_math;
use crate::ops::rope::{RopeLayout, RopeScaling, RopeSpec};

/// What a family fixes about its rotary embedding.
#[derive(Clone, Copy)]
pub(super) struct RopeRules {
    /// Which components form a pair.
    pub(super) layout: RopeLayout,
    /// `rope_theta` where the file gives none.
    pub(super) rope_theta: f64,
    /// `partial_rotary_factor` where the file gives none; `None`: this family always rotates whole heads.
    pub(super) partial_rotary_factor: Option<f64>,
    /// Head width that the frequencies belong to.
    pub(super) head_dim: usize,
    /// Whether `longrope` is the only way to stretch, also under its old names "su" and "yarn" (Phi-3).
    pub(super) only_longrope: bool,
    /// `max_position_embeddings`.
    pub(super) max_position_embeddings: usize,
    /// `original_max_position_embeddings` beside the sizes, where the file or the family (Phi-3) has it.
    pub(super) original_max_position_embeddings: Option<usize>,
}

/// The rotary embedding of a family that has one for all layers.
pub(super) fn read(config: &Config<'_>, rules: RopeRules) -> Result<RopeSpec> {
    let rope_theta = config.positive_or("rope_theta", rules.rope_theta)?;
    let partial_rotary_factor = match config.optional_f64("partial_rotary_factor")? {
        Some(factor) if rules.partial_rotary_factor.is_none() && factor != 1.0 => {
            return Err(config.refuse("partial_rotary_factor", "this family rotates whole heads"));
        }
        Some(factor) if !(factor > 0.0 && factor <= 1.0) => {
            return Err(config.refuse("partial_rotary_factor", "it must be above 0 and at most 1"));
        }
        given => given.or(rules.partial_rotary_factor),
    };
    let object = object(config)?;
    parameters(object.as_ref(), RopeRules { rope_theta, partial_rotary_factor, ..rules })
}

/// As [`read`], by GPT-NeoX's own names: `rotary_emb_base`, and `rotary_pct`, which is 1/4 by default.
///
/// Hugging Face looks at these two and not at the general names beside the sizes; some files have both.
pub(super) fn read_gpt_neox(config: &Config<'_>, rules: RopeRules) -> Result<RopeSpec> {
    let rope_theta = config.positive_or("rotary_emb_base", rules.rope_theta)?;
    let rotary_pct = config.positive_or("rotary_pct", 0.25)?;
    if rotary_pct > 1.0 {
        return Err(config.refuse("rotary_pct", "it must be above 0 and at most 1"));
    }
    for (key, own_name, value) in
        [("rope_theta", "rotary_emb_base", rope_theta), ("partial_rotary_factor", "rotary_pct", rotary_pct)]
    {
        if config.optional_f64(key)?.is_some_and(|other| other != value) {
            return Err(config.refuse(key, format!("{own_name}, which GPT-NeoX goes by, is {value}")));
        }
    }
    let object = object(config)?;
    parameters(object.as_ref(), RopeRules { rope_theta, partial_rotary_factor: Some(rotary_pct), ..rules })
}

/// `rope_parameters` or, by its old name, `rope_scaling`.
fn object<'a>(config: &Config<'a>) -> Result<Option<Config<'a>>> {
    let new = config.optional_object("rope_parameters")?;
    let old = config.optional_object("rope_scaling")?;
    match (new, old) {
        (Some(new), Some(old)) if !new.same_as(&old) => {
            Err(config.refuse("rope_scaling", "rope_parameters says something else"))
        }
        (new, old) => Ok(old.or(new)),
    }
}

/// One rotary embedding from its object; without one it is as trained.
pub(super) fn parameters(object: Option<&Config<'_>>, rules: RopeRules) -> Result<RopeSpec> {
    let whole = rules.partial_rotary_factor.is_none();
    let mut rope_theta = rules.rope_theta;
    let mut partial_rotary_factor = rules.partial_rotary_factor.unwrap_or(1.0);
    if let Some(object) = object {
        rope_theta = object.positive_or("rope_theta", rope_theta)?;
        partial_rotary_factor = object.f64_or("partial_rotary_factor", partial_rotary_factor)?;
        if whole && partial_rotary_factor != 1.0 {
            return Err(object.refuse("partial_rotary_factor", "this family rotates whole heads"));
        }
        if !(partial_rotary_factor > 0.0 && partial_rotary_factor <= 1.0) {
            return Err(object.refuse("partial_rotary_factor", "it must be above 0 and at most 1"));
        }
    }
    // Rounded towards zero, as Hugging Face does.
    let rotary_dim = (rules.head_dim as f64 * partial_rotary_factor) as usize;
    check_rotary_dim(rotary_dim, rules.head_dim)?;
    let scaling = match object {
        Some(object) => scaling(object, rotary_dim, &rules)?,
        None => RopeScaling::None,
    };
    Ok(RopeSpec { layout: rules.layout, rotary_dim, rope_theta, scaling })
}

/// Whole pairs are rotated (transformers rounds an odd width up), and they stand in one head.
pub(super) fn check_rotary_dim(rotary_dim: usize, head_dim: usize) -> Result<()> {
    // The first comparison keeps the next whole pair from being beyond all numbers.
    if rotary_dim < 2 || rotary_dim > head_dim || rotary_dim.next_multiple_of(2) > head_dim {
        return Err(ask(format!(
            "{rotary_dim} components of a head of {head_dim} would be rotated; \
             it must be at least 2 and, in whole pairs, at most the head's width"
        )));
    }
    Ok(())
}

/// The kind of stretching: `rope_type` or, by its old name, `type`.
fn kind<'a>(object: &Config<'a>, rules: &RopeRules) -> Result<&'a str> {
    let known: &[&str] = match rules.only_longrope {
        true => &["default", "longrope"],
        false => &["default", "linear", "dynamic", "llama3", "yarn", "longrope"],
    };
    let modern = |name| match name {
        "su" | "yarn" if rules.only_longrope => "longrope",
        name => name,
    };
    let mut kind = None;
    for key in ["rope_type", "type"] {
        let Some(name) = object.optional_string(key)?.map(modern) else { continue };
        if !known.contains(&name) {
            return Err(object.refuse(key, format!("this family has {}", known.join(", "))));
        }
        if let Some(first) = kind.filter(|first| *first != name) {
            return Err(object.refuse(key, format!("rope_type says \"{first}\"")));
        }
        kind = Some(name);
    }
    Ok(kind.unwrap_or("default"))
}

/// How the frequencies are stretched; refuses each key of `object` that its `rope_type` does not use.
fn scaling(object: &Config<'_>, rotary_dim: usize, rules: &RopeRules) -> Result<RopeScaling> {
    let max_position_embeddings = rules.max_position_embeddings as f64;
    let kind = kind(object, rules)?;
    // The trained length: beside the sizes if it stands there, else in the object.
    let original = |object: &Config<'_>| -> Result<f64> {
        let inside = object.optional_positive("original_max_position_embeddings")?;
        let beside = rules.original_max_position_embeddings.map(|length| length as f64);
        Ok(beside.or(inside).unwrap_or(max_position_embeddings))
    };
    let given = |key: &str| -> Result<f64> {
        let number = object.optional_positive(key)?;
        number.ok_or_else(|| object.refuse(key, format!("rope type \"{kind}\" needs a positive number there")))
    };
    // These three do not look at the trained length; some files give it all the same.
    let mut neutral: &[&str] = &["original_max_position_embeddings"];
    let scaling = match kind {
        "default" => RopeScaling::None,
        "linear" => RopeScaling::Linear { factor: given("factor")? },
        "dynamic" => {
            if rotary_dim == 2 {
                return Err(
                    object.refuse("rope_type", "its exponent dim/(dim - 2) has no value for 2 rotated components")
                );
            }
            RopeScaling::Dynamic { factor: given("factor")?, max_position_embeddings }
        }
        "llama3" => {
            neutral = &[];
            let low_freq_factor = given("low_freq_factor")?;
            let high_freq_factor = given("high_freq_factor")?;
            if low_freq_factor == high_freq_factor {
                return Err(object.refuse("high_freq_factor", "it must differ from low_freq_factor"));
            }
            RopeScaling::Llama3 {
                factor: given("factor")?,
                low_freq_factor,
                high_freq_factor,
                original_max_position_embeddings: original(object)?,
            }
        }
        "yarn" => {
            neutral = &[];
            let original_max_position_embeddings = original(object)?;
            let stretched = max_position_embeddings / original_max_position_embeddings;
            let factor = object.positive_or("factor", stretched)?;
            RopeScaling::Yarn {
                factor,
                attention_factor: yarn_attention_factor(object, factor)?,
                beta_fast: object.positive_or("beta_fast", 32.0)?,
                beta_slow: object.positive_or("beta_slow", 1.0)?,
                original_max_position_embeddings,
                truncate: object.bool_or("truncate", true)?,
            }
        }
        "longrope" => {
            neutral = &[];
            longrope(object, rotary_dim, max_position_embeddings, original(object)?)?
        }
        other => return Err(object.refuse("rope_type", format!("goldref does not know \"{other}\""))),
    };
    object.finish(neutral)?;
    Ok(scaling)
}

/// Factor on cos and sin: as given, or worked out as YaRN does.
fn yarn_attention_factor(object: &Config<'_>, factor: f64) -> Result<f64> {
    let attention_factor = object.optional_positive("attention_factor")?;
    let (mscale, mscale_all_dim) = (object.optional_f64("mscale")?, object.optional_f64("mscale_all_dim")?);
    Ok(attention_factor.unwrap_or_else(|| crate::ops::rope::yarn_attention_factor(factor, mscale, mscale_all_dim)))
}

/// Factor on cos and sin: as given, or `√(1 + ln factor / ln original)` for `factor > 1` and else 1.
fn longrope(object: &Config<'_>, rotary_dim: usize, max: f64, original: f64) -> Result<RopeScaling> {
    let mut lists = [Vec::new(), Vec::new()];
    for (list, key) in lists.iter_mut().zip(["short_factor", "long_factor"]) {
        *list = object.positives(key)?;
        if list.len() != rotary_dim.div_ceil(2) {
            let why =
                format!("it has {} numbers and must have {}, one for each pair", list.len(), rotary_dim.div_ceil(2));
            return Err(object.refuse(key, why));
        }
    }
    let [short_factor, long_factor] = lists;
    let factor = object.positive_or("factor", max / original)?;
    let attention_factor = match object.optional_positive("attention_factor")? {
        Some(attention_factor) => attention_factor,
        None if factor <= 1.0 => 1.0,
        None if original <= 1.0 => {
            return Err(object.refuse("original_max_position_embeddings", "it must be above 1"));
        }
        None => (1.0 + core_math::log(factor) / core_math::log(original)).sqrt(),
    };
    Ok(RopeScaling::LongRope {
        short_factor,
        long_factor,
        attention_factor,
        original_max_position_embeddings: original,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn rules() -> RopeRules {
        RopeRules {
            layout: RopeLayout::HalfSplit,
            rope_theta: 10_000.0,
            partial_rotary_factor: None,
            head_dim: 16,
            only_longrope: false,
            max_position_embeddings: 128,
            original_max_position_embeddings: None,
        }
    }

    fn read_with(config: Value, rules: RopeRules) -> Result<RopeSpec> {
        let map = config.as_object().unwrap().clone();
        let config = Config::new(&map);
        let spec = read(&config, rules)?;
        config.finish(&[])?;
        Ok(spec)
    }

    fn spec_of(config: Value) -> RopeSpec {
        read_with(config, rules()).unwrap()
    }

    fn message_of(config: Value) -> String {
        read_with(config, rules()).unwrap_err().to_string()
    }

    #[test]
    fn old_and_new_spelling_say_the_same() {
        let plain = spec_of(json!({ "rope_theta": 500.0, "rope_scaling": null }));
        assert_eq!(plain, spec_of(json!({ "rope_parameters": { "rope_theta": 500.0, "rope_type": "default" } })));
        assert_eq!(plain.rope_theta, 500.0);
        assert_eq!(plain.rotary_dim, 16);
        assert_eq!(plain.scaling, RopeScaling::None);
        let old = spec_of(json!({ "rope_theta": 500.0, "rope_scaling": { "type": "linear", "factor": 4.0 } }));
        let new = json!({ "rope_parameters": { "rope_theta": 500.0, "rope_type": "linear", "factor": 4.0 } });
        assert_eq!(old, spec_of(new));
        assert_eq!(old.scaling, RopeScaling::Linear { factor: 4.0 });
    }

    #[test]
    fn the_object_wins_over_what_stands_beside_it() {
        let spec = spec_of(json!({ "rope_theta": 1.5, "rope_parameters": { "rope_theta": 7.0 } }));
        assert_eq!(spec.rope_theta, 7.0);
        let spec = spec_of(json!({}));
        assert_eq!(spec.rope_theta, 10_000.0);
    }

    #[test]
    fn two_objects_that_differ_are_refused() {
        let message = message_of(json!({
            "rope_parameters": { "rope_type": "default" }, "rope_scaling": { "type": "linear", "factor": 2.0 },
        }));
        assert!(message.contains("rope_parameters says something else"), "{message}");
    }

    #[test]
    fn llama3_takes_the_trained_length_from_the_object() {
        let spec = spec_of(json!({ "rope_scaling": {
            "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        } }));
        let expected = RopeScaling::Llama3 {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 64.0,
        };
        assert_eq!(spec.scaling, expected);
    }

    #[rstest::rstest]
    // 0.1 ln 4 + 1
    #[case(json!({}), 1.138_629_436_111_989)]
    #[case(json!({ "attention_factor": 1.25 }), 1.25)]
    // (0.1 · 0.5 · ln 4 + 1) / (0.1 · 2 · ln 4 + 1) = 1.0693147180559945 / 1.2772588722239782
    #[case(json!({ "mscale": 0.5, "mscale_all_dim": 2.0 }), 1.069_314_718_055_994_5 / 1.277_258_872_223_978_2)]
    // One of the two alone counts for nothing.
    #[case(json!({ "mscale": 0.5 }), 1.138_629_436_111_989)]
    #[case(json!({ "mscale": 0.5, "mscale_all_dim": 0 }), 1.138_629_436_111_989)]
    fn yarn_works_out_its_attention_factor(#[case] more: Value, #[case] expected: f64) {
        let mut yarn = json!({ "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32 });
        yarn.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        match spec_of(json!({ "rope_parameters": yarn })).scaling {
            RopeScaling::Yarn { attention_factor, factor, beta_fast, beta_slow, truncate, .. } => {
                assert!((attention_factor - expected).abs() < 1e-15, "{attention_factor} {expected}");
                assert_eq!((factor, beta_fast, beta_slow, truncate), (4.0, 32.0, 1.0, true));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn yarn_without_a_factor_takes_the_ratio_of_the_lengths() {
        let yarn =
            json!({ "rope_type": "yarn", "factor": null, "original_max_position_embeddings": 32, "truncate": false });
        match spec_of(json!({ "rope_parameters": yarn })).scaling {
            RopeScaling::Yarn { factor, truncate, original_max_position_embeddings, .. } => {
                assert_eq!((factor, truncate, original_max_position_embeddings), (4.0, false, 32.0));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn dynamic_counts_from_max_position_embeddings() {
        let spec = spec_of(json!({ "rope_scaling": { "type": "dynamic", "factor": 2.0 } }));
        assert_eq!(spec.scaling, RopeScaling::Dynamic { factor: 2.0, max_position_embeddings: 128.0 });
    }

    #[test]
    fn longrope_reads_its_lists_and_works_out_its_attention_factor() {
        let short: Vec<f64> = (0..8).map(|i| 1.0 + f64::from(i)).collect();
        let long: Vec<f64> = (0..8).map(|i| 4.0 + f64::from(i)).collect();
        let config = json!({ "rope_scaling": { "type": "longrope", "short_factor": short, "long_factor": long } });
        let rules = RopeRules { original_max_position_embeddings: Some(64), ..rules() };
        match read_with(config, rules).unwrap().scaling {
            RopeScaling::LongRope { short_factor, long_factor, attention_factor, original_max_position_embeddings } => {
                assert_eq!((short_factor, long_factor), (short, long));
                // √(1 + ln 2 / ln 64) = √(7/6)
                assert!((attention_factor - (7.0_f64 / 6.0).sqrt()).abs() < 1e-15);
                assert_eq!(original_max_position_embeddings, 64.0);
            }
            other => panic!("{other:?}"),
        }
    }

    #[rstest::rstest]
    #[case(json!({ "rope_type": "proportional" }), "rope_parameters.rope_type is \"proportional\"; this family has default,")]
    #[case(json!({ "type": "mrope", "mrope_section": [1] }), "rope_parameters.type is \"mrope\"; this family has default,")]
    #[case(json!({ "type": "yarn", "rope_type": "linear" }), "rope_parameters.type is \"yarn\"; rope_type says \"linear\"")]
    #[case(json!({ "rope_type": "linear" }), "rope_parameters.factor is missing; rope type \"linear\" needs")]
    #[case(json!({ "rope_type": "linear", "factor": 0 }), "rope_parameters.factor is 0; it must be a positive number")]
    #[case(json!({ "rope_type": "default", "factor": 2.0 }), "unknown field \"rope_parameters.factor\";")]
    #[case(json!({ "rope_type": "linear", "factor": 2.0, "beta_fast": 1 }), "unknown field \"rope_parameters.beta_fast\";")]
    #[case(json!({ "full_attention": { "rope_theta": 1.0 } }), "unknown field \"rope_parameters.full_attention\";")]
    #[case(json!({ "rope_theta": -1.0 }), "rope_parameters.rope_theta is -1.0; it must be a positive number")]
    #[case(json!({ "partial_rotary_factor": 0.5 }), "rope_parameters.partial_rotary_factor is 0.5; this family rotates")]
    #[case(json!({ "rope_type": "longrope", "short_factor": [1.0], "long_factor": [1.0] }), "it has 1 numbers and must have 8")]
    #[case(
        json!({ "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 2.0, "high_freq_factor": 2.0 }),
        "rope_parameters.high_freq_factor is 2.0; it must differ from low_freq_factor"
    )]
    fn what_cannot_be_read_is_refused(#[case] parameters: Value, #[case] part: &str) {
        let message = message_of(json!({ "rope_parameters": parameters }));
        assert!(message.contains(part), "{message}");
    }

    #[test]
    fn a_part_of_a_head_is_rotated_where_the_family_allows_it() {
        let partial = RopeRules { partial_rotary_factor: Some(0.5), ..rules() };
        let dim = |config: Value| read_with(config, partial).map(|spec| spec.rotary_dim);
        assert_eq!(dim(json!({})).unwrap(), 8);
        assert_eq!(dim(json!({ "partial_rotary_factor": 0.25 })).unwrap(), 4);
        let both = json!({ "partial_rotary_factor": 0.25, "rope_parameters": { "partial_rotary_factor": 1.0 } });
        assert_eq!(dim(both).unwrap(), 16);
        // Two whole pairs, frequencies over 3.
        assert_eq!(dim(json!({ "partial_rotary_factor": 0.2 })).unwrap(), 3);
        let one = dim(json!({ "partial_rotary_factor": 0.1 })).unwrap_err().to_string();
        assert!(one.contains("1 components of a head of 16 would be rotated"), "{one}");
        let none = dim(json!({ "partial_rotary_factor": 0.0 })).unwrap_err().to_string();
        assert!(none.contains("it must be above 0 and at most 1"), "{none}");
    }
}
