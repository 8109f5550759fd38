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
    compile("baseline", |build| {
        if x86_64 {
            // Without SSE 4.1 this becomes a call of the C library, which not every system has.
            build.flag("-include").flag("roundeven.h");
        }
    });
    if x86_64 {
        compile("fma", |build| {
            build.flag("-mfma").flag("-mavx2");
        });
    }
}

/// All files under names that begin with `goldref_` and the variant.
fn compile(variant: &str, options: impl FnOnce(&mut cc::Build)) {
    let mut build = cc::Build::new();
    for (folder, suffix, functions) in [("binary64", "", &BINARY64[..]), ("binary32", "f", &BINARY32[..])] {
        for function in functions {
            let name = format!("{function}{suffix}");
            let file: PathBuf = Path::new("vendor/core-math").join(folder).join(function).join(format!("{name}.c"));
            build.file(file).define(&format!("cr_{name}"), format!("goldref_{variant}_{name}").as_str());
        }
    }
    options(&mut build);
    // Quick in a debug build too; contraction only where the source asks for it, so that both variants round alike.
    build.opt_level(2).debug(false).flag("-ffp-contract=off").warnings(false).cargo_warnings(false);
    build.compile(&format!("goldref_core_math_{variant}"));
}
