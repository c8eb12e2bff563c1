//! Any bytes from a client of QMP: read, commands run on an empty machine and on a board, answered.
#![no_main]

mod support {
    pub mod machine;
}

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use support::machine::{NONE, VIRT, harmless_command, settle, with};
use tern_control::qmp::command::{Answer, Error};
use tern_control::qmp::commands::ALL;
use tern_control::qmp::event::{Event, Throttle};
use tern_control::qmp::events::EVENTS;
use tern_control::qmp::protocol::{Call, Session};
use tern_control::vm::Vm;

/// How often a command that takes its time is asked.
const ASKED: usize = 3;

fn run(vm: &mut Vm, session: &mut Session, call: Call<Vm>) {
    let result = if harmless_command(call.command.name, &call.arguments) {
        match (call.command.run)(vm, call.arguments) {
            Ok(Answer::Now(value)) => Ok(value),
            Ok(Answer::Later(mut later)) => {
                (0..ASKED).find_map(|_| later(vm)).unwrap_or_else(|| Err(Error::new("it takes too long")))
            }
            Err(why) => Err(why),
        }
    } else {
        Err(Error::new("this would reach the host"))
    };
    session.answer(call.ticket, result);
}

fn talk(vm: &mut Vm, kind: u8, mut bytes: &[u8]) {
    let mut session = Session::new(&json!({}), kind & 2 != 0, true);
    if kind & 4 == 0 {
        session.feed(b"{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[\"oob\"]}}");
    }
    let mut throttle = Throttle::new(EVENTS);
    let mut now_ns = 0;
    loop {
        while let Some(call) = session.next(ALL, vm.options.preconfig) {
            run(vm, &mut session, call);
            now_ns += 100_000_000;
            for event in settle(vm) {
                let event = Event { name: event.name.to_owned(), data: event.data, at_ns: event.time_ns };
                if let Some(event) = throttle.push(event, now_ns) {
                    session.event(&event);
                }
            }
            for event in throttle.due(now_ns) {
                session.event(&event);
            }
        }
        let output = session.take_output();
        assert!(output.is_ascii() && output.ends_with(b"\r\n") || output.is_empty(), "answers are lines of ASCII");
        if bytes.is_empty() {
            return;
        }
        let taken = session.feed(bytes);
        assert!(taken > 0, "a client whose commands are answered is heard");
        bytes = &bytes[taken..];
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else { return };
    with(if kind & 1 == 0 { VIRT } else { NONE }, bytes, |vm| talk(vm, *kind, rest));
});
