//! The report for people: the answer first, then the tables, then what was assumed.

use crate::cost::{
    AttentionKind, AttentionSteps, Bound, Capacity, CostReport, PartCost, PhaseCost, Roofline, StepCost,
};
use crate::report::units::{binary, both, grouped, plain_table, scaled, seconds, shown, significant};
use crate::report::words::name;
use std::fmt::Write;

/// Plain text, no colour. `context` and `batch` are those of the question.
pub fn cost_text(report: &CostReport, context: usize, batch: usize) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{}\n", about(report));
    for (what, value) in facts(report, context, batch) {
        let _ = writeln!(out, " {what:<20} {value}");
    }
    let _ = writeln!(out, "\n One head of {}, {context} keys, as courses count:\n", report.model.head_dim);
    let _ = writeln!(out, "{}\n", steps(&report.attention_prefill, &report.attention_decode));
    let limits = &report.limits;
    let _ = writeln!(
        out,
        " as N grows: prefill (4d + 3)/4b = {:.1}, decode (4d + 3)/((2d + 4)b) = {:.2}, fused decode (4d + 3)/2db = {:.2} FLOPs a byte\n",
        limits.prefill, limits.decode, limits.fused_decode
    );
    let roofline = report.capacity.as_ref().and_then(|capacity| capacity.machine.roofline);
    for (phase, tokens) in [(&report.prefill, context), (&report.decode, 1)] {
        let what = if tokens == 1 {
            format!("Decode of one token behind {}", context - 1)
        } else {
            format!("Prefill of {tokens}")
        };
        let _ = writeln!(out, " {what}, {batch} × the whole model:\n\n{}\n", phase_table(phase));
        let _ = writeln!(out, " {}\n", phase_words(phase, roofline.as_ref()));
    }
    let _ = writeln!(out, " assumed:");
    for assumption in &report.assumptions {
        let _ = writeln!(out, "  · {}", name(assumption));
    }
    out
}

fn about(report: &CostReport) -> String {
    let model = &report.model;
    let kind = match model.attention {
        AttentionKind::MultiHead => "multi-head",
        AttentionKind::GroupedQuery => "grouped-query",
        AttentionKind::MultiQuery => "multi-query",
    };
    let windows = match model.windowed_layers {
        0 => String::new(),
        some => format!(", a window in {some}"),
    };
    format!(
        "{} · {}, {} layers{windows}, hidden size {}, {} heads of {} over {} key heads ({kind}), vocabulary {}",
        name(&model.name),
        name(&model.model_type),
        model.num_hidden_layers,
        model.hidden_size,
        model.num_attention_heads,
        model.head_dim,
        model.num_key_value_heads,
        model.vocab_size
    )
}

fn facts(report: &CostReport, context: usize, batch: usize) -> Vec<(String, String)> {
    let kv = &report.kv_cache;
    let mut facts = vec![
        ("parameters".to_string(), format!("{} = {}", grouped(report.parameter_count), both(report.weights_bytes))),
        (
            "KV cache, a token".to_string(),
            format!("{} bytes = {}", grouped(kv.bytes_a_token), binary(kv.bytes_a_token)),
        ),
        (format!("a request of {context}"), request(report)),
    ];
    if batch > 1 {
        facts.push((format!("{batch} requests"), both(kv.bytes_a_batch)));
    }
    if kv.waste > 0 {
        facts.push(("of it unused".to_string(), format!("{} bytes in the last page", grouped(kv.waste))));
    }
    if let Some(capacity) = &report.capacity {
        facts.extend(capacity_facts(capacity, report, context, batch));
    }
    facts
}

fn request(report: &CostReport) -> String {
    let kv = &report.kv_cache;
    let own = format!("{} bytes = {}", grouped(kv.bytes_a_request), binary(kv.bytes_a_request));
    if kv.bytes_a_request == kv.bytes_a_request_if_hidden {
        return own;
    }
    format!("{own} ({} if keys and values were as wide as the hidden size)", binary(kv.bytes_a_request_if_hidden))
}

