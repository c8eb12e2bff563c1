//! Tests of the protocol without a machine: commands act on a list of words.
#![allow(unreachable_pub, reason = "types are declared in the words of the crate's own")]

use super::command::{Answer, Command, Empty, Error, commands};
use super::event::{Event, EventRow, Throttle, events};
use super::introspect::introspect;
use super::json::Reader;
use super::protocol::{Negotiation, Session};
use super::qapi::qapi;
use super::schema::{Path, Type};
use super::write::text;
use serde_json::{Value, json};

qapi! {
    /// A colour.
    enum Colour { DarkRed, Green as "Green!" }
    /// Members of every kind.
    struct Thing { name: String, of_age: Option<i64>, colour as "colour_of": Option<Colour>, parts: Option<Vec<Thing>>, free: Option<Value> }
    /// Known and unknown members.
    open Adder { driver: String }
    /// Of a branch.
    struct Tap { ifname: String, fast: Option<bool> }
    /// By a word.
    union Net { id: String; by "type" as NetKind; Tap(Tap), HubPort(Empty) as "hubport" }
    /// By the type.
    alternate Reference { Name(String), Whole(Thing), Number(i64), Nothing(()) }
    /// What it is wrapped in.
    struct Wrapped { value: Value, of: Option<Reference> }
}

#[derive(Default)]
struct Context {
    words: Vec<String>,
    open: bool,
}

static COMMANDS: &[Command<Context>] = commands! { Context;
    "qmp_capabilities" [preconfig] (Negotiation) -> Empty = |_, _| Ok(Empty {});
    "say" [preconfig] (Thing) -> Thing = |context, thing| {
        context.words.push(thing.name.clone());
        Ok(thing)
    };
    "add" (Adder) -> Empty = |_, adder| match adder.rest.len() {
        0 => Err(Error::new("nothing to add")),
        _ => Ok(Empty {}),
    };
    "net" (Net) -> Net = |_, net| Ok(net);
    "wrap" (Wrapped) -> Vec<Reference> = |_, wrapped| Ok(wrapped.of.into_iter().collect());
    "urgent" [oob] (Empty) -> bool = |context, _| {
        context.open = true;
        Ok(true)
    };
    "both" [oob, preconfig] (Empty) -> Empty = |_, _| Ok(Empty {});
    "slow" (Empty) -> Answer<Context, String> = |_, _| {
        Ok(Answer::Later(Box::new(|context| context.open.then(|| Ok("at last".to_owned())))))
    };
};

static EVENTS: &[EventRow] = events! {
    THING_SAID Thing;
    BALLOON_CHANGE Empty [key ""];
    VSERPORT_CHANGE Tap [key "ifname"];
    BLOCK_IO_ERROR Tap [key "ifname"];
};

fn read(bytes: &[u8]) -> Vec<Result<Value, String>> {
    let mut reader = Reader::new();
    bytes.iter().flat_map(|b| reader.feed(*b)).collect()
}

fn one(text: &str) -> Value {
    let mut all = read(text.as_bytes());
    assert_eq!(all.len(), 1, "{text}: {all:?}");
    all.remove(0).unwrap()
}

fn wrong(bytes: &[u8]) -> String {
    let mut all = read(bytes);
    assert_eq!(all.len(), 1, "{bytes:?}: {all:?}");
    all.remove(0).unwrap_err()
}

#[test]
fn values() {
    assert_eq!(one("{}"), json!({}));
    assert_eq!(one(" {\"a\" : [1, -2, true,null,\r\n\t'x']}"), json!({"a": [1, -2, true, null, "x"]}));
    assert_eq!(one("[{},[],[[{}]]]"), json!([{}, [], [[{}]]]));
    assert_eq!(one("null "), Value::Null);
    assert_eq!(one("'it\"s' "), json!("it\"s"));
    assert_eq!(one("\"it's\" "), json!("it's"));
    // Scalars end with what follows.
    assert_eq!(
        read(b"1 2\n'a''b'true{"),
        [Ok(json!(1)), Ok(json!(2)), Ok(json!("a")), Ok(json!("b")), Ok(json!(true))]
    );
    assert_eq!(read(b"{}{}"), [Ok(json!({})), Ok(json!({}))]);
    assert_eq!(read(b"{\"a\":"), []);
}

