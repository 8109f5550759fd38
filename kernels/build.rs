//! Compiles CORE-MATH's C for every processor of the architecture, and on x86-64 once more for those with a fused multiply-add.
//!
//! Which of the two is called is decided while the program runs (`src/num/core_math.rs`), so a binary that was built on one
//! machine runs on an older one. Their results are the same: each is the correct rounding.

use std::path::{Path, PathBuf};

/// Folders of functions of an f64.
const BINARY64: [&str; 10] = ["cos", "erf", "erfc", "exp", "exp2", "log", "pow", "rsqrt", "sin", "tanh"];
/// Folders of functions of an f32.
const BINARY32: [&str; 8] = ["cos", "erfc", "exp", "log", "pow", "rsqrt", "sin", "tanh"];

fn main() {
    println!("cargo:rerun-if-changed=vendor");
    println!("cargo:rerun-if-changed=roundeven.h");
    println!("cargo:rerun-if-changed=build.rs");
    // Documentation is built without a C compiler.
    if std::env::var_os("DOCS_RS").is_some() {
        return;
    }
    let x86_64 = std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "x86_64");
    // The first level is quick enough for a debug build, and for processors without fused multiply-add; it takes three quarters of the time to compile.
    let level = if std::env::var("OPT_LEVEL").is_ok_and(|level| level == "0") { 1 } else { 2 };
    if x86_64 {
        // Without SSE 4.1 rounding to even becomes a call of the C library, which not every system has.
        compile("baseline", 1, &["-include", "roundeven.h"]);
        compile("fma", level, &["-mfma", "-mavx2"]);
    } else {
        compile("baseline", level, &[]);
    }
}

/// All files under names that begin with `goldref_` and the variant.
fn compile(variant: &str, level: u32, flags: &[&str]) {
    let mut build = cc::Build::new();
    for (folder, suffix, functions) in [("binary64", "", &BINARY64[..]), ("binary32", "f", &BINARY32[..])] {
        for function in functions {
            let name = format!("{function}{suffix}");
            let file: PathBuf = Path::new("vendor/core-math").join(folder).join(function).join(format!("{name}.c"));
            build.file(file).define(&format!("cr_{name}"), format!("goldref_{variant}_{name}").as_str());
        }
    }
    flags.iter().for_each(|flag| {
        build.flag(flag);
    });
    // Contraction only where the source asks for it, so that both variants round alike.
    build.opt_level(level).debug(false).flag("-ffp-contract=off").warnings(false).cargo_warnings(false);
    build.compile(&format!("goldref_core_math_{variant}"));
}
