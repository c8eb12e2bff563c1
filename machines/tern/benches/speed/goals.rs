//! The goals of the interpreter, and what was measured beside them.

use crate::cases::MIXED;
use crate::counts::Counts;
use crate::debian;
use crate::engines::Engine;
use crate::figures::table;
use crate::measure::Table;
use serde_json::{Value, json};

/// User time over the kernels, divided by that of QEMU's JIT.
const KERNELS_JIT: Goal = Goal::AtMost(1.3);
/// How many times faster than QEMU's TCI over the kernels.
const KERNELS_TCI: Goal = Goal::AtLeast(14.0);
/// How many times faster than QEMU's TCI on CoreMark.
const COREMARK_TCI: Goal = Goal::AtLeast(12.0);
/// How many times faster than libriscv's interpreter on CoreMark.
const COREMARK_LIBRISCV: Goal = Goal::AtLeast(2.0);
/// User time of loop dispatch, divided by that of tail dispatch.
const LOOP: Goal = Goal::AtMost(2.2);
/// Milliseconds from the start to the end of a static hello-world.
const HELLO_WALL_MS: Goal = Goal::AtMost(3.0);
/// MiB resident of the same.
const HELLO_MIB: Goal = Goal::AtMost(12.0);
/// User time on cold code, divided by that of QEMU's JIT.
const COLD_JIT: Goal = Goal::AtMost(1.5);
/// Million guest instructions translated in a second.
const TRANSLATION: Goal = Goal::AtLeast(4.0);
/// Words for each guest instruction on CoreMark.
const WORDS: Goal = Goal::AtMost(1.2);

/// The name that `--peer` gives libriscv, and `--program` CoreMark.
const LIBRISCV: &str = "libriscv";
const COREMARK: &str = "coremark";

/// Kernels that mostly wait for this host's kernel, which no interpreter makes slower; a second mean leaves them out.
const SYSTEM: [&str; 2] = ["procs", "sysc"];

/// What a figure should be.
#[derive(Clone, Copy)]
enum Goal {
    AtMost(f64),
    AtLeast(f64),
    /// It is only to be stated.
    Stated,
}

/// The goals of a ratio, by peer.
#[derive(Clone, Copy)]
struct Goals {
    jit: Goal,
    tci: Goal,
    libriscv: Goal,
}

/// A line of the summary.
struct Figure {
    what: String,
    goal: Goal,
    measured: f64,
}

impl Goal {
    fn text(self) -> String {
        match self {
            Goal::AtMost(limit) => format!("<= {limit}"),
            Goal::AtLeast(limit) => format!(">= {limit}"),
            Goal::Stated => "-".to_owned(),
        }
    }

    fn reached(self, measured: f64) -> Option<bool> {
        match self {
            Goal::AtMost(limit) => Some(measured <= limit),
            Goal::AtLeast(limit) => Some(measured >= limit),
            Goal::Stated => None,
        }
    }
}

/// The figures that were measured, in the order of the goals.
#[derive(Default)]
pub(crate) struct Summary {
    figures: Vec<Figure>,
}

impl Summary {
    fn add(&mut self, what: String, goal: Goal, measured: Option<f64>) {
        self.figures.extend(measured.map(|measured| Figure { what, goal, measured }));
    }

    /// Kernels against every engine.
    pub(crate) fn kernels(&mut self, table: &Table, engines: &[Engine]) {
        for engine in engines.iter().skip(1).filter(|e| !e.native) {
            let Some((mean, n)) = table.mean(&engine.name) else { continue };
            // A mean of some of them is no answer to a goal for all.
            let all = table.names().count();
            let goals = if n == all { [KERNELS_JIT, KERNELS_TCI] } else { [Goal::Stated; 2] };
            self.kernel_mean(&format!("kernels (mean of {n} of {all})"), engine, mean, goals);
            let Some((computing, m)) = table.mean_without(&engine.name, &SYSTEM) else { continue };
            if m < n {
                let name = format!("computing kernels (mean of {m})");
                self.kernel_mean(&name, engine, computing, [Goal::Stated; 2]);
            }
        }
    }

    fn kernel_mean(&mut self, name: &str, engine: &Engine, mean: f64, [jit, tci]: [Goal; 2]) {
        self.against(name, engine, mean, Goals { jit, tci, libriscv: Goal::Stated });
    }

