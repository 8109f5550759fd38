//! The example course: a right submission earns all, a wrong one loses what its README predicts.

use super::{goldref, python_can};
use goldref::grade::Points;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// The assignment without its measured part: tests assert no times.
fn assignment(folder: &TempDir) -> std::path::PathBuf {
    let course = crate::root().join("examples/course");
    let text = fs::read_to_string(course.join("assignment.toml")).unwrap();
    let end = text.find("[[part]]\nid = \"d\"").unwrap();
    let root = crate::root().display().to_string();
    let text = text[..end].replace("{assignment}/../..", &root).replace("\"../../", &format!("\"{root}/"));
    let path = folder.path().join("assignment.toml");
    fs::write(&path, text).unwrap();
    path
}

/// The right submission with an error in the MLP of its second layer, which answers with the residual stream behind each layer too.
fn gives_sites(class: &Path) {
    let folder = class.join("gives_sites");
    fs::create_dir(&folder).unwrap();
    let mut text = fs::read_to_string(class.join("right/candidate.py")).unwrap();
    for (old, new) in [
        (
            "            x = x + self.mlp(h, layer)\n",
            "            x = x + self.mlp(h, layer) * F32(1 + 0.5 * (layer == 1))\n            self.sites[f\"layers.{layer}.output\"] = x\n",
        ),
        ("        self.layers = config", "        self.sites = {}\n        self.layers = config"),
        (
            "            logits[\"logits\" + request] = llama.forward(ids, None, positions, real)\n",
            "            logits[\"logits\" + request] = llama.forward(ids, None, positions, real)\n            logits.update(llama.sites)\n",
        ),
    ] {
        assert_eq!(text.matches(old).count(), 1, "{old}");
        text = text.replace(old, new);
    }
    fs::write(folder.join("candidate.py"), text).unwrap();
    fs::copy(class.join("right/answers.toml"), folder.join("answers.toml")).unwrap();
}

#[test]
fn every_sample_earns_what_its_readme_predicts() {
    if !python_can("import numpy, tomllib") {
        return;
    }
    let folder = TempDir::new().unwrap();
    let (class, results) = (folder.path().join("class"), folder.path().join("results"));
    let made = std::process::Command::new("python3")
        .arg(crate::root().join("tools/wrong_submissions.py"))
        .arg(&class)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    gives_sites(&class);
    let graded = goldref()
        .arg("grade")
        .arg(assignment(&folder))
        .arg("--submissions")
        .arg(&class)
        .arg("--output")
        .arg(&results)
        .args(["--jobs", "2"])
        .output()
        .unwrap();
    assert!(graded.status.success(), "{}", String::from_utf8_lossy(&graded.stderr));
    let readme = fs::read_to_string(crate::root().join("examples/course/submissions/README.md")).unwrap();
    let mut wrong = Vec::new();
    let mut rows = 0;
    for line in readme.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let name = cells[1].trim_matches('`');
        let report: serde_json::Value =
            serde_json::from_slice(&fs::read(results.join(format!("{name}.json"))).unwrap()).unwrap();
        let earned: BTreeMap<&str, &str> = report["parts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|part| (part["id"].as_str().unwrap(), part["points"].as_str().unwrap()))
            .collect();
        // The last six columns: paper, a, b, c, d, total; d is measured and not asked here.
        let numbers = &cells[cells.len() - 7..cells.len() - 1];
        for (part, predicted) in ["paper", "a", "b", "c"].iter().zip(numbers) {
            if Points::parse(earned[part]).unwrap() != Points::parse(predicted).unwrap() {
                wrong.push(format!("{name}: {} points in {part}, {predicted} predicted", earned[part]));
            }
        }
        rows += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(rows + 1, fs::read_dir(&class).unwrap().count(), "each sample has a row");

    // The reasons name the bugs.
    let page = |name: &str| fs::read_to_string(results.join(format!("{name}.md"))).unwrap();
    for (name, said) in [
        ("mask_top_left", "mask-top-left"),
        ("gqa_interleaved_heads", "gqa-tile-vs-repeat"),
        ("rope_restarts", "positions-restart-at-0-in-decode"),
        ("forgets_the_scale", "scale-missing"),
        ("transposed_out", "right once axes 1 and 2 are swapped"),
        ("cache_stale", "all cases of model pass: the error is in model through a cache itself"),
        ("softmax_without_max", "not finite"),
        ("unfinished", "unsupported"),
        ("gives_sites", "it begins at layers.1.output"),
    ] {
        let page = page(name);
        assert!(page.contains(said), "{name} should say {said}\n{page}");
    }
}
