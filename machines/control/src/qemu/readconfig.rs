//! `-readconfig`: options in a file, in sections (QEMU documentation, "Invocation", `-readconfig`): `[device "net0"]`, then lines
//! of `name = "value"`.

use super::{Line, Stop, table};

/// Largest file in bytes.
const LARGEST: u64 = 1 << 20;

/// A section: the option that it stands for, and its argument.
struct Section {
    /// Where it begins.
    line: usize,
    group: String,
    pairs: Vec<(String, String)>,
}

/// Options whose section has another name.
static NAMES: &[(&str, &str)] = &[("memory", "m"), ("smp-opts", "smp"), ("boot-opts", "boot"), ("icount", "icount")];

/// `-readconfig`.
pub(super) fn readconfig(line: &mut Line, file: &str) -> Result<(), Stop> {
    let bytes = tern_host::file::read_limited(std::path::Path::new(file), LARGEST);
    let bytes = bytes.map_err(|e| format!("Could not open '{file}': {e}"))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{file}: the file is not UTF-8"))?;
    for section in sections(&text).map_err(|(n, why)| format!("{file}:{n}: {why}"))? {
        let place = line.place.clone();
        apply(line, &section).map_err(|stop| match stop {
            Stop::Refuse(why) => Stop::Refuse(format!("{}: [{}]: {why}", section.line, section.group)),
            print => print,
        })?;
        line.place = place;
    }
    Ok(())
}

fn apply(line: &mut Line, section: &Section) -> Result<(), Stop> {
    let name = NAMES.iter().find(|(group, _)| *group == section.group).map_or(section.group.as_str(), |(_, name)| name);
    // A file does not lead to another one: it might be itself.
    let row = table::ROWS.iter().find(|r| r.name == name && !r.arg.is_empty() && name != "readconfig");
    let row = row.ok_or_else(|| format!("There is no option group '{}'", section.group))?;
    let pairs: Vec<String> =
        section.pairs.iter().map(|(name, value)| format!("{name}={}", value.replace(',', ",,"))).collect();
    (row.set)(line, &pairs.join(","))
}

fn sections(text: &str) -> Result<Vec<Section>, (usize, String)> {
    let mut all: Vec<Section> = Vec::new();
    for (n, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(head) = line.strip_prefix('[') {
            let head = head.strip_suffix(']').ok_or((n, "']' is missing".to_owned()))?;
            let (group, id) = head.split_once(char::is_whitespace).unwrap_or((head, ""));
            let id = id.trim();
            let mut pairs = Vec::new();
            if !id.is_empty() {
                pairs.push(("id".to_owned(), unquoted(id).ok_or((n, "a name in quotes is wanted".to_owned()))?));
            }
            all.push(Section { line: n, group: group.to_owned(), pairs });
            continue;
        }
        let (name, value) = line.split_once('=').ok_or((n, "parse error".to_owned()))?;
        let value = unquoted(value.trim()).ok_or((n, "a value in quotes is wanted".to_owned()))?;
        let section = all.last_mut().ok_or((n, "no group defined".to_owned()))?;
        section.pairs.push((name.trim().to_owned(), value));
    }
    Ok(all)
}

fn unquoted(text: &str) -> Option<String> {
    text.strip_prefix('"')?.strip_suffix('"').map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_read() {
        let text = "# x\n[object \"rng0\"]\n  qom-type = \"rng-builtin\"\n\n[memory]\nsize = \"1,024\"\n";
        let all = sections(text).unwrap_or_default();
        let shown: Vec<_> = all.iter().map(|s| (s.group.as_str(), s.pairs.len(), s.pairs[0].1.as_str())).collect();
        assert_eq!(shown, [("object", 2, "rng0"), ("memory", 1, "1,024")]);
        for (text, n) in [("a = \"b\"", 1), ("[x", 1), ("[x]\na", 2), ("[x]\n\na = b", 3), ("[x y]", 1)] {
            assert_eq!(sections(text).map(|_| ()).map_err(|e| e.0), Err(n), "{text}");
        }
    }

    #[cfg(feature = "riscv64")]
    #[test]
    fn files_lead_to_no_others() {
        let path = std::env::temp_dir().join(format!("tern-config={}", std::process::id()));
        let (folder, name) = (path.parent().unwrap().display(), std::process::id());
        std::fs::write(&path, format!("[readconfig]\n{folder}/tern-config = \"{name}\"\n")).unwrap();
        let why = crate::qemu::parse("qemu-system-riscv64", &["-readconfig".into(), path.clone().into()]);
        std::fs::remove_file(&path).unwrap();
        assert!(why.unwrap_err().0.ends_with("There is no option group 'readconfig'"));
    }
}