    /// Each program against every engine; the goals are CoreMark's.
    pub(crate) fn programs(&mut self, table: &Table, engines: &[Engine]) {
        for name in table.names() {
            let goals = match name == COREMARK || name == MIXED {
                true => Goals { jit: Goal::Stated, tci: COREMARK_TCI, libriscv: COREMARK_LIBRISCV },
                false => Goals { jit: Goal::Stated, tci: Goal::Stated, libriscv: Goal::Stated },
            };
            for engine in engines.iter().skip(1).filter(|e| !e.native) {
                let Some(ratio) = table.ratio(name, &engine.name) else { continue };
                self.against(name, engine, ratio, goals);
            }
        }
    }

    /// One ratio of user times, said as the goal of that engine is said.
    fn against(&mut self, name: &str, engine: &Engine, ratio: f64, goals: Goals) {
        let peer = &engine.name;
        match peer.as_str() {
            _ if engine.tern => self.add(format!("{name}: loop / tail user time"), LOOP, Some(1.0 / ratio)),
            _ if engine.jit => {
                let what = format!("{name}: user time / {peer} ({})", short(&engine.version));
                self.add(what, goals.jit, Some(ratio));
            }
            "tci" => self.add(format!("{name}: times faster than tci"), goals.tci, Some(1.0 / ratio)),
            LIBRISCV => self.add(format!("{name}: times faster than {peer}"), goals.libriscv, Some(1.0 / ratio)),
            _ => self.add(format!("{name}: times faster than {peer}"), Goal::Stated, Some(1.0 / ratio)),
        }
    }

    /// Start-up.
    pub(crate) fn start(&mut self, table: &Table) {
        let hello = table.first("hello");
        self.add("static hello-world: wall ms".to_owned(), HELLO_WALL_MS, hello.map(|c| c.wall * 1e3));
        self.add("static hello-world: MiB resident".to_owned(), HELLO_MIB, hello.map(|c| c.resident));
    }

    /// Cold code against every JIT.
    pub(crate) fn cold(&mut self, table: &Table, engines: &[Engine]) {
        for name in table.names().filter(|name| debian::GOALS.contains(name)) {
            for engine in engines.iter().filter(|e| e.jit) {
                let what = format!("{name}: user time / {} ({})", engine.name, short(&engine.version));
                self.add(what, COLD_JIT, table.ratio(name, &engine.name));
            }
        }
    }

    /// Density of programs; the goal is CoreMark's.
    pub(crate) fn counts(&mut self, all: &[Counts]) {
        for c in all.iter().filter(|c| [COREMARK, MIXED].contains(&c.name.as_str())) {
            self.add(format!("{}: words made / instruction translated", c.name), WORDS, Some(c.made));
            self.add(format!("{}: words run / instruction, unfused", c.name), WORDS, Some(c.words));
            self.add(format!("{}: dispatches / instruction", c.name), Goal::Stated, Some(c.dispatches));
        }
    }

    /// Speed of translation.
    pub(crate) fn micro(&mut self, report: &Value) {
        let rate = report["translation"]["minsns_per_s"].as_f64();
        self.add("translation: million instructions / s".to_owned(), TRANSLATION, rate);
    }

    /// Prints all, with what falls short of its goal.
    pub(crate) fn print(&self) {
        let mut rows = vec![["figure", "goal", "measured", ""].map(str::to_owned).to_vec()];
        for f in &self.figures {
            let verdict = match f.goal.reached(f.measured) {
                Some(true) => "reached",
                Some(false) => "not reached",
                None => "",
            };
            rows.push(vec![f.what.clone(), f.goal.text(), format!("{:.3}", f.measured), verdict.to_owned()]);
        }
        if rows.len() > 1 {
            println!("\nsummary");
            print!("{}", table(&rows));
        }
    }

    /// Everything.
    pub(crate) fn json(&self) -> Value {
        let row = |f: &Figure| {
            let reached = f.goal.reached(f.measured);
            json!({ "figure": f.what, "goal": f.goal.text(), "measured": f.measured, "reached": reached })
        };
        self.figures.iter().map(row).collect()
    }
}

/// `qemu-riscv64 version 7.2.9 (...)` without its ends.
fn short(version: &str) -> &str {
    let number = version.split_once("version ").map_or(version, |(_, rest)| rest);
    number.split(' ').next().unwrap_or(number)
}
