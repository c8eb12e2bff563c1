//! Views of `/proc` that show the guest: maps, auxv, cmdline, exe, status and the like of the process itself.
//!
//! To add one: a name in `NAMES` and a case in `text`.

use crate::cx::SysResult;
use crate::mm::vma::{Name, Vma};
use crate::process::Process;
use core::fmt::Write as _;
use std::ffi::CStr;
use tern_core::mem::PAGE_SIZE;
use tern_host::sys;

/// What a path in `/proc` shows instead of the host's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum View {
    /// The link to the program.
    Exe,
    /// A file that is made when it is opened.
    Text(What),
}

/// A file of `/proc` that tern makes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct What {
    /// Its name.
    name: &'static str,
    /// The thread that it is about, for files below `task`.
    tid: Option<i32>,
}

/// The files of a process that tern makes.
const NAMES: &[&str] = &["maps", "smaps", "auxv", "cmdline", "comm", "environ", "stat", "statm", "status"];

/// What a path relative to `dir` shows, if it is one of the views.
#[must_use]
pub fn view(process: &Process, dir: i32, path: &CStr) -> Option<View> {
    let path = path.to_bytes();
    let last = path.rsplit(|b| *b == b'/').next()?;
    let known = last == b"exe" || last == b"cpuinfo" || NAMES.iter().any(|n| n.as_bytes() == last);
    if !known {
        return None;
    }
    let full = if path.first() == Some(&b'/') {
        path.to_vec()
    } else if dir == sys::CWD {
        return None;
    } else {
        let mut full = crate::sys::mem::fd_path(dir);
        full.push(b'/');
        full.extend_from_slice(path);
        full
    };
    let rest = full.strip_prefix(b"/proc/")?;
    let mut parts = rest.split(|b| *b == b'/').filter(|p| !p.is_empty() && *p != b".");
    let first = parts.next()?;
    if first == b"cpuinfo" && parts.next().is_none() {
        return Some(View::Text(What { name: "cpuinfo", tid: None }));
    }
    let own = first == b"self" || number(first) == Some(process.pid) || first == b"thread-self";
    if !own {
        return None;
    }
    let mut name = parts.next()?;
    let mut tid = None;
    if name == b"task" {
        tid = Some(number(parts.next()?)?);
        name = parts.next()?;
    }
    if parts.next().is_some() {
        return None;
    }
    if name == b"exe" {
        return Some(View::Exe);
    }
    NAMES.iter().find(|n| n.as_bytes() == name).map(|name| View::Text(What { name, tid }))
}

fn number(text: &[u8]) -> Option<i32> {
    core::str::from_utf8(text).ok()?.parse().ok()
}

/// The contents of a view; `None` if the thread does not exist or the host does not tell.
#[must_use]
pub fn text(process: &Process, what: &What) -> Option<Vec<u8>> {
    let tid = what.tid.unwrap_or(process.pid);
    let thread = process.threads.get(&tid)?;
    let name = if thread.name.is_empty() { crate::start::comm(&process.image.exe) } else { thread.name.clone() };
    Some(match what.name {
        "maps" => maps(process, false),
        "smaps" => maps(process, true),
        "auxv" => process.image.auxv.clone(),
        "cmdline" => process.image.argv.iter().flat_map(|a| [a.as_slice(), b"\0"].concat()).collect(),
        "environ" => process.config.env.iter().flat_map(|e| [e.as_slice(), b"\0"].concat()).collect(),
        "comm" => [name.as_slice(), b"\n"].concat(),
        "cpuinfo" => (process.isa.cpuinfo)(&process.model.isa_string, sys::proc::cpus_online()).into_bytes(),
        "stat" => stat(process, tid, &name)?,
        "statm" => statm(process)?,
        "status" => status(process, tid, &name)?,
        _ => return None,
    })
}

/// Mappings that look like one to the guest are one line.
fn merged(process: &Process) -> Vec<Vma> {
    let mut list: Vec<Vma> = Vec::new();
    for vma in process.mem.vmas() {
        match list.last_mut().filter(|last| last.looks_continued_in(vma)) {
            Some(last) => last.end = vma.end,
            None => list.push(vma.clone()),
        }
    }
    list
}

