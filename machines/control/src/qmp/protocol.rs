//! One connection of a client (QEMU documentation, "QEMU Machine Protocol Specification"): greeting, negotiation, commands
//! in their order or out of it, answers, events.  Bytes in, bytes and calls out; nothing here reads or writes anything.

use super::command::{Class, Command, Error};
use super::event::Event;
use super::json::Reader;
use super::qapi::qapi;
use super::schema::Type as _;
use super::write;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;

/// Commands that wait for their turn, when others may overtake them.
const WAITING: usize = 8;
/// The command that ends the negotiation.
const NEGOTIATE: &str = "qmp_capabilities";

qapi! {
    /// What a client can ask for.
    enum Capability { Oob }
    /// What a client asks for.
    struct Negotiation { enable: Option<Vec<Capability>> }
}

/// What came in, in its order.
enum Request {
    Value(Value),
    /// No JSON: why.
    Mistake(String),
}

/// Whom an answer goes to.
#[derive(Clone, PartialEq, Debug)]
pub struct Ticket {
    id: Option<Value>,
    oob: bool,
    /// The negotiation ends with this: is overtaking to be enabled?
    negotiates: Option<bool>,
}

/// A command to be run.
pub struct Call<C: 'static> {
    /// Its row.
    pub command: &'static Command<C>,
    /// What it is run with.
    pub arguments: Map<String, Value>,
    /// For [`Session::answer`].
    pub ticket: Ticket,
}

