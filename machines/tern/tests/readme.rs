//! What the README says the binary prints is what it prints.

use std::process::Command;

/// Indented blocks after the marker: `$ tern ARGS`, then the output up to the block's end.
fn examples(readme: &str) -> Vec<(Vec<String>, String)> {
    let mut found = Vec::new();
    for part in readme.split("<!-- checked by machines/tern/tests/readme.rs -->").skip(1) {
        let block = part.trim_start_matches('\n').lines().take_while(|l| l.starts_with("    ")).map(|l| &l[4..]);
        for line in block {
            match line.strip_prefix("$ tern ") {
                Some(args) => found.push((args.split(' ').map(str::to_owned).collect(), String::new())),
                None => {
                    let output = &mut found.last_mut().expect("a block begins with a command").1;
                    output.push_str(line);
                    output.push('\n');
                }
            }
        }
    }
    found
}

#[test]
fn checked_examples_print_what_the_readme_shows() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
    let readme = std::fs::read_to_string(path).expect("README.md is there");
    let examples = examples(&readme);
    for list in ["isas", "boards", "devices"] {
        assert!(
            examples.iter().any(|(args, _)| *args == ["list", list]),
            "the README does not show `tern list {list}`"
        );
    }
    for (args, expected) in examples {
        let out = Command::new(env!("CARGO_BIN_EXE_tern")).args(&args).output().expect("tern runs");
        assert_eq!(String::from_utf8_lossy(&out.stdout), expected, "tern {}", args.join(" "));
    }
}