fn maps(process: &Process, detail: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for vma in merged(process) {
        let p = vma.perm;
        let flag = |on: bool, c: char| if on { c } else { '-' };
        let (dev, ino) = match &vma.name {
            Name::File(id) => (id.dev, id.ino),
            _ => ((0, 0), 0),
        };
        let mut line = format!(
            "{:08x}-{:08x} {}{}{}{} {:08x} {:02x}:{:02x} {}",
            vma.start,
            vma.end,
            flag(p.read || p.write, 'r'),
            flag(p.write, 'w'),
            flag(p.exec, 'x'),
            if vma.traits.shared { 's' } else { 'p' },
            vma.file_offset,
            dev.0,
            dev.1,
            ino
        )
        .into_bytes();
        let name: Vec<u8> = match &vma.name {
            Name::Anon => Vec::new(),
            Name::Heap => b"[heap]".to_vec(),
            Name::Stack => b"[stack]".to_vec(),
            Name::Vdso => b"[vdso]".to_vec(),
            Name::File(id) => process.paths.guest_view(&id.path),
            Name::Named(name) => [b"[anon:", name.as_slice(), b"]"].concat(),
            Name::SysV(id) => format!("/SYSV{id:08x} (deleted)").into_bytes(),
        };
        if !name.is_empty() {
            line.resize(line.len().max(72), b' ');
            line.push(b' ');
            line.extend(name.iter().flat_map(|b| if *b == b'\n' { b"\\012".to_vec() } else { vec![*b] }));
        }
        line.push(b'\n');
        out.extend(line);
        if detail {
            out.extend(smaps_detail(&vma).into_bytes());
        }
    }
    out
}

/// The lines of smaps that do not need the host's page tables.
fn smaps_detail(vma: &Vma) -> String {
    let mut flags = String::new();
    let p = vma.perm;
    let list = [
        (p.read || p.write, "rd"),
        (p.write, "wr"),
        (p.exec, "ex"),
        (vma.traits.shared, "sh"),
        (true, "mr mw me"),
        (vma.traits.grows_down, "gd"),
        (vma.traits.locked, "lo"),
        (vma.traits.dont_fork, "dc"),
        (vma.traits.dont_dump, "dd"),
        (vma.traits.wipe_on_fork, "wf"),
        (vma.traits.no_reserve, "nr"),
    ];
    for (_, name) in list.iter().filter(|(on, _)| *on) {
        let _ = write!(flags, "{name} ");
    }
    let kb = vma.len() / 1024;
    format!("Size: {kb:>18} kB\nKernelPageSize:        4 kB\nMMUPageSize:           4 kB\nVmFlags: {flags}\n")
}

