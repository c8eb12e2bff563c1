//! Chooses the default dispatcher: `tern_tail` is set where a call in tail position reliably becomes a jump.
//!
//! That needs an optimised build (opt-level 2 and more; LLVM's sibling-call optimisation), and a target whose calling
//! convention passes six words in registers and has indirect tail calls.  Everywhere else the portable loop runs.  The
//! torture test in `tests/torture.rs` notices if the promise is broken.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(tern_tail)");
    println!("cargo::rerun-if-changed=build.rs");
    let get = |name| std::env::var(name).unwrap_or_default();
    let optimised = matches!(get("OPT_LEVEL").as_str(), "2" | "3");
    let arch = matches!(
        get("CARGO_CFG_TARGET_ARCH").as_str(),
        "x86_64" | "aarch64" | "riscv64" | "loongarch64" | "s390x" | "powerpc64"
    );
    if optimised && arch && get("CARGO_CFG_TARGET_OS") != "windows" {
        println!("cargo::rustc-cfg=tern_tail");
    }
}
