//! Foreign names of sites.

use crate::error::{Error, Result};
use crate::io::{disk, limits};
use std::collections::BTreeMap;
use std::path::Path;

/// What the arrays of another program are called here: `model.layers.*.self_attn.q_proj` is `layers.*.attn.q`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SiteMap(Vec<(String, String)>);

impl SiteMap {
    /// Reads a file of [`Self::parse`]'s form.
    ///
    /// # Errors
    /// A file that cannot be read; what [`Self::parse`] refuses.
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&disk::read_whole(path, limits::JSON_BYTES)?).map_err(|e| e.at(path))
    }

    /// A JSON object of foreign names and ours; each `*` stands for any run of characters, which ours takes over in the same order.
    ///
    /// # Errors
    /// No JSON object of strings; more `*` in ours than in the foreign name.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let rows: BTreeMap<String, String> = serde_json::from_slice(json)
            .map_err(|e| Error::ask(format!("a map is a JSON object of foreign names and ours: {e}")))?;
        let stars = |name: &str| name.matches('*').count();
        if let Some((foreign, own)) = rows.iter().find(|(foreign, own)| stars(own) > stars(foreign)) {
            return Err(Error::ask(format!("\"{own}\" has more * than \"{foreign}\", which it stands for")));
        }
        Ok(Self(rows.into_iter().collect()))
    }

    /// Our name; the name itself where no row fits it.
    pub fn own_name(&self, name: &str) -> String {
        self.0
            .iter()
            .find_map(|(foreign, own)| {
                let taken = captured(foreign, name)?;
                let mut pieces = own.split('*');
                let mut out = pieces.next().unwrap_or_default().to_string();
                for (piece, text) in pieces.zip(taken) {
                    out.push_str(text);
                    out.push_str(piece);
                }
                Some(out)
            })
            .unwrap_or_else(|| name.to_string())
    }
}

/// What the `*` of a pattern stand for, each as short as can be.
fn captured<'n>(pattern: &str, name: &'n str) -> Option<Vec<&'n str>> {
    let Some((head, rest)) = pattern.split_once('*') else { return (pattern == name).then(Vec::new) };
    let tail = name.strip_prefix(head)?;
    (0..=tail.len()).filter(|&end| tail.is_char_boundary(end)).find_map(|end| {
        let mut all = captured(rest, &tail[end..])?;
        all.insert(0, &tail[..end]);
        Some(all)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_names_become_ours() {
        let map =
            SiteMap::parse(br#"{"model.layers.*.self_attn.q_proj": "layers.*.attn.q", "lm_head": "logits"}"#).unwrap();
        assert_eq!(map.own_name("model.layers.12.self_attn.q_proj"), "layers.12.attn.q");
        assert_eq!(map.own_name("lm_head"), "logits");
        assert_eq!(map.own_name("layers.0.output"), "layers.0.output");
        assert_eq!(SiteMap::parse(br#"{"h.*.x*": "layers.*.out*"}"#).unwrap().own_name("h.3.x.1"), "layers.3.out.1");
    }

    #[test]
    fn what_is_no_map_is_refused() {
        for text in ["[]", "{\"a\": 1}", "{\"a\": \"layers.*.q\"}", "{"] {
            assert!(SiteMap::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