fn host_file(path: &str) -> Option<String> {
    let bytes = tern_host::file::read_limited(std::path::Path::new(path), 1 << 20).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// `/proc/self/stat` of the host with the guest's name, threads and addresses (proc_pid_stat(5)).
fn stat(process: &Process, tid: i32, name: &[u8]) -> Option<Vec<u8>> {
    let host = host_file("/proc/self/stat")?;
    let tail = &host[host.rfind(')')? + 2..];
    let mut fields: Vec<String> = tail.split_whitespace().map(str::to_owned).collect();
    // The first field after the name is number 3.
    let mut set = |number: usize, value: u64| {
        if let Some(f) = fields.get_mut(number - 3) {
            *f = value.to_string();
        }
    };
    let image = &process.image;
    let brk = process.mem.brk_area().0;
    for (number, value) in [
        (20, process.threads.len() as u64),
        (23, process.mem.total()),
        (26, image.code.0),
        (27, image.code.1),
        (28, image.stack),
        (45, image.data.0),
        (46, image.data.1),
        (47, brk),
        (48, image.args.0),
        (49, image.args.1),
        (50, image.envs.0),
        (51, image.envs.1),
    ] {
        set(number, value);
    }
    let mut out = format!("{tid} (").into_bytes();
    out.extend_from_slice(name);
    out.extend(format!(") {}\n", fields.join(" ")).into_bytes());
    Some(out)
}

/// `/proc/self/statm`: the guest's size; what is resident is tern's.
fn statm(process: &Process) -> Option<Vec<u8>> {
    let host = host_file("/proc/self/statm")?;
    let mut fields: Vec<String> = host.split_whitespace().map(str::to_owned).collect();
    *fields.first_mut()? = (process.mem.total() / PAGE_SIZE).to_string();
    Some((fields.join(" ") + "\n").into_bytes())
}

/// `/proc/self/status` of the host with the guest's name, threads and sizes.
fn status(process: &Process, tid: i32, name: &[u8]) -> Option<Vec<u8>> {
    let host = host_file("/proc/self/status")?;
    let mut out = Vec::new();
    let data: u64 = process.mem.vmas().filter(|v| v.is_data()).map(Vma::len).sum();
    let stack: u64 = process.mem.vmas().filter(|v| v.name == Name::Stack).map(Vma::len).sum();
    for line in host.lines() {
        let key = line.split(':').next().unwrap_or(line);
        let kb = |bytes: u64| format!("{key}:\t{:>8} kB", bytes / 1024);
        let new = match key {
            "Name" => {
                out.extend_from_slice(b"Name:\t");
                out.extend_from_slice(name);
                out.push(b'\n');
                continue;
            }
            "Pid" => format!("Pid:\t{tid}"),
            "Threads" => format!("Threads:\t{}", process.threads.len()),
            "VmSize" | "VmPeak" => kb(process.mem.total()),
            "VmData" => kb(data),
            "VmStk" => kb(stack),
            "VmLck" => kb(process.mem.locked()),
            _ => line.to_owned(),
        };
        out.extend(new.into_bytes());
        out.push(b'\n');
    }
    Some(out)
}

/// A descriptor from which the text can be read.
///
/// # Errors
/// What the host says.
pub fn open_text(bytes: &[u8], cloexec: bool) -> SysResult {
    let flags = if cloexec { sys::host::MFD_CLOEXEC } else { 0 };
    let fd = sys::file::memfd_create(c"proc", flags)?;
    let mut done = 0;
    while done < bytes.len() {
        match sys::file::write(fd, &bytes[done..]) {
            Ok(n) => done += n,
            Err(sys::Errno::EINTR) => {}
            Err(e) => {
                sys::file::close(fd)?;
                return Err(e.into());
            }
        }
    }
    sys::file::lseek(fd, 0, sys::host::SEEK_SET)?;
    Ok(fd as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::riscv::RISCV64;
    use crate::testing::{Fixture, SCRATCH};

    fn name_of(process: &Process, path: &CStr) -> Option<&'static str> {
        match view(process, sys::CWD, path)? {
            View::Exe => Some("exe"),
            View::Text(what) => Some(what.name),
        }
    }

    #[test]
    fn own_paths_are_recognised() {
        let f = Fixture::new(&RISCV64);
        let p = &f.process;
        assert_eq!(name_of(p, c"/proc/self/maps"), Some("maps"));
        assert_eq!(name_of(p, c"/proc//self/./exe"), Some("exe"));
        let own = std::ffi::CString::new(format!("/proc/{0}/task/{0}/comm", p.pid)).expect("no NUL");
        assert_eq!(name_of(p, &own), Some("comm"));
        assert_eq!(name_of(p, c"/proc/cpuinfo"), Some("cpuinfo"));
        for other in
            [c"/proc/1/maps", c"/proc/self/fd/3", c"/proc/self/maps/x", c"maps", c"/proc/selfish/maps", c"/x/exe"]
        {
            assert_eq!(view(p, sys::CWD, other), None, "{other:?}");
        }
    }

    #[test]
    fn maps_show_the_guest_and_can_be_read() {
        let mut f = Fixture::new(&RISCV64);
        let what = What { name: "maps", tid: None };
        let maps = String::from_utf8(text(&f.process, &what).expect("maps")).expect("utf-8");
        assert_eq!(maps, "00100000-00102000 rw-p 00000000 00:00 0\n");
        f.cx().put_bytes(SCRATCH, b"/proc/self/maps\0").expect("scratch");
        let fd = f.call("openat", [-100i64 as u64, SCRATCH, 0, 0, 0, 0]).expect("no wait").expect("opened");
        assert_eq!(f.call("read", [fd, SCRATCH, 100, 0, 0, 0]), Some(Ok(maps.len() as u64)));
        assert_eq!(f.cx().bytes(SCRATCH, maps.len() as u64), Ok(maps.into_bytes()));
        assert_eq!(f.call("close", [fd, 0, 0, 0, 0, 0]), Some(Ok(0)));
    }

    #[test]
    fn status_and_stat_name_the_guest() {
        let mut f = Fixture::new(&RISCV64);
        f.cx().thread().name = b"guest) x".to_vec();
        let get = |name| String::from_utf8(text(&f.process, &What { name, tid: None }).expect("made")).expect("utf-8");
        assert!(get("status").starts_with("Name:\tguest) x\n"));
        assert!(get("status").contains("Threads:\t1\n"));
        assert!(get("stat").starts_with(&format!("{} (guest) x) ", f.process.pid)));
        assert!(get("cpuinfo").contains("rv64imafdc"));
        assert_eq!(text(&f.process, &What { name: "comm", tid: Some(1) }), None, "no such thread");
    }
}
