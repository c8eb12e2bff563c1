//! The house rules hold in this workspace, and would not go unnoticed if they were broken.
#![forbid(unsafe_code)]

use serde_json::Value;
use std::path::Path;
use std::process::Command;
use tern_conformance::house::{
    Package, Source, UNSAFE, forbids, has_unsafe, imports, package, relative, source, sources, step, strip,
    unsafe_reason,
};
use tern_conformance::root;

/// The packages of the workspace.
fn packages() -> Vec<Package> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--offline", "--no-deps", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    let top = metadata["workspace_root"].as_str().expect("there is a root").to_owned();
    let room = |path: &str| relative(Path::new(&top), Path::new(path));
    let array = |v: &Value| v.as_array().cloned().unwrap_or_default();
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    array(&metadata["packages"])
        .iter()
        .map(|p| Package {
            name: text(&p["name"]),
            room: room(text(&p["manifest_path"]).trim_end_matches("/Cargo.toml")),
            // Dependencies with a path are those of the workspace.
            imports: array(&p["dependencies"]).iter().filter_map(|d| d["path"].as_str()).map(room).collect(),
        })
        .collect()
}

#[test]
fn rooms_import_downwards() {
    let packages = packages();
    assert!(packages.iter().any(|p| p.room == "core") && packages.iter().any(|p| p.room == "conformance"));
    assert!(packages.iter().any(|p| p.imports.contains(&"core".to_owned())), "the imports were not read");
    let wrong = imports(&packages);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn files_keep_the_rules() {
    let root = root();
    let mut wrong = Vec::new();
    for p in packages() {
        let dir = root.join(&p.room);
        // Rooms inside of a room are packages of their own.
        let inner = |path: &str| step_of_file(path) != p.room;
        let files: Vec<Source> = sources(&root, &dir).unwrap().into_iter().filter(|f| !inner(&f.path)).collect();
        assert!(!files.is_empty(), "{} has no source", p.room);
        wrong.extend(files.iter().flat_map(source));
        for name in ["lib.rs", "main.rs"] {
            let main = format!("{}/src/{name}", p.room);
            let Some(main) = files.iter().find(|f| f.path == main) else { continue };
            let of_crate: Vec<Source> =
                files.iter().filter(|f| f.path.starts_with(&format!("{}/src/", p.room))).cloned().collect();
            wrong.extend(forbids(main, &of_crate));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The list of places for `unsafe` holds nothing that is not needed.
#[test]
fn listed_places_are_in_use() {
    let root = root();
    let packages = packages();
    for (place, _) in UNSAFE {
        if !packages.iter().any(|p| p.room == step_of_file(place)) {
            println!("{place}: the room is not built yet");
            continue;
        }
        let files = sources(&root, &root.join(step_of_file(place))).unwrap();
        let used = files.iter().any(|f| f.path.starts_with(place) && has_unsafe(f));
        assert!(used, "{place} has no unsafe code: take it off the list");
    }
}

/// The room that a file is in: the longest one that its path begins with.
fn step_of_file(path: &str) -> String {
    let mut at = path.len();
    while let Some(n) = path[..at].rfind('/') {
        if step(&path[..n]).is_some() {
            return path[..n].to_owned();
        }
        at = n;
    }
    String::new()
}

#[test]
fn wrong_imports_are_noticed() {
    let check = |name: &str, room: &str, import: &str| {
        imports(&[Package { name: name.into(), room: room.into(), imports: vec![import.into()] }])
    };
    for (name, room, import) in [
        ("tern-core", "core", "core/softfloat"),
        ("tern-softfloat", "core/softfloat", "core/decode"),
        ("tern-riscv", "frontends/riscv", "core/decode"),
        ("tern-interp", "interp", "core"),
        ("tern-session", "machines/session", "interp"),
        ("tern-linux", "machines/linux", "frontends/riscv"),
        ("tern-control", "machines/control", "machines/board"),
        ("tern", "machines/tern", "machines/control"),
        ("tern-conformance", "conformance", "machines/tern"),
    ] {
        assert_eq!(check(name, room, import), Vec::<String>::new());
    }
    for (name, room, import) in [
        ("tern-core", "core", "interp"),
        ("tern-interp", "interp", "jit"),
        ("tern-interp", "interp", "frontends/riscv"),
        ("tern-riscv", "frontends/riscv", "devices"),
        ("tern-riscv", "frontends/riscv", "frontends/arm"),
        ("tern-devices", "devices", "machines/host"),
        ("tern-session", "machines/session", "machines/linux"),
        ("tern-linux", "machines/linux", "machines/board"),
        ("tern", "machines/tern", "conformance"),
        ("tern-core", "core", "tools/thing"),
    ] {
        assert_eq!(check(name, room, import), [format!("{room} imports {import}")]);
    }
    assert_eq!(
        check("tern-thing", "core", "core/softfloat"),
        ["core: the package is called tern-thing, not tern-core"]
    );
    assert_eq!(check("tern-xtask", "xtask", "core"), ["xtask: DESIGN section 3 has no such room"]);
    assert_eq!(check("tern-x", "frontends/x/y", "core"), ["frontends/x/y: DESIGN section 3 has no such room"]);
    assert_eq!((package("machines/tern").as_str(), package("core").as_str()), ("tern", "tern-core"));
}

#[test]
fn wrong_files_are_noticed() {
    let file = |path: &str, text: &str| Source { path: path.into(), text: text.into() };
    let good = "//! What it is.\n// unsafe, todo! and dbg! in a comment\nconst S: &str = \"unsafe todo!()\";\n";
    assert_eq!(source(&file("devices/src/lib.rs", good)), Vec::<String>::new());
    let block = "//! x\nfn f() { unsafe { g() } }\n";
    assert_eq!(source(&file("devices/src/lib.rs", block)), ["devices/src/lib.rs:2: unsafe has no place here"]);
    assert_eq!(source(&file("core/src/mem/span.rs", block)), Vec::<String>::new());
    assert_eq!(source(&file("core/src/mem/access.rs", block)).len(), 1);
    assert!(unsafe_reason("interp/src/body/int.rs").is_some() && unsafe_reason("interp/src/lower/emit.rs").is_none());
    assert_eq!(source(&file("core/src/a.rs", "fn f() {}\n")).len(), 1, "no //! line");
    assert_eq!(source(&file("core/src/a.rs", "//! x\nfn f() { todo!() }\n")), ["core/src/a.rs:2: todo!"]);
    assert_eq!(source(&file("core/src/a.rs", "//! x\nfn f() { core::unimplemented!() }\n")).len(), 1);
    assert_eq!(source(&file("core/src/a.rs", &"//! x\n".repeat(901))).len(), 1);
    let lib = file("devices/src/lib.rs", "//! x\n");
    assert_eq!(forbids(&lib, std::slice::from_ref(&lib)), ["devices/src/lib.rs: no unsafe code, so forbid it"]);
    let lib = file("devices/src/lib.rs", "//! x\n#![forbid(unsafe_code)]\n");
    assert_eq!(forbids(&lib, std::slice::from_ref(&lib)), Vec::<String>::new());
}

#[test]
fn comments_and_strings_are_no_code() {
    let text = "a /* unsafe */ b // unsafe\n\"unsafe \\\" unsafe\" c r#\"unsafe \" unsafe\"# '\\'' '\"' d 'a: &'a str\nr\"unsafe\\\" e";
    let code = strip(text);
    assert!(!code.contains("unsafe"), "{code}");
    for word in ["a", "b", "c", "d", "str", "e"] {
        assert!(code.contains(word), "{word} is gone: {code}");
    }
    assert_eq!(code.lines().count(), text.lines().count());
}
