//! Commands as rows: name, arguments, answer, handler.

use super::qapi::qapi;
use super::schema::{Describe, Path, Type};
use serde_json::{Map, Value};

qapi! {
    /// The kinds of errors that clients may tell apart.
    enum Class {
        GenericError as "GenericError",
        CommandNotFound as "CommandNotFound",
        DeviceNotActive as "DeviceNotActive",
        DeviceNotFound as "DeviceNotFound",
        KvmMissingCap as "KVMMissingCap",
    }
    /// Nothing.
    struct Empty {}
}

/// Why a command fails.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error {
    /// Which kind of error.
    pub class: Class,
    /// For people.
    pub text: String,
}

impl Error {
    /// An error of the general kind.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Error {
        Error { class: Class::GenericError, text: text.into() }
    }

    /// An error of this kind.
    #[must_use]
    pub fn of(class: Class, text: impl Into<String>) -> Error {
        Error { class, text: text.into() }
    }

    /// As clients get it.
    #[must_use]
    pub fn encode(&self) -> Value {
        serde_json::json!({"class": self.class.name(), "desc": self.text})
    }
}

impl From<String> for Error {
    fn from(text: String) -> Error {
        Error::new(text)
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.text)
    }
}

impl core::error::Error for Error {}

/// What is asked again and again, until the answer is there.
pub type Later<C, T> = Box<dyn FnMut(&mut C) -> Option<Result<T, Error>>>;

/// The answer to a command, perhaps later.
pub enum Answer<C, T> {
    /// This is it.
    Now(T),
    /// The command takes its time.
    Later(Later<C, T>),
}

/// What a handler gives back.
pub trait Reply<C> {
    /// What the answer is.
    type Type: Type;

    /// The answer as a value.
    fn reply(self) -> Answer<C, Value>;
}

impl<C, T: Type> Reply<C> for T {
    type Type = T;

    fn reply(self) -> Answer<C, Value> {
        Answer::Now(self.encode())
    }
}

impl<C: 'static, T: Type + 'static> Reply<C> for Answer<C, T> {
    type Type = T;

    fn reply(self) -> Answer<C, Value> {
        match self {
            Answer::Now(answer) => Answer::Now(answer.encode()),
            Answer::Later(mut ask) => {
                Answer::Later(Box::new(move |c| ask(c).map(|result| result.map(|answer| answer.encode()))))
            }
        }
    }
}

/// Runs a command: reads its arguments, gives them to the handler, writes its answer.
pub type Run<C> = fn(&mut C, Map<String, Value>) -> Result<Answer<C, Value>, Error>;

/// A command.  Its handler works on a `C`.
pub struct Command<C> {
    /// Its name.
    pub name: &'static str,
    /// The arguments' type.
    pub args: Describe,
    /// The answer's type.
    pub returns: Describe,
    /// May it overtake others?
    pub oob: bool,
    /// May it come before the machine is made?
    pub preconfig: bool,
    /// Runs it.
    pub run: Run<C>,
}

/// Reads arguments.
///
/// # Errors
/// What is wrong with them.
pub fn arguments<A: Type>(arguments: Map<String, Value>) -> Result<A, Error> {
    A::decode(Value::Object(arguments), &Path::Root)
}

/// Declares commands: `"name" (Arguments) -> Answer = handler;`, with `[oob]` or `[preconfig]` after the name.  A handler is
/// a function of the context and the arguments.
macro_rules! commands {
    ($context:ty; $( $name:literal $([$($flag:ident),*])? ($args:ty) -> $returns:ty = $run:expr; )*) => {
        &[$( $crate::qmp::command::Command {
            name: $name,
            args: <$args as $crate::qmp::schema::Type>::describe,
            returns: <<$returns as $crate::qmp::command::Reply<$context>>::Type as $crate::qmp::schema::Type>::describe,
            oob: $crate::qmp::command::flag!(oob $($($flag)*)?),
            preconfig: $crate::qmp::command::flag!(preconfig $($($flag)*)?),
            run: |context, arguments| {
                let run: fn(&mut $context, $args) -> Result<$returns, $crate::qmp::command::Error> = $run;
                let answer = run(context, $crate::qmp::command::arguments(arguments)?)?;
                Ok($crate::qmp::command::Reply::<$context>::reply(answer))
            },
        }, )*]
    };
}

/// Is a flag among these?
macro_rules! flag {
    (oob $(preconfig)? oob $(preconfig)?) => {
        true
    };
    (preconfig $(oob)? preconfig $(oob)?) => {
        true
    };
    ($($other:ident)*) => {
        false
    };
}

pub(crate) use {commands, flag};
