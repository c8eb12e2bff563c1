//! A TPM on the command line, driven through qtest: swtpm behind `-tpmdev emulator`.  Without Debian's swtpm this test says
//! so and ends.
#![cfg(all(target_os = "linux", feature = "riscv64"))]
#![allow(clippy::disallowed_methods, reason = "the test waits for another process")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Registers of locality 0 on the platform bus (TCG PC Client Platform TPM Profile 1.03, table 9): access, status, FIFO.
const ACCESS: u64 = 0x400_0000;
const STATUS: u64 = ACCESS + 0x18;
const FIFO: u64 = ACCESS + 0x24;
const PATIENCE: Duration = Duration::from_secs(20);

/// A process that goes with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Qtest(BufReader<UnixStream>);

impl Qtest {
    fn ask(&mut self, command: &str) -> u64 {
        writeln!(self.0.get_mut(), "{command}").unwrap();
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let answer = line.trim().strip_prefix("OK").unwrap_or_else(|| panic!("{command}: {line}")).trim();
        answer.strip_prefix("0x").map_or(0, |hex| u64::from_str_radix(hex, 16).unwrap())
    }

    fn write(&mut self, at: u64, byte: u8) {
        self.ask(&format!("writeb {at:#x} {byte:#x}"));
    }

    fn read(&mut self, at: u64) -> u8 {
        self.ask(&format!("readb {at:#x}")) as u8
    }

    /// Executes a command of the TPM.
    fn execute(&mut self, command: &[u8]) -> Vec<u8> {
        self.write(STATUS, 0x40);
        command.iter().for_each(|byte| self.write(FIFO, *byte));
        self.write(STATUS, 0x20);
        let begin = Instant::now();
        while self.read(STATUS) & 0x10 == 0 {
            assert!(begin.elapsed() < PATIENCE, "no response");
            std::thread::sleep(Duration::from_millis(2));
        }
        let mut response: Vec<u8> = (0..10).map(|_| self.read(FIFO)).collect();
        let len = u32::from_be_bytes(response[2..6].try_into().unwrap()) as usize;
        (10..len).for_each(|_| response.push(self.read(FIFO)));
        response
    }
}

fn swtpm(folder: &Path, control: &Path) -> Option<Running> {
    let (state, control) = (format!("dir={}", folder.display()), format!("type=unixio,path={}", control.display()));
    let args = ["socket", "--tpm2", "--tpmstate", &state, "--ctrl", &control, "--flags", "not-need-init"];
    match Command::new("swtpm").args(args).spawn() {
        Ok(child) => Some(Running(child)),
        Err(e) => {
            eprintln!("swtpm: {e}: the test is left out");
            None
        }
    }
}

#[test]
fn a_guest_reaches_its_tpm() {
    let folder = std::env::temp_dir().join(format!("tern-tpmdev-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (control, qtest) = (folder.join("control"), folder.join("qtest"));
    let Some(_swtpm) = swtpm(&folder, &control) else { return };
    let begin = Instant::now();
    while !control.exists() {
        assert!(begin.elapsed() < PATIENCE, "swtpm does not listen");
        std::thread::sleep(Duration::from_millis(5));
    }
    let listener = UnixListener::bind(&qtest).unwrap();
    let chardev = format!("socket,id=c,path={}", control.display());
    let machine = Command::new(env!("CARGO_BIN_EXE_tern"))
        .args(["qemu-system-riscv64", "-M", "virt", "-accel", "qtest", "-display", "none", "-nodefaults"])
        .args(["-tpmdev", "emulator,id=tpm0,chardev=c", "-chardev", &chardev, "-device", "tpm-tis-device,tpmdev=tpm0"])
        .args(["-qtest", &format!("unix:{}", qtest.display())])
        .spawn();
    let _machine = Running(machine.unwrap());
    let mut q = Qtest(BufReader::new(listener.accept().unwrap().0));
    q.write(ACCESS, 2);
    assert_eq!(q.read(ACCESS) & 0x20, 0x20, "the locality is taken");
    let started = q.execute(&[0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0]);
    assert_eq!(started, [0x80, 1, 0, 0, 0, 10, 0, 0, 0, 0]);
    let mut random = || q.execute(&[0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x7b, 0, 8]);
    let (one, other) = (random(), random());
    assert_eq!((one.len(), &one[..12]), (20, &other[..12]));
    assert_ne!(one, other);
    std::fs::remove_dir_all(&folder).unwrap();
}
