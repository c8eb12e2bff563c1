//! Runs `conformance/ir/*.ir` on every tier.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use tern_conformance::case::{self, File};
use tern_conformance::expect::Known;
use tern_conformance::{root, run, tier};
use tern_core::ir::Op;

/// Every file, by name.
fn files() -> Vec<(String, File)> {
    let dir = root().join("conformance/ir");
    let mut paths: Vec<_> =
        std::fs::read_dir(&dir).expect("conformance/ir is there").map(|e| e.unwrap().path()).collect();
    paths.sort();
    let read = |path: std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(name.ends_with(".ir"), "{name} does not belong here");
        let text = std::fs::read_to_string(&path).unwrap();
        (name.clone(), case::read(&text).unwrap_or_else(|e| panic!("{name}: {e}")))
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn files_run_on_every_tier() {
    let known = std::fs::read_to_string(root().join("conformance/expect/ir.txt")).expect("the list is there");
    let known = Known::read(&known).unwrap();
    let mut reports = Vec::new();
    for (name, file) in files() {
        reports.extend(run::file(&name, &file).unwrap());
    }
    let mut ran = BTreeSet::new();
    for tier in tier::all() {
        match tier.missing() {
            Some(why) => println!("{} did not run: it {why}", tier.name()),
            None => drop(ran.insert(tier.name())),
        }
    }
    assert_eq!(reports.iter().map(|r| r.tier).collect::<BTreeSet<_>>(), ran);
    assert!(["eval", "opt", "loop"].iter().all(|t| ran.contains(t)), "these tiers run everywhere");
    println!("{} runs on {ran:?}", reports.len());
    let wrong = known.judge(&reports);
    let first: Vec<&String> = wrong.iter().take(40).collect();
    assert!(wrong.is_empty(), "{} of {} are wrong\n{first:#?}", wrong.len(), reports.len());
}

#[test]
fn every_operation_is_covered() {
    let mut seen = BTreeSet::new();
    for (_, file) in files() {
        for test in &file.tests {
            let arena = bumpalo::Bump::new();
            seen.extend(tier::block(&arena, &test.text).unwrap().insts.iter().map(|i| i.op.name()));
        }
    }
    let all = [Op::BINARY, Op::COMPARE, Op::UNARY, Op::CONVERT, Op::OTHER].into_iter().flatten();
    let left: Vec<_> = all.map(|op| op.name()).filter(|n| !seen.contains(n)).collect();
    assert!(left.is_empty(), "no test of {left:?}");
}

/// The runner notices what is wrong: a test of the tests.
#[test]
fn wrong_results_are_noticed() {
    let block =
        "run: eval\nblock pc=0 mode=0 {\ninsn 0\nset x1, 5:i64\na:i64 = get x2\nstore.u1 [a], 7:i32\n} goto 4\n";
    for (case, wrong) in [
        ("x2=0x10000 => x1=5, [0x10000]=07", ""),
        ("x2=0x10000 => x1=6, [0x10000]=07", "x1 is 0x5, not 0x6"),
        ("x2=0x10000 => [0x10000]=07", "x1 is 0x5, not 0x0"),
        ("x2=0x10000 => x1=5", "byte 0x10000 is 0x07, not 0x00"),
        ("x2=0x10000 => x1=5, x3=1, [0x10000]=07", "x3 is 0x0, not 0x1"),
        ("x2=0x10000 => x1=5, [0x10000]=07, pc=8, retired=1", "pc is 0x4, not 0x8"),
        ("x2=0x10000 => x1=5, [0x10000]=07, retired=2", "retired 1, not 2"),
        ("x2=0x10000 => halt, x1=5, [0x10000]=07, pc=4, retired=1", "ended with None, not Some(Halt)"),
    ] {
        let file = case::read(&format!("{block}; {case}\n")).unwrap();
        let reports = run::file("t", &file).unwrap();
        assert_eq!(reports.len(), 1);
        assert_eq!(reports[0].wrong.join("; "), wrong, "{case}");
    }
    let file = case::read(&format!("{}; x2=0x10000 => x1=5\n", block.replace("run: eval", "run: eval warp"))).unwrap();
    assert_eq!(run::file("t", &file).unwrap_err(), "t: there is no tier warp");
}
