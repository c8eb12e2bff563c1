//! The types of arguments, answers and events, as values of Rust: how they are written and read, and what
//! `query-qmp-schema` says of them (QEMU documentation, "How to use the QAPI code generator", "Client JSON Protocol
//! introspection").
//!
//! Types are declared with `qapi!`; everything here follows from the declaration.

use super::command::Error;
use serde_json::{Map, Value, json};

/// Describes a type.  A function, since types refer to each other in circles.
pub type Describe = fn() -> Info;

/// A type.
#[derive(Debug)]
pub struct Info {
    /// Its name: the same type has the same everywhere.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
}

/// What a type is.
#[derive(Debug)]
pub enum Kind {
    /// A scalar of JSON, or `value` for anything.
    Builtin(&'static str),
    /// One of these words.
    Enum(Vec<String>),
    /// A list.
    List(Describe),
    /// An object; with a tag: which of the variants' members it has too.
    Object(Vec<Member>, Option<(&'static str, Vec<(String, Describe)>)>),
    /// One of these, told apart by their JSON type.
    Alternate(Vec<Describe>),
}

/// A member of an object.
#[derive(Debug)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its type.
    pub of: Describe,
    /// May it be left out?
    pub optional: bool,
}

/// Where a value stands among arguments, for messages.
#[derive(Clone, Copy)]
pub enum Path<'a> {
    /// The arguments themselves.
    Root,
    /// A member of an object.
    Member(&'a Path<'a>, &'a str),
    /// An item of a list.
    Item(&'a Path<'a>, usize),
}

impl core::fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Path::Root => f.write_str("<anonymous>"),
            Path::Member(Path::Root, name) => f.write_str(name),
            Path::Member(of, name) => write!(f, "{of}.{name}"),
            Path::Item(Path::Root, n) => write!(f, "[{n}]"),
            Path::Item(of, n) => write!(f, "{of}[{n}]"),
        }
    }
}

impl Path<'_> {
    /// The value is of another type of JSON.
    #[must_use]
    pub fn wants(&self, what: &str) -> Error {
        Error::new(format!("Invalid parameter type for '{self}', expected: {what}"))
    }

    /// The value is out of range.
    #[must_use]
    pub fn expects(&self, what: &str) -> Error {
        Error::new(format!("Parameter '{self}' expects {what}"))
    }
}

/// A type of arguments and answers.
pub trait Type: Sized {
    /// May a member of this type be left out?
    const OPTIONAL: bool = false;

    /// What it is.
    fn describe() -> Info;

    /// Reads a value.
    ///
    /// # Errors
    /// It is of another type: what is wrong, and where.
    fn decode(value: Value, at: &Path<'_>) -> Result<Self, Error>;

    /// As a value.
    fn encode(&self) -> Value;

    /// What a member is that is left out.
    #[must_use]
    fn absent() -> Option<Self> {
        None
    }

    /// As the value of a member; `None`: it is left out.
    fn member(&self) -> Option<Value> {
        Some(self.encode())
    }
}

/// Members of an object.
pub trait Members: Sized {
    /// What they are.
    fn members() -> Vec<Member>;

