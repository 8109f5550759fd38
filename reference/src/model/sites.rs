//! The names of the sites, in the order in which the forward pass comes by them.

/// Before the layers, in them (behind `layers.N.`), and behind them. A model has those that its family needs.
const SITES: [&[&str]; 3] = [
    &["embed_tokens", "embed_sum", "embed"],
    &[
        "input_norm",
        "attn.q",
        "attn.k",
        "attn.v",
        "attn.q_norm",
        "attn.k_norm",
        "rope.cos",
        "rope.sin",
        "attn.q_rope",
        "attn.k_rope",
        "attn.keys",
        "attn.values",
        "attn.scores",
        "attn.softcapped_scores",
        "attn.masked_scores",
        "attn.probs",
        "attn.context",
        "attn.out",
        "attn.post_norm",
        "attn_residual",
        "mlp_norm",
        "mlp.up",
        "mlp.gate",
        "mlp.activated",
        "mlp.gated",
        "mlp.down",
        "mlp.post_norm",
        "output",
    ],
    &["final_norm", "logits"],
];

/// Sorts sites as the forward pass comes by them, layer after layer; what is no site stands last. A suffix `.0`, `.1` of a request counts before all.
pub fn order_of(name: &str) -> (usize, usize, usize, usize) {
    let (site, request) = match name.rsplit_once('.') {
        Some((site, number)) if !site.starts_with("layers") || site.matches('.').count() > 1 => {
            number.parse().map_or((name, 0), |number: usize| (site, number))
        }
        _ => (name, 0),
    };
    let in_layer = site.strip_prefix("layers.").and_then(|rest| {
        let (layer, site) = rest.split_once('.')?;
        Some((layer.parse::<usize>().ok()?, SITES[1].iter().position(|known| *known == site)?))
    });
    let outside = |part: usize| SITES[part].iter().position(|known| *known == site);
    match (outside(0), in_layer, outside(2)) {
        (Some(at), _, _) => (request, 0, 0, at),
        (_, Some((layer, at)), _) => (request, 1, layer, at),
        (_, _, Some(at)) => (request, 2, 0, at),
        _ => (request, 3, 0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_sort_as_the_forward_pass_comes_by_them() {
        let order = [
            "embed",
            "layers.0.attn.q",
            "layers.0.attn.probs",
            "layers.2.output",
            "layers.10.input_norm",
            "final_norm",
            "logits",
            "else",
            "embed.1",
            "layers.0.attn.q.1",
        ];
        let mut sorted = order;
        sorted.reverse();
        sorted.sort_by_key(|name| order_of(name));
        assert_eq!(sorted, order);
    }
}
