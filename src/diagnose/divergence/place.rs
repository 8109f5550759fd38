//! Which heads, tokens and features carry an error.

use super::follow::{of_the_cache, over_keys};
use std::collections::BTreeSet;

/// Indices of each axis with an error, and the axes' lengths.
#[derive(Debug, Default)]
pub(super) struct Place {
    batch: Along,
    heads: Along,
    rows: Along,
    columns: Along,
}

/// One axis.
#[derive(Debug, Default)]
struct Along {
    there: BTreeSet<usize>,
    length: usize,
}

impl Along {
    fn at(&mut self, index: usize, wrong: bool) {
        self.length = self.length.max(index + 1);
        if wrong {
            self.there.insert(index);
        }
    }

    /// "head 2 of 4", "tokens 5 to 11, 13 of 14"; nothing where all are meant, or none.
    fn words(&self, singular: &str) -> Option<String> {
        if self.there.is_empty() || self.there.len() == self.length {
            return None;
        }
        let plural = if self.there.len() == 1 { "" } else { "s" };
        Some(format!("{singular}{plural} {} of {}", spans(&self.there), self.length))
    }
}

/// An element's place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) batch: usize,
    /// `None` where the site has no axis of heads.
    pub(super) head: Option<usize>,
    pub(super) row: usize,
}

impl Place {
    /// A row that was looked at.
    pub(super) fn row(&mut self, row: Row, wrong: bool) {
        self.batch.at(row.batch, wrong);
        if let Some(head) = row.head {
            self.heads.at(head, wrong);
        }
        self.rows.at(row.row, wrong);
    }

    /// A column of a wrong row.
    pub(super) fn column(&mut self, column: usize, wrong: bool) {
        self.columns.at(column, wrong);
    }

    /// The parts of `site` that carry it, where it is not the whole.
    pub(super) fn words(&self, site: &str) -> Vec<String> {
        let rows = if of_the_cache(site) { "key" } else { "token" };
        let columns = if over_keys(site) { "key" } else { "feature" };
        let batch = self.batch.words("request in the batch,").map(|words| words.replace("batch,s", "batch,"));
        [batch, self.heads.words("head"), self.rows.words(rows), self.columns.words(columns)]
            .into_iter()
            .flatten()
            .collect()
    }
}

/// "0, 3 to 5, 9", shortened behind six spans.
fn spans(indices: &BTreeSet<usize>) -> String {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for &index in indices {
        match spans.last_mut() {
            Some((_, last)) if *last + 1 == index => *last = index,
            _ => spans.push((index, index)),
        }
    }
    let more = if spans.len() > 6 { " …" } else { "" };
    let words = spans.iter().take(6).map(|(first, last)| match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first} to {last}"),
    });
    format!("{}{more}", words.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_told_as_spans() {
        let set = |indices: &[usize]| spans(&indices.iter().copied().collect());
        assert_eq!(set(&[0, 3, 4, 5, 9]), "0, 3 to 5, 9");
        assert_eq!(set(&[1, 2]), "1, 2");
        assert_eq!(set(&[0, 2, 4, 6, 8, 10, 12]), "0, 2, 4, 6, 8, 10 …");
    }

    #[test]
    fn an_axis_is_told_where_only_a_part_of_it_is_wrong() {
        let mut place = Place::default();
        for (head, row) in (0..4).flat_map(|head| (0..9).map(move |row| (head, row))) {
            place.row(Row { batch: 0, head: Some(head), row }, head == 2 && row > 4);
        }
        (0..8).for_each(|column| place.column(column, column < 4));
        assert_eq!(place.words("attn.q"), ["head 2 of 4", "tokens 5 to 8 of 9", "features 0 to 3 of 8"]);
        assert_eq!(place.words("attn.keys")[1], "keys 5 to 8 of 9");
        assert_eq!(place.words("attn.scores")[2], "keys 0 to 3 of 8");
    }
}