    /// Takes them out of an object.
    ///
    /// # Errors
    /// One is missing, or of another type.
    fn take(from: &mut Map<String, Value>, at: &Path<'_>) -> Result<Self, Error>;

    /// Puts them into an object.
    fn put(&self, into: &mut Map<String, Value>);
}

/// Reads a member of an object.
///
/// # Errors
/// It is missing, or of another type.
pub fn take<T: Type>(from: &mut Map<String, Value>, name: &str, at: &Path<'_>) -> Result<T, Error> {
    let at = Path::Member(at, name);
    match from.remove(name) {
        Some(value) => T::decode(value, &at),
        None => T::absent().ok_or_else(|| Error::new(format!("Parameter '{at}' is missing"))),
    }
}

/// Writes a member of an object.
pub fn put<T: Type>(into: &mut Map<String, Value>, name: String, value: &T) {
    if let Some(value) = value.member() {
        into.insert(name, value);
    }
}

/// An object out of which members are taken.
///
/// # Errors
/// The value is none.
pub fn object(value: Value, at: &Path<'_>) -> Result<Map<String, Value>, Error> {
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(at.wants("object")),
    }
}

/// Everything has been taken.
///
/// # Errors
/// Something is left.
pub fn all_taken(map: &Map<String, Value>, at: &Path<'_>) -> Result<(), Error> {
    match map.keys().next() {
        Some(key) => Err(Error::new(format!("Parameter '{}' is unexpected", Path::Member(at, key)))),
        None => Ok(()),
    }
}

/// One of an enumeration's words.
///
/// # Errors
/// The value is no string, or another one.
pub fn word(value: &Value, names: &[String], at: &Path<'_>) -> Result<usize, Error> {
    let Value::String(text) = value else { return Err(at.wants("string")) };
    let found = names.iter().position(|n| n == text);
    found.ok_or_else(|| Error::new(format!("Parameter '{at}' does not accept value '{text}'")))
}

/// The word of a variant: `InMigrate` is `in-migrate`, unless the declaration says another.
#[must_use]
pub fn variant_name(ident: &str, given: Option<&str>) -> String {
    if let Some(given) = given {
        return given.to_owned();
    }
    let mut name = String::new();
    for (n, c) in ident.chars().enumerate() {
        if c.is_ascii_uppercase() && n != 0 {
            name.push('-');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

impl<T: Type> Type for Option<T> {
    const OPTIONAL: bool = true;

    fn describe() -> Info {
        T::describe()
    }

    fn decode(value: Value, at: &Path<'_>) -> Result<Self, Error> {
        T::decode(value, at).map(Some)
    }

    fn encode(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::encode)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn member(&self) -> Option<Value> {
        self.as_ref().map(T::encode)
    }
}

impl<T: Type> Type for Vec<T> {
    fn describe() -> Info {
        Info { name: "list", kind: Kind::List(T::describe) }
    }

    fn decode(value: Value, at: &Path<'_>) -> Result<Self, Error> {
        let Value::Array(list) = value else { return Err(at.wants("array")) };
        list.into_iter().enumerate().map(|(n, v)| T::decode(v, &Path::Item(at, n))).collect()
    }

    fn encode(&self) -> Value {
        Value::Array(self.iter().map(T::encode).collect())
    }
}

impl<T: Type> Type for Box<T> {
    fn describe() -> Info {
        T::describe()
    }

    fn decode(value: Value, at: &Path<'_>) -> Result<Self, Error> {
        T::decode(value, at).map(Box::new)
    }

    fn encode(&self) -> Value {
        T::encode(self)
    }
}

macro_rules! builtin {
    ($($ty:ty, $name:literal, $json:literal, |$value:ident, $at:ident| $decode:expr;)*) => {$(
        impl Type for $ty {
            fn describe() -> Info {
                Info { name: $name, kind: Kind::Builtin($json) }
            }

            fn decode($value: Value, $at: &Path<'_>) -> Result<Self, Error> {
                $decode
            }

            fn encode(&self) -> Value {
                json!(self)
            }
        }
    )*};
}

/// A number that is no fraction, within 64 bits of either sign.
fn integer(value: &Value, at: &Path<'_>, name: &str) -> Result<i128, Error> {
    let n = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    n.ok_or_else(|| if name.starts_with('i') { at.wants("integer") } else { at.expects(name) })
}

/// An integer that fits a smaller type.
fn narrow<T: TryFrom<i128>>(value: &Value, at: &Path<'_>, name: &str) -> Result<T, Error> {
    T::try_from(integer(value, at, name)?).map_err(|_| at.expects(name))
}

builtin! {
    bool, "bool", "boolean", |value, at| value.as_bool().ok_or_else(|| at.wants("boolean"));
    String, "str", "string", |value, at| match value {
        Value::String(text) => Ok(text),
        _ => Err(at.wants("string")),
    };
    f64, "number", "number", |value, at| value.as_f64().ok_or_else(|| at.wants("number"));
    Value, "any", "value", |value, _at| Ok(value);
    i64, "int", "int", |value, at| value.as_i64().ok_or_else(|| at.wants("integer"));
    i8, "int", "int", |value, at| narrow(&value, at, "int8_t");
    i16, "int", "int", |value, at| narrow(&value, at, "int16_t");
    i32, "int", "int", |value, at| narrow(&value, at, "int32_t");
    u8, "int", "int", |value, at| narrow(&value, at, "uint8_t");
    u16, "int", "int", |value, at| narrow(&value, at, "uint16_t");
    u32, "int", "int", |value, at| narrow(&value, at, "uint32_t");
    // Negative numbers count down from the top, as ever.
    u64, "int", "int", |value, at| match integer(&value, at, "uint64")? {
        n if n < 0 => Ok(n as i64 as u64),
        n => u64::try_from(n).map_err(|_| at.expects("uint64")),
    };
    (), "null", "null", |value, at| value.is_null().then_some(()).ok_or_else(|| at.wants("null"));
}

/// The enumeration's value with this word.
#[must_use]
pub fn word_of<T: Type>(word: &str) -> Option<T> {
    T::decode(Value::String(word.to_owned()), &Path::Root).ok()
}

/// Is the value of the JSON type that a type is written in?
#[must_use]
pub fn accepts(of: Describe, value: &Value) -> bool {
    match of().kind {
        Kind::Builtin("boolean") => value.is_boolean(),
        Kind::Builtin("int" | "number") => value.is_number(),
        Kind::Builtin("null") => value.is_null(),
        Kind::Builtin("value") => true,
        Kind::Builtin(_) | Kind::Enum(_) => value.is_string(),
        Kind::List(_) => value.is_array(),
        Kind::Object(..) => value.is_object(),
        Kind::Alternate(kinds) => kinds.iter().any(|k| accepts(*k, value)),
    }
}