#[test]
fn numbers() {
    for (text, value) in [
        ("0 ", json!(0)),
        ("-0 ", json!(0)),
        ("9223372036854775807 ", json!(i64::MAX)),
        ("9223372036854775808 ", json!(1_u64 << 63)),
        ("18446744073709551615 ", json!(u64::MAX)),
        ("18446744073709551616 ", json!(18_446_744_073_709_551_616.0_f64)),
        ("-9223372036854775808 ", json!(i64::MIN)),
        ("-9223372036854775809 ", json!(-9_223_372_036_854_775_809.0_f64)),
        ("0.5 ", json!(0.5)),
        ("1e3 ", json!(1000.0)),
        ("12.5E-1 ", json!(1.25)),
    ] {
        assert_eq!(one(text), value, "{text}");
    }
    assert_eq!(wrong(b"1e999 "), "JSON parse error, number out of range");
    assert_eq!(wrong(b"01"), "JSON parse error, stray '01'");
    assert_eq!(wrong(b"1.x"), "JSON parse error, stray '1.x'");
    assert_eq!(wrong(b"-x"), "JSON parse error, stray '-x'");
    assert_eq!(wrong(b"NaN"), "JSON parse error, stray 'N'");
}

#[test]
fn strings() {
    assert_eq!(one(r#""\"\\\/\b\f\n\r\t\'A\u00e9\ud83D\uDe00""#), json!("\"\\/\u{8}\u{c}\n\r\t'A\u{e9}\u{1f600}"));
    assert_eq!(one("'\u{e9}\u{1f600}'"), json!("\u{e9}\u{1f600}"));
    assert_eq!(read(b"'a\xc0\x80b'"), [Ok(json!("a\0b"))]);
    for (bytes, why) in [
        (&b"'\\x'"[..], "invalid escape sequence in string"),
        (b"'\\u12'", "\\u12 is not a valid Unicode character"),
        (b"'\\ud800'", "\\ud800 is not a valid Unicode character"),
        (b"'\\ud800\\u0041'", "\\ud800 is not a valid Unicode character"),
        (b"'\\udc00'", "\\udc00 is not a valid Unicode character"),
        (b"'\\uffff'", "\\uffff is not a valid Unicode character"),
        (b"'\x80'", "invalid UTF-8 sequence in string"),
        (b"'\xc0'", "invalid UTF-8 sequence in string"),
        (b"'\xc0\xc0\x80'", "invalid UTF-8 sequence in string"),
        (b"'\xed\xa0\x80'", "invalid UTF-8 sequence in string"),
        (b"'\xef\xbf\xbf'", "invalid UTF-8 sequence in string"),
        (b"'\xf8\x88\x80\x80\x80'", "invalid UTF-8 sequence in string"),
    ] {
        assert_eq!(wrong(bytes), format!("JSON parse error, {why}"));
    }
}

#[test]
fn mistakes_in_the_grammar() {
    for (text, why) in [
        ("}", "expecting value"),
        (",", "expecting value"),
        ("{]", "expecting value"),
        ("[}", "expecting value"),
        ("[1,]", "expecting value"),
        ("[1 2]", "expected separator in list"),
        ("[1:2]", "expected separator in list"),
        ("{'a':1]", "expected separator in dict"),
        ("{'a' 1}", "missing : in object pair"),
        ("{'a'}", "missing : in object pair"),
        ("{'a':}", "expecting value"),
        ("{'a':1,}", "expecting value"),
        ("{1:2}", "key is not a string in object"),
        ("{{}:2}", "key is not a string in object"),
        ("{nope:2}", "invalid keyword 'nope'"),
        ("{'a':1,'a':2}", "duplicate key"),
        ("[nope]", "invalid keyword 'nope'"),
        // The first mistake is told, once, when the value ends.
        ("{'a':[nope,,{'b'}]}", "invalid keyword 'nope'"),
    ] {
        assert_eq!(wrong(text.as_bytes()), format!("JSON parse error, {why}"), "{text}");
    }
}

/// After every mistake the reader finds the next value.
#[test]
fn recovery() {
    for (bytes, mistakes) in [
        (&b"{]\n"[..], 1),
        (b"{\xff", 1),
        (b"{\x01", 1),
        (b"{'bad \xff", 1),
        (b"{'execute': 'nonexistent', 'id':'\n", 1),
        (b"%p", 1),
        (b"{'a': @rest of \"the\" line\t 'too'", 1),
        (b"\xff\xff", 2),
        (b"{'a': 1.\xff\n", 1),
        (b"{'a': 1.\xff\x02", 2),
    ] {
        let mut all = read(&[bytes, b"{'x': 1}"].concat());
        assert_eq!(all.pop(), Some(Ok(json!({"x": 1}))), "{bytes:?}");
        assert_eq!(all.len(), mistakes, "{bytes:?}: {all:?}");
        assert!(all.iter().all(Result::is_err), "{all:?}");
    }
}

#[test]
fn limits() {
    let nested = |n: usize| ["[".repeat(n), "]".repeat(n)].concat();
    assert!(one(&nested(1024)).is_array());
    let all = read(nested(1025).as_bytes());
    assert_eq!(all[0], Err("JSON nesting depth limit exceeded".to_owned()));
    let all = read(["[", &"1,".repeat(1 << 20)].concat().as_bytes());
    assert_eq!(all, [Err("JSON token count limit exceeded".to_owned())]);
    let mut reader = Reader::with_limit(1 << 10);
    let mut found = reader.feed(b'"').next();
    for _ in 0..1 << 10 {
        found = found.or(reader.feed(b'x').next());
    }
    assert_eq!(found, Some(Err("JSON token size limit exceeded".to_owned())));
    let long = ["[", &"'0123456789',".repeat(100)].concat();
    let all: Vec<_> = long.bytes().flat_map(|b| reader.feed(b)).collect();
    assert_eq!(all[0], Err("JSON token size limit exceeded".to_owned()), "all tokens together");
}

#[test]
fn writing() {
    let value = json!({"a": [1, {}, []], "b": {"c": "\u{e9}\u{1f600}\u{7f}\0\"\\\n/"}, "f": 1.5, "g": 2.0, "n": null});
    let line =
        r#"{"a": [1, {}, []], "b": {"c": "\u00E9\uD83D\uDE00\u007F\u0000\"\\\n/"}, "f": 1.5, "g": 2, "n": null}"#;
    assert_eq!(text(&value, false), line);
    assert_eq!(
        text(&json!({"a": [1, {}], "b": {"c": 2}}), true),
        "{\n    \"a\": [\n        1,\n        {}\n    ],\n    \"b\": {\n        \"c\": 2\n    }\n}"
    );
    assert_eq!(one(line)["b"], value["b"]);
}

/// A client and what answers it.
struct Bench {
    session: Session,
    context: Context,
    later: Vec<(super::protocol::Ticket, super::command::Later<Context, Value>)>,
    preconfig: bool,
}

impl Bench {
    fn new() -> Bench {
        let version = json!({"qemu": {"major": 10, "micro": 0, "minor": 0}, "package": "tern"});
        let session = Session::new(&version, false, true);
        Bench { session, context: Context::default(), later: Vec::new(), preconfig: false }
    }

    fn ready(oob: bool) -> Bench {
        let mut bench = Bench::new();
        bench.ask(if oob {
            "{'execute':'qmp_capabilities','arguments':{'enable':['oob']}}"
        } else {
            "{'execute':'qmp_capabilities'}"
        });
        bench
    }

    fn run(&mut self) {
        let pending = core::mem::take(&mut self.later);
        for (ticket, mut ask) in pending {
            match ask(&mut self.context) {
                Some(result) => self.session.answer(ticket, result),
                None => self.later.push((ticket, ask)),
            }
        }
        while let Some(call) = self.session.next(&[COMMANDS], self.preconfig) {
            match (call.command.run)(&mut self.context, call.arguments) {
                Ok(Answer::Later(ask)) => self.later.push((call.ticket, ask)),
                Ok(Answer::Now(value)) => self.session.answer(call.ticket, Ok(value)),
                Err(why) => self.session.answer(call.ticket, Err(why)),
            }
        }
    }

    /// Sends everything; gives the lines that come back.
    fn ask(&mut self, text: &str) -> String {
        let mut rest = text.as_bytes();
        loop {
            let n = self.session.feed(rest);
            rest = &rest[n..];
            self.run();
            if n == 0 || rest.is_empty() {
                break;
            }
        }
        assert!(rest.is_empty(), "not taken: {}", String::from_utf8_lossy(rest));
        self.output()
    }

    fn output(&mut self) -> String {
        String::from_utf8(self.session.take_output()).unwrap()
    }
}

fn error(class: &str, text: &str) -> String {
    format!("{{\"error\": {{\"class\": \"{class}\", \"desc\": \"{text}\"}}}}\r\n")
}

#[test]
fn negotiation() {
    let mut bench = Bench::new();
    assert_eq!(
        bench.output(),
        "{\"QMP\": {\"capabilities\": [\"oob\"], \"version\": {\"package\": \"tern\", \"qemu\": {\"major\": 10, \"micro\": 0, \"minor\": 0}}}}\r\n"
    );
    let expecting = error("CommandNotFound", "Expecting capabilities negotiation with 'qmp_capabilities'");
    assert_eq!(bench.ask("{'execute':'say'}"), expecting);
    assert_eq!(bench.ask("{'execute':'no-such-command'}"), expecting);
    assert_eq!(bench.ask("{'exec-oob':'urgent'}"), error("GenericError", "QMP input member 'exec-oob' is unexpected"));
    assert_eq!(bench.ask("{]"), error("GenericError", "JSON parse error, expecting value"));
    bench.session.event(&Event { name: "THING_SAID".into(), data: Value::Null, at_ns: 0 });
    assert_eq!(bench.output(), "", "no events before the negotiation");
    assert_eq!(
        bench.ask("{'execute':'qmp_capabilities','arguments':{'enable':1}}"),
        error("GenericError", "Invalid parameter type for 'enable', expected: array")
    );
    assert_eq!(
        bench.ask("{'execute':'qmp_capabilities','arguments':{'enable':['no-such']}}"),
        error("GenericError", "Parameter 'enable[0]' does not accept value 'no-such'")
    );
    assert_eq!(bench.ask("{'execute':'qmp_capabilities'}"), "{\"return\": {}}\r\n");
    assert_eq!(
        bench.ask("{'execute':'qmp_capabilities'}"),
        error("CommandNotFound", "Capabilities negotiation is already complete, command ignored")
    );
    let mut plain = Session::new(&Value::Null, false, false);
    assert_eq!(plain.take_output(), b"{\"QMP\": {\"capabilities\": [], \"version\": null}}\r\n");
    plain.feed(b"{'execute':'qmp_capabilities','arguments':{'enable':['oob']}}");
    let call = plain.next(&[COMMANDS], false).unwrap();
    plain.answer(call.ticket, Ok(json!({})));
    assert_eq!(String::from_utf8(plain.take_output()).unwrap(), error("GenericError", "Capability oob not available"));
}

#[test]
fn requests() {
    let mut bench = Bench::ready(false);
    for (request, why) in [
        ("null ", "QMP input must be a JSON object"),
        ("[{}]", "QMP input must be a JSON object"),
        ("{}", "QMP input lacks member 'execute'"),
        ("{'arguments':{}}", "QMP input lacks member 'execute'"),
        ("{'execute':true}", "QMP input member 'execute' must be a string"),
        ("{'execute':'x','arguments':[]}", "QMP input member 'arguments' must be an object"),
        ("{'execute':'x','extra':true}", "QMP input member 'extra' is unexpected"),
        ("{'exec-oob':'x'}", "QMP input member 'exec-oob' is unexpected"),
    ] {
        assert_eq!(bench.ask(request), error("GenericError", why), "{request}");
    }
    assert_eq!(bench.ask("{'execute':'x'}"), error("CommandNotFound", "The command x has not been found"));
    assert_eq!(
        bench.ask("{'execute':'x','id':{'a':[1]}}"),
        "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The command x has not been found\"}, \"id\": {\"a\": [1]}}\r\n"
    );
    assert_eq!(
        bench.ask("{'execute':'say','id':null,'arguments':{'name':'n'}}"),
        "{\"return\": {\"name\": \"n\"}, \"id\": null}\r\n"
    );
    assert_eq!(bench.context.words, ["n"]);
    bench.preconfig = true;
    assert!(bench.ask("{'execute':'urgent'}").contains("error"));
    assert!(bench.ask("{'execute':'say','arguments':{'name':'n'}}").contains("return"));
    assert!(bench.ask("{'execute':'both'}").contains("return"));
}

#[test]
fn arguments() {
    let mut bench = Bench::ready(false);
    let mut say =
        |command: &str, arguments: &str| bench.ask(&format!("{{'execute':'{command}','arguments':{arguments}}}"));
    for (command, arguments, why) in [
        ("say", "{}", "Parameter 'name' is missing"),
        ("say", "{'name':1}", "Invalid parameter type for 'name', expected: string"),
        ("say", "{'name':'a','of_age':1}", "Parameter 'of_age' is unexpected"),
        ("say", "{'name':'a','of-age':'1'}", "Invalid parameter type for 'of-age', expected: integer"),
        ("say", "{'name':'a','of-age':null}", "Invalid parameter type for 'of-age', expected: integer"),
        ("say", "{'name':'a','of-age':9223372036854775808}", "Invalid parameter type for 'of-age', expected: integer"),
        ("say", "{'name':'a','colour_of':'red'}", "Parameter 'colour_of' does not accept value 'red'"),
        ("say", "{'name':'a','colour_of':1}", "Invalid parameter type for 'colour_of', expected: string"),
        ("say", "{'name':'a','parts':{}}", "Invalid parameter type for 'parts', expected: array"),
        ("say", "{'name':'a','parts':[{'name':'b'},{}]}", "Parameter 'parts[1].name' is missing"),
        ("say", "{'name':'a','parts':[{'name':'b','x':1}]}", "Parameter 'parts[0].x' is unexpected"),
        ("say", "{'name':'a','parts':[1]}", "Invalid parameter type for 'parts[0]', expected: object"),
        ("add", "{'driver':'a'}", "nothing to add"),
        ("add", "{'x':1}", "Parameter 'driver' is missing"),
        ("net", "{'id':'n'}", "Parameter 'type' is missing"),
        ("net", "{'id':'n','type':'no'}", "Parameter 'type' does not accept value 'no'"),
        ("net", "{'id':'n','type':'tap'}", "Parameter 'ifname' is missing"),
        ("net", "{'id':'n','type':'hubport','ifname':''}", "Parameter 'ifname' is unexpected"),
        ("wrap", "{}", "Parameter 'value' is missing"),
        ("wrap", "{'value':1,'of':true}", "Invalid parameter type for 'of', expected: Reference"),
        ("wrap", "{'value':1,'of':{}}", "Parameter 'of.name' is missing"),
    ] {
        assert_eq!(say(command, arguments), error("GenericError", why), "{command} {arguments}");
    }
    for (command, arguments, answer) in [
        (
            "say",
            "{'free':[1,'x',null],'name':'a','colour_of':'Green!','of-age':-1,'parts':[{'name':'b','colour_of':'dark-red'}]}",
            "{\"colour_of\": \"Green!\", \"free\": [1, \"x\", null], \"name\": \"a\", \"of-age\": -1, \"parts\": [{\"colour_of\": \"dark-red\", \"name\": \"b\"}]}",
        ),
        ("add", "{'driver':'a','b':{}}", "{}"),
        ("net", "{'id':'n','ifname':'t','type':'tap'}", "{\"id\": \"n\", \"ifname\": \"t\", \"type\": \"tap\"}"),
        ("net", "{'id':'n','type':'hubport'}", "{\"id\": \"n\", \"type\": \"hubport\"}"),
        ("wrap", "{'value':null,'of':null}", "[null]"),
        ("wrap", "{'value':{},'of':{'name':'n'}}", "[{\"name\": \"n\"}]"),
        ("wrap", "{'value':{},'of':7}", "[7]"),
        ("wrap", "{'value':{}}", "[]"),
    ] {
        assert_eq!(say(command, arguments), format!("{{\"return\": {answer}}}\r\n"), "{command} {arguments}");
    }
}

#[test]
fn integers_have_ranges() {
    let at = &Path::Member(&Path::Root, "n");
    assert_eq!(u64::decode(json!(-1), at), Ok(u64::MAX));
    assert_eq!(u64::decode(json!(u64::MAX), at), Ok(u64::MAX));
    assert_eq!(u64::decode(json!(1.5), at).unwrap_err().text, "Parameter 'n' expects uint64");
    assert_eq!(u8::decode(json!(255), at), Ok(255));
    assert_eq!(u8::decode(json!(256), at).unwrap_err().text, "Parameter 'n' expects uint8_t");
    assert_eq!(u8::decode(json!(-1), at).unwrap_err().text, "Parameter 'n' expects uint8_t");
    assert_eq!(i16::decode(json!("1"), at).unwrap_err().text, "Invalid parameter type for 'n', expected: integer");
    assert_eq!(f64::decode(json!(2), at), Ok(2.0));
}

/// A command that takes its time holds back what comes after it, but not what overtakes.
#[test]
fn overtaking() {
    let mut bench = Bench::ready(true);
    assert_eq!(bench.ask("{'exec-oob':'say'}"), error("GenericError", "The command say does not support OOB"));
    assert!(bench.ask("{'exec-oob':'urgent','execute':'urgent'}").contains("clashes with 'exec-oob'"));
    let slow = "{'execute':'slow','id':1}{'execute':'say','arguments':{'name':'x'},'id':2}{'id':3}";
    assert_eq!(bench.ask(slow), "");
    assert_eq!(bench.ask("{'exec-oob':'urgent','id':4}"), "{\"return\": true, \"id\": 4}\r\n");
    bench.run();
    assert_eq!(
        bench.output(),
        "{\"return\": \"at last\", \"id\": 1}\r\n{\"return\": {\"name\": \"x\"}, \"id\": 2}\r\n\
         {\"error\": {\"class\": \"GenericError\", \"desc\": \"QMP input lacks member 'execute'\"}, \"id\": 3}\r\n"
    );
}

#[test]
fn eight_commands_wait() {
    let mut bench = Bench::ready(true);
    assert_eq!(bench.ask("{'execute':'slow'}"), "");
    let many = "{'execute':'both'}".repeat(9);
    let taken = bench.session.feed(many.as_bytes());
    assert_eq!(taken, many.len() / 9 * 8);
    assert!(!bench.session.room());
    bench.context.open = true;
    bench.run();
    assert!(bench.session.room());
    assert_eq!(bench.output().lines().count(), 9);
}

/// Without overtaking a client gets each answer before its next command is read.
#[test]
fn one_at_a_time() {
    let mut bench = Bench::ready(false);
    let two = "{'execute':'slow'}{'execute':'both'}";
    assert_eq!(bench.session.feed(two.as_bytes()), 18);
    bench.run();
    assert_eq!(bench.session.feed(&two.as_bytes()[18..]), 0);
    bench.context.open = true;
    bench.run();
    assert_eq!(bench.session.feed(&two.as_bytes()[18..]), 18);
    bench.run();
    assert_eq!(bench.output(), "{\"return\": \"at last\"}\r\n{\"return\": {}}\r\n");
}

#[test]
fn pretty() {
    let mut session = Session::new(&json!({"a": 1}), true, false);
    assert_eq!(
        String::from_utf8(session.take_output()).unwrap(),
        "{\r\n    \"QMP\": {\r\n        \"capabilities\": [\r\n        ],\r\n".replace("[\r\n        ]", "[]")
            + "        \"version\": {\r\n            \"a\": 1\r\n        }\r\n    }\r\n}\r\n"
    );
}

fn event(name: &str, data: Value) -> Event {
    Event { name: name.to_owned(), data, at_ns: 1_500_000_123_456_789 }
}

#[test]
fn events_are_lines() {
    let mut bench = Bench::ready(false);
    bench.session.event(&event("THING_SAID", json!({"name": "x"})));
    bench.session.event(&event("BALLOON_CHANGE", Value::Null));
    assert_eq!(
        bench.output(),
        "{\"timestamp\": {\"microseconds\": 123456, \"seconds\": 1500000}, \"event\": \"THING_SAID\", \"data\": {\"name\": \"x\"}}\r\n\
         {\"timestamp\": {\"microseconds\": 123456, \"seconds\": 1500000}, \"event\": \"BALLOON_CHANGE\"}\r\n"
    );
}

#[test]
fn events_that_come_too_often() {
    const S: u64 = 1_000_000_000;
    let mut throttle = Throttle::new(EVENTS);
    for _ in 0..3 {
        assert!(throttle.push(event("THING_SAID", Value::Null), 0).is_some(), "not limited");
    }
    assert!(throttle.push(event("NO_SUCH_EVENT", Value::Null), 0).is_none());
    let balloon = |n: u64| event("BALLOON_CHANGE", json!({"actual": n}));
    assert_eq!(throttle.push(balloon(1), 5), Some(balloon(1)));
    assert_eq!(throttle.next_ns(), Some(S + 5));
    assert_eq!(throttle.push(balloon(2), 6), None);
    assert_eq!(throttle.push(balloon(3), 7), None);
    assert_eq!(throttle.due(S), []);
    assert_eq!(throttle.due(S + 5), [balloon(3)]);
    assert_eq!(throttle.push(balloon(4), S + 6), None, "the pause starts anew");
    assert_eq!(throttle.due(2 * S + 5), [balloon(4)]);
    assert_eq!(throttle.due(3 * S + 5), []);
    assert_eq!(throttle.next_ns(), None);
    assert_eq!(throttle.push(balloon(5), 3 * S + 6), Some(balloon(5)));
    let port = |id: &str, open: bool| event("VSERPORT_CHANGE", json!({"ifname": id, "open": open}));
    assert!(throttle.push(port("a", true), 0).is_some());
    assert!(throttle.push(port("b", true), 0).is_some(), "another port");
    assert!(throttle.push(port("a", false), 0).is_none());
    let failed = |action: &str| event("BLOCK_IO_ERROR", json!({"ifname": "d", "action": action}));
    assert!(throttle.push(failed("report"), 0).is_some());
    assert!(throttle.push(failed("report"), 0).is_none());
    assert!(throttle.push(failed("stop"), 0).is_some());
}

/// All names of types in a schema.
fn collect(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::Array(list) => list.iter().for_each(|v| collect(v, out)),
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(name) if ["type", "arg-type", "ret-type", "element-type"].contains(&key.as_str()) => {
                        out.push(name.clone());
                    }
                    _ => collect(value, out),
                }
            }
        }
        _ => {}
    }
}