/// The command that a request means, what it is run with, and whether it overtakes.
type Found<C> = (&'static Command<C>, Map<String, Value>, bool);

/// A connection.
pub struct Session {
    reader: Reader,
    pretty: bool,
    /// What clients may enable; what they have enabled.
    offers_oob: bool,
    oob: bool,
    /// Is the negotiation over?
    ready: bool,
    waiting: VecDeque<Request>,
    /// Commands that overtake.
    urgent: VecDeque<Value>,
    /// A command is being run whose answer will come.
    busy: bool,
    out: Vec<u8>,
}

impl Session {
    /// A client has connected.  The greeting is ready.  `oob`: may it enable commands that overtake others?
    #[must_use]
    pub fn new(version: &Value, pretty: bool, oob: bool) -> Session {
        let mut session = Session {
            reader: Reader::new(),
            pretty,
            offers_oob: oob,
            oob: false,
            ready: false,
            waiting: VecDeque::new(),
            urgent: VecDeque::new(),
            busy: false,
            out: Vec::new(),
        };
        let capabilities = Capability::ALL[..usize::from(oob)].to_vec().encode();
        session.line(&write::text(&json!({"QMP": {"version": version, "capabilities": capabilities}}), pretty));
        session
    }

    /// Is the negotiation over?
    #[must_use]
    pub fn ready(&self) -> bool {
        self.ready
    }

    /// Can more be taken in?  A client without overtaking commands waits for each answer.
    #[must_use]
    pub fn room(&self) -> bool {
        if self.oob { self.waiting.len() < WAITING } else { self.waiting.is_empty() && !self.busy }
    }

    /// Takes bytes in; gives how many of them.  The rest is to be offered again when there is room.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        for (n, byte) in bytes.iter().enumerate() {
            if !self.room() {
                return n;
            }
            for found in self.reader.feed(*byte) {
                match found {
                    Ok(Value::Object(map)) if map.contains_key("exec-oob") && !map.contains_key("execute") => {
                        self.urgent.push_back(Value::Object(map));
                    }
                    Ok(value) => self.waiting.push_back(Request::Value(value)),
                    Err(why) => self.waiting.push_back(Request::Mistake(why)),
                }
            }
        }
        bytes.len()
    }

    /// What the client gets.
    pub fn take_output(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.out)
    }

    /// The next command that is to be run; what is wrong is answered here.  `preconfig`: the machine is not made yet.
    pub fn next<C>(&mut self, commands: &[&'static [Command<C>]], preconfig: bool) -> Option<Call<C>> {
        loop {
            let request = match self.urgent.pop_front() {
                Some(urgent) => Request::Value(urgent),
                None if self.busy => return None,
                None => self.waiting.pop_front()?,
            };
            let (id, found) = match request {
                Request::Mistake(why) => (None, Err(Error::new(why))),
                Request::Value(value) => (value.get("id").cloned(), self.look_up(commands, value, preconfig)),
            };
            match found {
                Ok((command, arguments, oob)) => {
                    self.busy |= !oob;
                    let enable = arguments.get("enable").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
                    let negotiates = (command.name == NEGOTIATE).then_some(enable);
                    return Some(Call { command, arguments, ticket: Ticket { id, oob, negotiates } });
                }
                Err(why) => self.send(id, Err(why)),
            }
        }
    }

    /// Finds the command that is meant.
    fn look_up<C>(&self, commands: &[&'static [Command<C>]], value: Value, preconfig: bool) -> Result<Found<C>, Error> {
        let Value::Object(mut map) = value else { return Err(Error::new("QMP input must be a JSON object")) };
        let oob = self.check(&map)?;
        let name = match map.remove(if oob { "exec-oob" } else { "execute" }) {
            Some(Value::String(name)) => name,
            _ => return Err(Error::new("QMP input lacks member 'execute'")),
        };
        let known = commands.iter().copied().flatten().find(|c| c.name == name);
        let command = known.filter(|_| self.ready || name == NEGOTIATE).ok_or_else(|| {
            let text = if self.ready {
                format!("The command {name} has not been found")
            } else {
                format!("Expecting capabilities negotiation with '{NEGOTIATE}'")
            };
            Error::of(Class::CommandNotFound, text)
        })?;
        if oob && !command.oob {
            return Err(Error::new(format!("The command {name} does not support OOB")));
        }
        if preconfig && !command.preconfig {
            let text = format!("The command '{name}' is permitted only after machine initialization has completed");
            return Err(Error::new(text));
        }
        let arguments = match map.remove("arguments") {
            Some(Value::Object(arguments)) => arguments,
            _ => Map::new(),
        };
        Ok((command, arguments, oob))
    }

    /// Checks the members of a request; true: it overtakes.
    fn check(&self, map: &Map<String, Value>) -> Result<bool, Error> {
        let mut name = None;
        for (key, value) in map {
            match key.as_str() {
                "execute" | "exec-oob" if key == "execute" || self.oob => {
                    if !value.is_string() {
                        return Err(Error::new(format!("QMP input member '{key}' must be a string")));
                    }
                    if let Some(other) = name.replace(key) {
                        return Err(Error::new(format!("QMP input member '{key}' clashes with '{other}'")));
                    }
                }
                "arguments" if !value.is_object() => {
                    return Err(Error::new("QMP input member 'arguments' must be an object"));
                }
                "arguments" | "id" => {}
                _ => return Err(Error::new(format!("QMP input member '{key}' is unexpected"))),
            }
        }
        match name {
            Some(name) => Ok(name == "exec-oob"),
            None => Err(Error::new("QMP input lacks member 'execute'")),
        }
    }

    /// Ends the negotiation.
    fn negotiate(&mut self, enable_oob: bool) -> Result<(), Error> {
        if self.ready {
            let text = "Capabilities negotiation is already complete, command ignored";
            return Err(Error::of(Class::CommandNotFound, text));
        }
        if enable_oob && !self.offers_oob {
            return Err(Error::new("Capability oob not available"));
        }
        self.oob = enable_oob;
        self.ready = true;
        Ok(())
    }

    /// Answers a command.  If it is the one that ends the negotiation, and its arguments are right, that is over now.
    pub fn answer(&mut self, ticket: Ticket, result: Result<Value, Error>) {
        self.busy &= ticket.oob;
        let result = match (result, ticket.negotiates) {
            (Ok(value), Some(enable_oob)) => self.negotiate(enable_oob).map(|()| value),
            (result, _) => result,
        };
        self.send(ticket.id, result);
    }

    /// Tells of an event; clients that have not negotiated yet get none.
    pub fn event(&mut self, event: &Event) {
        if self.ready {
            self.line(&event.text(self.pretty));
        }
    }

    fn send(&mut self, id: Option<Value>, result: Result<Value, Error>) {
        let (name, value) = match result {
            Ok(value) => ("return", value),
            Err(why) => ("error", why.encode()),
        };
        let mut members = vec![(name, &value)];
        members.extend(id.as_ref().map(|id| ("id", id)));
        self.line(&write::object(&members, self.pretty));
    }

    /// Lines end as on a terminal, those within a message too.
    fn line(&mut self, text: &str) {
        self.out.extend_from_slice(text.replace('\n', "\r\n").as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }
}
