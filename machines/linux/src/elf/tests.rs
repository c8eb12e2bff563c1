//! Tests of the loader: small ELF files built here, hostile variants of them, and random damage.

use super::loader::{Program, load};
use super::stack::{StackRequest, at, build};
use super::{Ehdr, LoadError, PT_GNU_STACK, PT_INTERP, PT_LOAD, Phdr32, Phdr64, Reason};
use crate::abi::{Abi, Errno, Field, GuestPtr, ULong};
use crate::isa::Isa;
use crate::isa::riscv::{RISCV32, RISCV64};
use crate::mm::vma::Name;
use crate::mm::{MemLimits, Space, UNLIMITED};
use crate::paths::Paths;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use tern_core::mem::{Access, FaultKind};

/// One program header of a test file.
#[derive(Clone, Copy)]
pub(crate) struct Seg {
    pub(crate) kind: u32,
    pub(crate) flags: u32,
    pub(crate) offset: u64,
    pub(crate) vaddr: u64,
    pub(crate) filesz: u64,
    pub(crate) memsz: u64,
}

/// An ELF file with these segments over `body`, which starts at 0x1000.
pub(crate) fn elf(isa: &Isa, kind: u16, entry: u64, segs: &[Seg], body: &[u8]) -> Vec<u8> {
    let abi = isa.abi;
    let mut ident = [0; 16];
    ident[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', if abi.is64() { 2 } else { 1 }, 1, 1]);
    let phentsize = if abi.is64() { Phdr64::size(abi) } else { Phdr32::size(abi) } as u16;
    let header = Ehdr {
        ident,
        kind,
        machine: isa.machine,
        version: 1,
        entry,
        phoff: Ehdr::size(abi) as u64,
        shoff: 0,
        flags: 0,
        ehsize: Ehdr::size(abi) as u16,
        phentsize,
        phnum: segs.len() as u16,
        shentsize: 0,
        shnum: 0,
        shstrndx: 0,
    };
    let mut file = Ehdr::to_bytes(&header, abi);
    for s in segs {
        file.extend(phdr(abi, s));
    }
    file.resize(0x1000, 0);
    file.extend_from_slice(body);
    file
}

fn phdr(abi: Abi, s: &Seg) -> Vec<u8> {
    let Seg { kind, flags, offset, vaddr, filesz, memsz } = *s;
    if abi.is64() {
        Phdr64::to_bytes(&Phdr64 { kind, flags, offset, vaddr, paddr: vaddr, filesz, memsz, align: 0x1000 }, abi)
    } else {
        let (offset, vaddr, filesz, memsz) = (offset as u32, vaddr as u32, filesz as u32, memsz as u32);
        Phdr32::to_bytes(&Phdr32 { kind, offset, vaddr, paddr: vaddr, filesz, memsz, flags, align: 0x1000 }, abi)
    }
}

const HEADER: Seg = Seg { kind: PT_LOAD, flags: 4, offset: 0, vaddr: 0x10000, filesz: 0x200, memsz: 0x200 };
const TEXT: Seg = Seg { kind: PT_LOAD, flags: 5, offset: 0x1000, vaddr: 0x11000, filesz: 0x20, memsz: 0x20 };
const DATA: Seg = Seg { kind: PT_LOAD, flags: 6, offset: 0x1020, vaddr: 0x12020, filesz: 0x10, memsz: 0x3000 };

fn body() -> Vec<u8> {
    let mut b = vec![0x13; 0x20];
    b.extend([0xdd; 0x100]);
    b
}

/// A directory that is removed again.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Dir {
        let dir = std::env::temp_dir().join(format!("tern-linux-elf-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(dir.join("lib")).expect("temporary directory");
        Dir(dir)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Vec<u8> {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).expect("temporary file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("mode");
        path.into_os_string().into_encoded_bytes()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn space(isa: &Isa) -> Space {
    let limits = MemLimits { address_space: UNLIMITED, data: UNLIMITED, stack: 8 << 20, locked: UNLIMITED };
    Space::new(isa.layout, limits)
}

fn try_load(paths: &Paths, path: &[u8]) -> Result<(Space, super::loader::LoadedProgram), LoadError> {
    let program = Program::open(paths, path)?;
    let headers = program.headers()?;
    let mut space = space(headers.isa);
    let loaded = load(&mut space, &mut |path| Program::open(paths, path), &program, &headers)?;
    Ok((space, loaded))
}

fn reason(dir: &Dir, bytes: &[u8]) -> Reason {
    let path = dir.put("bad", bytes);
    match try_load(&Paths::default(), &path) {
        Ok(_) => panic!("a bad file was loaded"),
        Err(e) => {
            assert_eq!(e.path, path);
            assert!(e.to_string().starts_with(&String::from_utf8_lossy(&path).into_owned()));
            e.reason
        }
    }
}

#[test]
fn a_static_program_is_mapped_as_its_headers_say() {
    let dir = Dir::new("static");
    for isa in [&RISCV64, &RISCV32] {
        let path = dir.put("a", &elf(isa, 2, 0x11004, &[HEADER, TEXT, DATA], &body()));
        let (mut s, loaded) = try_load(&Paths::default(), &path).expect("well-formed");
        let p = loaded.program;
        assert_eq!((p.bias, p.entry, p.phdr, p.phnum), (0, 0x11004, 0x10000 + Ehdr::size(isa.abi) as u64, 3));
        assert_eq!((p.code, p.data, p.end), ((0x11000, 0x11020), (0x12020, 0x12030), 0x15020));
        assert!(loaded.interpreter.is_none() && loaded.exec_stack);
        assert_eq!(s.bytes(0x11000, 4), Ok(vec![0x13; 4]));
        assert!(s.resolve(0x11000, Access::Fetch).is_ok());
        assert_eq!(s.resolve(0x11000, Access::Store).map_err(|f| f.kind).err(), Some(FaultKind::Permission));
        assert_eq!(s.bytes(0x12020, 0x11), Ok([vec![0xdd; 0x10], vec![0]].concat()), "bss starts in the file's page");
        assert_eq!(s.bytes(0x15000, 0x20), Ok(vec![0; 0x20]));
        assert_eq!(s.brk_area(), (0x16000, 0x16000));
    }
}

#[test]
fn the_page_behind_a_short_bss_is_zero_to_its_end() {
    let dir = Dir::new("bss");
    let data = Seg { memsz: 0x20, ..DATA };
    let path = dir.put("a", &elf(&RISCV64, 2, 0x11004, &[HEADER, TEXT, data], &[body(), vec![0xee; 0x2000]].concat()));
    let (mut s, _) = try_load(&Paths::default(), &path).expect("well-formed");
    assert_eq!(s.bytes(0x12030, 0xfd0), Ok(vec![0; 0xfd0]));
}

#[test]
fn a_position_independent_program_and_its_interpreter_come_from_the_sysroot() {
    let dir = Dir::new("pie");
    let low = |s: Seg| Seg { vaddr: s.vaddr - 0x10000, ..s };
    let segs = [low(HEADER), low(TEXT), low(DATA)];
    dir.put("lib/ld.so", &elf(&RISCV64, 3, 0x1008, &segs, &body()));
    let mut text = body();
    text[..11].copy_from_slice(b"/lib/ld.so\0");
    let interp = Seg { kind: PT_INTERP, flags: 4, offset: 0x1000, vaddr: 0x1000, filesz: 11, memsz: 11 };
    let stack = Seg { kind: PT_GNU_STACK, flags: 6, offset: 0, vaddr: 0, filesz: 0, memsz: 0 };
    dir.put("prog", &elf(&RISCV64, 3, 0x1004, &[segs[0], segs[1], segs[2], interp, stack], &text));
    let paths = Paths::new(Some(dir.0.as_os_str().as_encoded_bytes()));
    let (s, loaded) = try_load(&paths, b"/prog").expect("well-formed");
    let interpreter = loaded.interpreter.expect("it names one");
    assert_eq!(loaded.program.entry, 0x2a_aaaa_b004);
    assert_eq!(interpreter.entry, interpreter.bias + 0x1008);
    assert!(interpreter.bias > 0x3f_0000_0000 && !loaded.exec_stack);
    let files = s.vmas().filter(|v| matches!(v.name, Name::File(_))).count();
    assert!(files >= 6, "both files are named in maps");
    std::fs::remove_file(dir.0.join("lib/ld.so")).expect("file");
    let e = try_load(&paths, b"/prog").map(|_| ()).expect_err("no interpreter");
    assert_eq!(e.reason, Reason::Interpreter(b"/lib/ld.so".to_vec(), Errno::ENOENT));
    assert_eq!(e.exit_status(), 127);
    dir.put("lib/ld.so", &elf(&RISCV32, 3, 0, &segs, &body()));
    let e = try_load(&paths, b"/prog").map(|_| ()).expect_err("of another ISA");
    assert_eq!(e.reason, Reason::OtherIsa("riscv32"));
}

#[test]
fn bad_files_are_named_with_their_reason() {
    let dir = Dir::new("bad");
    let good = elf(&RISCV64, 2, 0x11004, &[HEADER, TEXT, DATA], &body());
    let with = |f: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        f(&mut bytes);
        bytes
    };
    let segs = |list: &[Seg]| elf(&RISCV64, 2, 0x11004, list, &body());
    assert_eq!(reason(&dir, b""), Reason::NotAProgram);
    assert_eq!(reason(&dir, &good[..8]), Reason::Truncated { what: "the ELF identification" });
    assert_eq!(reason(&dir, b"just some text, no program"), Reason::NotAProgram);
    assert_eq!(reason(&dir, &good[..40]), Reason::Truncated { what: "the ELF header" });
    assert_eq!(reason(&dir, &good[..100]), Reason::Truncated { what: "the program headers" });
    assert_eq!(reason(&dir, &good[..0x1010]), Reason::Truncated { what: "a segment lies behind the end" });
    assert_eq!(reason(&dir, &with(&|b| b[4] = 7)), Reason::Malformed { what: "the ELF class" });
    assert_eq!(reason(&dir, &with(&|b| b[18] = 62)), Reason::Machine(62, true, false));
    assert_eq!(reason(&dir, &with(&|b| b[16] = 1)), Reason::Kind(1));
    assert_eq!(reason(&dir, &with(&|b| b[48] = 8)), Reason::Flags(8));
    assert_eq!(reason(&dir, &with(&|b| b[54] = 1)), Reason::Malformed { what: "the size of a program header" });
    assert_eq!(
        reason(&dir, &with(&|b| b[56..58].fill(0xff))),
        Reason::Malformed { what: "the number of program headers" }
    );
    assert_eq!(
        reason(&dir, &with(&|b| b[56..58].fill(0))),
        Reason::Malformed { what: "the number of program headers" }
    );
    assert_eq!(reason(&dir, &with(&|b| b[32..40].fill(0xff))), Reason::Truncated { what: "the program headers" });
    let overlap = Seg { vaddr: 0x11020 - 8, offset: 0x1018, ..DATA };
    assert_eq!(reason(&dir, &segs(&[HEADER, TEXT, overlap])), Reason::Overlap(0x11018));
    let huge = Seg { vaddr: 0x12020, memsz: u64::MAX - 0x12020, ..DATA };
    assert_eq!(reason(&dir, &segs(&[TEXT, huge])), Reason::OutOfRange(0x12020));
    let high = Seg { vaddr: 0x4000_0000_1000, ..TEXT };
    assert_eq!(reason(&dir, &segs(&[high])), Reason::OutOfRange(0x4000_0000_1000));
    let low = Seg { vaddr: 0, ..HEADER };
    assert_eq!(reason(&dir, &segs(&[low])), Reason::OutOfRange(0));
    let skew = Seg { vaddr: 0x11010, ..TEXT };
    assert!(matches!(reason(&dir, &segs(&[skew])), Reason::Malformed { .. }));
    let small = Seg { memsz: 1, ..TEXT };
    assert!(matches!(reason(&dir, &segs(&[small])), Reason::Malformed { .. }));
    let interp = Seg { kind: PT_INTERP, flags: 4, offset: 0x1000, vaddr: 0, filesz: 0x100_0000, memsz: 0 };
    assert!(matches!(reason(&dir, &segs(&[TEXT, interp])), Reason::Malformed { .. }));
    let e = Program::open(&Paths::default(), b"/nonexistent/x").map(|_| ()).expect_err("missing");
    assert_eq!((e.exit_status(), e.to_string().as_str()), (127, "/nonexistent/x: No such file or directory"));
    let e = Program::open(&Paths::default(), b"/tmp").map(|_| ()).expect_err("a directory");
    assert_eq!((e.reason.clone(), e.exit_status()), (Reason::NotAFile, 126));
    let path = dir.put("plain", &good);
    std::fs::set_permissions(dir.0.join("plain"), std::fs::Permissions::from_mode(0o644)).expect("mode");
    assert_eq!(Program::open(&Paths::default(), &path).map(|_| ()).expect_err("mode").reason, Reason::NotExecutable);
}

/// Random damage to a small file never panics, and never maps anything outside the guest's space.
#[test]
fn random_damage_never_panics() {
    let dir = Dir::new("fuzz");
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = |n: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % n as u64) as usize
    };
    let interp = Seg { kind: PT_INTERP, flags: 4, offset: 0x1000, vaddr: 0x11000, filesz: 11, memsz: 11 };
    let mut loaded = 0;
    for round in 0..1500 {
        let isa = if round % 2 == 0 { &RISCV64 } else { &RISCV32 };
        let mut bytes =
            elf(isa, 2 + (round as u16 / 2) % 2, 0x11004, &[HEADER, TEXT, DATA, interp][..3 + next(2)], &body());
        let interesting = 64 + 4 * 56;
        for _ in 0..1 + next(4) {
            let at = next(interesting);
            bytes[at] = [0, 0xff, 0x7f, 0x80, 1, next(256) as u8][next(6)];
        }
        if next(4) == 0 {
            bytes.truncate(next(bytes.len()));
        }
        let path = dir.put("f", &bytes);
        if let Ok((space, _)) = try_load(&Paths::default(), &path) {
            loaded += 1;
            assert!(space.vmas().all(|v| v.end <= space.layout().task_size));
        }
    }
    assert!(loaded > 50, "{loaded} damaged files were still good enough");
}

#[test]
fn the_stack_is_laid_out_as_the_kernel_does() {
    let dir = Dir::new("stack");
    for isa in [&RISCV64, &RISCV32] {
        let path = dir.put("a", &elf(isa, 2, 0x11004, &[HEADER, TEXT, DATA], &body()));
        let (mut s, loaded) = try_load(&Paths::default(), &path).expect("well-formed");
        let text = |list: &[&str]| list.iter().map(|t| t.as_bytes().to_vec()).collect::<Vec<_>>();
        let request = StackRequest {
            isa,
            model: &crate::testing::model(),
            loaded: &loaded,
            vdso: 0x7000,
            execfn: b"./a",
            argv: &text(&["a", "-x", ""]),
            env: &text(&["HOME=/", "A=b"]),
            uid: Default::default(),
            gid: Default::default(),
            random: *b"0123456789abcdef",
        };
        let stack = build(&mut s, &request).expect("room");
        assert_eq!(stack.sp % 16, 0);
        let w = isa.abi.word_bytes() as u64;
        let mut word = |n: u64| s.get::<ULong>(GuestPtr::new(stack.sp + n * w), isa.abi).expect("stack");
        assert_eq!((word(0), word(4), word(7)), (3, 0, 0), "argc, end of argv, end of envp");
        let (argv, envp) = ([word(1), word(2), word(3)], [word(5), word(6)]);
        let mut aux = std::collections::BTreeMap::new();
        let mut n = 8;
        while word(n) != at::NULL {
            aux.insert(word(n), word(n + 1));
            n += 2;
        }
        let mut string = |addr| s.cstr(addr, 100).expect("stack").into_string().expect("utf-8");
        assert_eq!(argv.map(&mut string), ["a", "-x", ""]);
        assert_eq!(envp.map(&mut string), ["HOME=/", "A=b"]);
        assert_eq!(string(aux[&at::EXECFN]), "./a");
        assert_eq!(s.bytes(aux[&at::RANDOM], 16), Ok(b"0123456789abcdef".to_vec()));
        assert_eq!(aux[&at::PHDR], loaded.program.phdr);
        assert_eq!((aux[&at::PHNUM], aux[&at::PAGESZ], aux[&at::ENTRY]), (3, 4096, 0x11004));
        assert_eq!((aux[&at::HWCAP], aux[&at::BASE], aux[&at::SYSINFO_EHDR]), (0x112d, 0, 0x7000));
        assert_eq!(aux[&at::PHENT], if isa.abi.is64() { 56 } else { 32 });
        assert_eq!(s.bytes(stack.args.0, 2), Ok(b"a\0".to_vec()));
        assert_eq!(s.bytes(stack.envs.0, 7), Ok(b"HOME=/\0".to_vec()));
        let long = vec![vec![b'x'; 40_000]; 100];
        let (mut fresh, _) = try_load(&Paths::default(), &path).expect("well-formed");
        let e = build(&mut fresh, &StackRequest { argv: &long, ..request }).expect_err("too long");
        assert_eq!(e.reason, Reason::ArgumentsTooLong);
    }
}