/// Every type that is referred to is described, and names of no built-in type are seen.
#[test]
fn introspection() {
    let schema = introspect(&[COMMANDS], EVENTS).encode();
    let list = schema.as_array().unwrap();
    let names: Vec<&str> = list.iter().map(|i| i["name"].as_str().unwrap()).collect();
    for (n, name) in names.iter().enumerate() {
        assert_eq!(names.iter().position(|m| m == name), Some(n), "{name} twice");
    }
    let find = |name: &Value| list.iter().find(|i| i["name"] == *name).unwrap_or_else(|| panic!("{name}"));
    let mut references = Vec::new();
    collect(&schema, &mut references);
    assert!(references.len() > 20);
    for name in references {
        assert!(names.contains(&name.as_str()), "{name} is not described");
    }
    let say = find(&json!("say"));
    assert_eq!(say["arg-type"], say["ret-type"]);
    let thing = find(&say["arg-type"]);
    assert_eq!(
        thing["members"].as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap()).collect::<Vec<_>>(),
        ["name", "of-age", "colour_of", "parts", "free"]
    );
    assert_eq!(thing["members"][0], json!({"name": "name", "type": "str"}));
    assert_eq!(thing["members"][1], json!({"name": "of-age", "type": "int", "default": null}));
    assert_eq!(find(&thing["members"][2]["type"])["values"], json!(["dark-red", "Green!"]));
    assert_eq!(find(&thing["members"][3]["type"])["element-type"], say["arg-type"]);
    assert_eq!(find(&json!("urgent"))["allow-oob"], json!(true));
    assert_eq!(find(&json!("say")).get("allow-oob"), None);
    assert_eq!(find(&json!("slow"))["ret-type"], json!("str"));
    let net = find(&find(&json!("net"))["arg-type"]);
    assert_eq!(net["tag"], json!("type"));
    assert_eq!(net["variants"][1]["case"], json!("hubport"));
    assert_eq!(find(&net["variants"][0]["type"])["members"][0]["name"], json!("ifname"));
    assert_eq!(find(&json!("VSERPORT_CHANGE"))["meta-type"], json!("event"));
}