fn capacity_facts(capacity: &Capacity, report: &CostReport, context: usize, batch: usize) -> Vec<(String, String)> {
    let devices = capacity.devices;
    let (memory, weights, request) = (
        capacity.machine.memory - capacity.reserve.min(capacity.machine.memory),
        report.weights_bytes,
        report.kv_cache.bytes_a_request,
    );
    let short = |bytes: u128| format!("{:.2}", bytes as f64 / 1e9);
    let formula = match devices {
        1 => format!("⌊({} - {}) / {}⌋ GB", short(memory), short(weights), short(request)),
        _ => format!("⌊({devices} · {} - {}) / {}⌋ GB", short(memory), short(weights), short(request)),
    };
    let on = match devices {
        1 => name(&capacity.machine.name),
        _ => format!("{devices} × {}", name(&capacity.machine.name)),
    };
    let mut facts = vec![("largest batch".to_string(), format!("{} on {on} = {formula}", capacity.largest_batch))];
    if let Some(whole) = &capacity.whole_heads {
        let copies = match whole.memory.copies {
            1 => String::new(),
            copies => format!(", each on {copies} devices"),
        };
        facts.push((
            "with whole heads".to_string(),
            format!(
                "{}: {} key heads a device{copies}, {} parameters and {} a request on each",
                whole.largest_batch,
                whole.memory.kv_heads,
                grouped(whole.memory.parameters),
                binary(whole.bytes_a_request)
            ),
        ));
    }
    let longest =
        capacity.longest_context.map_or_else(|| "any length".to_string(), |n| format!("{} tokens", grouped(n)));
    let of = if batch == 1 { "of one request".to_string() } else { format!("of each of {batch} requests") };
    facts.push(("longest context".to_string(), format!("{longest} {of}")));
    if capacity.largest_batch == 0 {
        facts.push((String::new(), format!("no request of {context} fits beside the weights")));
    }
    facts
}

fn steps(prefill: &AttentionSteps, decode: &AttentionSteps) -> String {
    let mut table =
        plain_table(&["step", "FLOPs, prefill", "bytes", "FLOPs/byte", "FLOPs, decode", "bytes", "FLOPs/byte"]);
    let rows = |of: &AttentionSteps| [of.scores, of.softmax, of.context, of.total(), of.fused()];
    let names = ["q kᵀ", "softmax", "probs v", "together", "fused"];
    for ((what, prefill), decode) in names.into_iter().zip(rows(prefill)).zip(rows(decode)) {
        let cells = |step: StepCost| [grouped(step.flops), grouped(step.bytes), significant(step.intensity())];
        table.add_row([vec![what.to_string()], cells(prefill).to_vec(), cells(decode).to_vec()].concat());
    }
    shown(table, 1)
}

fn phase_table(phase: &PhaseCost) -> String {
    let timed = phase.total.seconds.is_some();
    let mut header = vec!["part", "FLOPs", "bytes", "FLOPs/byte"];
    if timed {
        header.extend(["at least", "bound"]);
    }
    let mut table = plain_table(&header);
    for part in phase.parts.iter().chain([&phase.total]) {
        table.add_row(part_row(part));
    }
    shown(table, 1)
}

fn part_row(part: &PartCost) -> Vec<String> {
    let mut cells = vec![
        part.part.to_string(),
        scaled(part.flops as f64, ""),
        scaled(part.bytes as f64, "B"),
        part.intensity.map_or_else(|| "–".to_string(), significant),
    ];
    if let (Some(time), Some(bound)) = (part.seconds, part.bound) {
        cells.push(seconds(time));
        cells.push(if bound == Bound::Memory { "memory" } else { "compute" }.to_string());
    }
    cells
}

fn phase_words(phase: &PhaseCost, roofline: Option<&Roofline>) -> String {
    let mut words = format!("{:.1} % of the query-key pairs are visible", 100.0 * phase.visible_pairs);
    if let (Some(rate), Some(roofline)) = (phase.tokens_a_second, roofline) {
        let _ = write!(
            words,
            "; at most {} tokens a second; the ridge point is {:.0} FLOPs a byte",
            significant(rate),
            roofline.ridge()
        );
    }
    words
}
