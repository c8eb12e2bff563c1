//! Programs from the table assembler, and the built binary run on them.
#![allow(dead_code, reason = "every test file uses another part")]
#![allow(clippy::disallowed_methods, reason = "a test's own threads watch the child")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tern_session::{image, isa};

/// A directory of this test alone.
pub(crate) struct Dir(PathBuf);

impl Dir {
    pub(crate) fn new(name: &str) -> Dir {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("temporary directory");
        Dir(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A file with this mode.
    pub(crate) fn file(&self, name: &str, bytes: &[u8], mode: u32) -> PathBuf {
        let path = self.path(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).expect("directory");
        }
        std::fs::write(&path, bytes).expect("file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("mode");
        path
    }

    /// A static program.
    pub(crate) fn program(&self, name: &str, isa: &str, source: &str) -> PathBuf {
        self.file(name, &elf(isa, source), 0o755)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Assembles a static program.
pub(crate) fn elf(isa: &str, source: &str) -> Vec<u8> {
    let isa = isa::by_name(isa).expect("ISA is built");
    let assembler = isa.assembler(None).expect("assembler");
    let image = assembler.assemble_image(source, image::BASE, &BTreeMap::new()).expect("source is right");
    image::executable(isa, &image, image::BASE).expect("image is right")
}

/// What a run of tern gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// What a shell would show as `$?`.
    pub(crate) fn status(&self) -> Option<i32> {
        self.code.or(self.signal.map(|s| 128 + s))
    }
}

/// Seconds after which a run has failed.
const LIMIT: u64 = 60;

/// Runs a command to its end; one that does not end fails the test.
pub(crate) fn finish(command: &mut Command) -> Ran {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("tern runs");
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let pid = child.id();
    let watch = std::thread::spawn(move || {
        if wait.recv_timeout(std::time::Duration::from_secs(LIMIT)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            // The child is not waited for before this thread is told, so the number is still its own.
            let killed = Command::new("kill").args(["-9", &pid.to_string()]).status();
            panic!("tern was still running after {LIMIT} seconds; kill: {killed:?}");
        }
    });
    let mut err = child.stderr.take().expect("a pipe");
    let errors = std::thread::spawn(move || {
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut err, &mut text).map(|_| text)
    });
    let mut stdout = Vec::new();
    let mut out = child.stdout.take().expect("a pipe");
    std::io::Read::read_to_end(&mut out, &mut stdout).expect("output");
    let stderr = errors.join().expect("reader").expect("errors");
    // Both pipes are closed: the child has ended or is about to.
    drop(done);
    watch.join().expect("tern ends in time");
    let status = child.wait().expect("tern is a child");
    ran(&Output { status, stdout, stderr })
}

pub(crate) fn ran(output: &Output) -> Ran {
    use std::os::unix::process::ExitStatusExt;
    Ran {
        code: output.status.code(),
        signal: output.status.signal(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The command, with nothing of ours in its environment.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tern"));
    command.env_clear().stdin(Stdio::null());
    command
}

/// Runs tern with arguments.
pub(crate) fn tern<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Ran {
    finish(command().args(args))
}

/// Runs `tern run` on a program.
pub(crate) fn run(program: &Path) -> Ran {
    tern([OsStr::new("run"), program.as_os_str()])
}

/// Ends with the status in `a0`, on both word sizes.
pub(crate) const EXIT: &str = "
exit:   li      a7, 93
        ecall
";

/// Prints the string at `a0` and a newline.
pub(crate) const PUTS: &str = "
puts:   mv      a1, a0
        mv      t0, a0
1:      lbu     t1, 0(t0)
        addi    t0, t0, 1
        bnez    t1, 1b
        sub     a2, t0, a1
        addi    a2, a2, -1
        li      a0, 1
        li      a7, 64
        ecall
        la      a1, newline
        li      a2, 1
        li      a0, 1
        ecall
        ret
newline: .byte 10
        .balign 4
";

/// A program that greets.
pub(crate) fn hello() -> String {
    format!("_start: la a0, text\n call puts\n li a0, 0\n call exit\n{PUTS}{EXIT}text: .asciz \"hello\"\n")
}