/// No bytes make it panic, and it answers the next command after all of them.
#[test]
fn damaged_input() {
    let seeds: [&[u8]; 5] = [
        b"{\"execute\":\"say\",\"arguments\":{\"name\":\"a\",\"of-age\":-12.5e3,\"parts\":[{\"name\":\"\\ud83d\\ude00\"}]},\"id\":[1,null]}",
        b"{'execute':'net','arguments':{'id':'n','type':'tap','ifname':'t','fast':true}}",
        b"{'exec-oob':'urgent','id':18446744073709551615}",
        b"{'execute':'wrap','arguments':{'value':{},'of':null}}",
        b"[[[{}]],{'a':{'b':'\xc0\x80\xf0\x9f\x98\x80'}},tru,%]",
    ];
    let mut random = 0x5eed_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    for round in 0..4000 {
        let mut bytes = seeds[round % seeds.len()].to_vec();
        for _ in 0..=next(6) {
            let at = next(bytes.len().max(1)).min(bytes.len());
            match next(4) {
                0 if at < bytes.len() => bytes[at] = next(256) as u8,
                1 => bytes.insert(at, b"{}[]:,'\"\\-0e.\xff"[next(14)]),
                2 if at < bytes.len() => drop(bytes.remove(at)),
                _ => bytes.truncate(at + 1),
            }
        }
        let mut bench = Bench::ready(round % 2 == 0);
        bench.context.open = true;
        // Whatever is open then ends: a string at the line's end, a value at the byte that fits nowhere.
        bytes.extend_from_slice(b"\n\xff\n");
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let n = bench.session.feed(rest);
            rest = &rest[n..];
            bench.run();
        }
        let output = bench.output();
        for line in output.lines() {
            let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            assert!(value.get("return").is_some() != value.get("error").is_some());
        }
        let answer = bench.ask("{'execute':'say','arguments':{'name':'n'},'id':'end'}");
        assert!(answer.ends_with("{\"return\": {\"name\": \"n\"}, \"id\": \"end\"}\r\n"), "{bytes:?}: {answer}");
    }
}
