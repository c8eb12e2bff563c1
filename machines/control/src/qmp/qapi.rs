//! The language in which types of the protocol are declared.
//!
//! ```text
//! qapi! {
//!     /// Its doc line.
//!     struct NameInfo { name: Option<String> }
//!     /// Members of it keep the `_` in their names.
//!     legacy Statistics { rd_bytes: u64 }
//!     /// Members as in a struct, and any others.
//!     open DeviceAdd { driver: String }
//!     /// Words: `in-kernel`, `inmigrate`.
//!     enum State { InKernel, InMigrate as "inmigrate" }
//!     /// Members of the object, then what there is besides by the word of a member.
//!     union Netdev { id: String; by "type" as NetdevKind; User(NetdevUser), Hub(NetdevHub) as "hubport" }
//!     /// By the JSON type.
//!     alternate StrOrNull { Str(String), Null(()) }
//! }
//! ```
//!
//! A member is called as in Rust with `-` for `_`, unless `as "name"` follows.  Each type has one doc line.

/// Declares types; see the module.
macro_rules! qapi {
    ($( #[$meta:meta] $kind:tt $name:ident $body:tt )*) => {
        $( $crate::qmp::qapi::item! { #[$meta] $kind $name $body } )*
    };
}

macro_rules! given {
    () => {
        None
    };
    ($name:literal) => {
        Some($name)
    };
}

macro_rules! item {
    (#[$meta:meta] struct $name:ident $body:tt) => {
        $crate::qmp::qapi::item! { @object dash #[$meta] $name $body }
    };
    (#[$meta:meta] legacy $name:ident $body:tt) => {
        $crate::qmp::qapi::item! { @object plain #[$meta] $name $body }
    };
    (@object $style:ident #[$meta:meta] $name:ident { $( $field:ident $(as $wire:literal)? : $ty:ty ),* $(,)? }) => {
        #[$meta]
        #[derive(Clone, PartialEq, Debug)]
        #[allow(missing_docs, reason = "members are QEMU's, named and described in its QMP reference")]
        pub struct $name { $( pub $field: $ty, )* }

        impl $crate::qmp::schema::Members for $name {
            fn members() -> Vec<$crate::qmp::schema::Member> {
                vec![$( $crate::qmp::qapi::member!($style, $field, $($wire)?, $ty), )*]
            }

            #[allow(unused_variables, reason = "there may be no members")]
            fn take(
                from: &mut serde_json::Map<String, serde_json::Value>,
                at: &$crate::qmp::schema::Path<'_>,
            ) -> Result<Self, $crate::qmp::command::Error> {
                Ok($name { $( $field: $crate::qmp::schema::take(from, &$crate::qmp::qapi::wire!($style, $field, $($wire)?), at)?, )* })
            }

            #[allow(unused_variables, reason = "there may be no members")]
            fn put(&self, into: &mut serde_json::Map<String, serde_json::Value>) {
                $( $crate::qmp::schema::put(into, $crate::qmp::qapi::wire!($style, $field, $($wire)?), &self.$field); )*
            }
        }

        $crate::qmp::qapi::object_type!($name);
    };
    (#[$meta:meta] open $name:ident { $( $field:ident $(as $wire:literal)? : $ty:ty ),* $(,)? }) => {
        #[$meta]
        #[derive(Clone, PartialEq, Debug)]
        #[allow(missing_docs, reason = "members are QEMU's, named and described in its QMP reference")]
        pub struct $name {
            $( pub $field: $ty, )*
            /// All other members.
            pub rest: serde_json::Map<String, serde_json::Value>,
        }

        impl $crate::qmp::schema::Members for $name {
            fn members() -> Vec<$crate::qmp::schema::Member> {
                vec![$( $crate::qmp::qapi::member!(dash, $field, $($wire)?, $ty), )*]
            }

            fn take(
                from: &mut serde_json::Map<String, serde_json::Value>,
                at: &$crate::qmp::schema::Path<'_>,
            ) -> Result<Self, $crate::qmp::command::Error> {
                Ok($name {
                    $( $field: $crate::qmp::schema::take(from, &$crate::qmp::qapi::wire!(dash, $field, $($wire)?), at)?, )*
                    rest: core::mem::take(from),
                })
            }

            fn put(&self, into: &mut serde_json::Map<String, serde_json::Value>) {
                into.extend(self.rest.clone());
                $( $crate::qmp::schema::put(into, $crate::qmp::qapi::wire!(dash, $field, $($wire)?), &self.$field); )*
            }
        }

        $crate::qmp::qapi::object_type!($name);
    };
    (#[$meta:meta] enum $name:ident { $( $variant:ident $(as $wire:literal)? ),* $(,)? }) => {
        #[$meta]
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[allow(missing_docs, reason = "words are QEMU's, described in its QMP reference")]
        pub enum $name { $( $variant, )* }

        impl $name {
            /// All of them.
            pub const ALL: &[$name] = &[$( $name::$variant, )*];

            /// Their words.
            #[must_use]
            pub fn names() -> Vec<String> {
                vec![$( $crate::qmp::schema::variant_name(stringify!($variant), $crate::qmp::qapi::given!($($wire)?)), )*]
            }

            /// Its word.
            #[must_use]
            pub fn name(self) -> String {
                Self::names().swap_remove(self as usize)
            }
        }

        impl $crate::qmp::schema::Type for $name {
            fn describe() -> $crate::qmp::schema::Info {
                let kind = $crate::qmp::schema::Kind::Enum(Self::names());
                $crate::qmp::schema::Info { name: stringify!($name), kind }
            }

            fn decode(
                value: serde_json::Value,
                at: &$crate::qmp::schema::Path<'_>,
            ) -> Result<Self, $crate::qmp::command::Error> {
                Ok(Self::ALL[$crate::qmp::schema::word(&value, &Self::names(), at)?])
            }

            fn encode(&self) -> serde_json::Value {
                serde_json::Value::String(self.name())
            }
        }
    };
    (#[$meta:meta] union $name:ident {
        $( $field:ident $(as $wire:literal)? : $ty:ty ),* ; by $tag:literal as $kind:ident ;
        $( $variant:ident($vty:ty) $(as $vwire:literal)? ),* $(,)?
    }) => {
        #[$meta]
        #[derive(Clone, PartialEq, Debug)]
        #[allow(missing_docs, reason = "members are QEMU's, named and described in its QMP reference")]
        pub struct $name {
            $( pub $field: $ty, )*
            /// What there is besides.
            pub kind: $kind,
        }

        #[doc = concat!("The kinds of [`", stringify!($name), "`].")]
        #[derive(Clone, PartialEq, Debug)]
        #[allow(missing_docs, reason = "kinds are QEMU's, named and described in its QMP reference")]
        pub enum $kind { $( $variant($vty), )* }

        impl $kind {
            fn names() -> Vec<String> {
                vec![$( $crate::qmp::schema::variant_name(stringify!($variant), $crate::qmp::qapi::given!($($vwire)?)), )*]
            }

            fn describe_tag() -> $crate::qmp::schema::Info {
                let kind = $crate::qmp::schema::Kind::Enum(Self::names());
                $crate::qmp::schema::Info { name: concat!(stringify!($name), ".", $tag), kind }
            }

            fn take(
                from: &mut serde_json::Map<String, serde_json::Value>,
                at: &$crate::qmp::schema::Path<'_>,
            ) -> Result<Self, $crate::qmp::command::Error> {
                use $crate::qmp::schema::{Members, Path, take, word};
                let tag: serde_json::Value = take(from, $tag, at)?;
                let tag = word(&tag, &Self::names(), &Path::Member(at, $tag))?;
                let mut number = 0..;
                $(
                    if number.next() == Some(tag) {
                        return Ok($kind::$variant(<$vty as Members>::take(from, at)?));
                    }
                )*
                Err(at.expects($tag))
            }
        }

        impl $crate::qmp::schema::Type for $name {
            fn describe() -> $crate::qmp::schema::Info {
                #[allow(unused_mut, reason = "there may be no members")]
                let mut members = vec![$( $crate::qmp::qapi::member!(dash, $field, $($wire)?, $ty), )*];
                let of: $crate::qmp::schema::Describe = $kind::describe_tag;
                members.push($crate::qmp::schema::Member { name: $tag.to_owned(), of, optional: false });
                let variants: Vec<$crate::qmp::schema::Describe> =
                    vec![$( <$vty as $crate::qmp::schema::Type>::describe, )*];
                let variants = $kind::names().into_iter().zip(variants).collect();
                let kind = $crate::qmp::schema::Kind::Object(members, Some(($tag, variants)));
                $crate::qmp::schema::Info { name: stringify!($name), kind }
            }

            fn decode(
                value: serde_json::Value,
                at: &$crate::qmp::schema::Path<'_>,
            ) -> Result<Self, $crate::qmp::command::Error> {
                use $crate::qmp::schema::{all_taken, object};
                let mut map = object(value, at)?;
                $( let $field = $crate::qmp::schema::take(&mut map, &$crate::qmp::qapi::wire!(dash, $field, $($wire)?), at)?; )*
                let kind = $kind::take(&mut map, at)?;
                all_taken(&map, at)?;
                Ok($name { $( $field, )* kind })
            }

            fn encode(&self) -> serde_json::Value {
                let mut map = serde_json::Map::new();
                $( $crate::qmp::schema::put(&mut map, $crate::qmp::qapi::wire!(dash, $field, $($wire)?), &self.$field); )*
                match &self.kind {
                    $( $kind::$variant(of) => {
                        $crate::qmp::schema::Members::put(of, &mut map);
                        let given = $crate::qmp::qapi::given!($($vwire)?);
                        let word = $crate::qmp::schema::variant_name(stringify!($variant), given);
                        map.insert($tag.to_owned(), serde_json::Value::String(word));
                    } )*
                }
                serde_json::Value::Object(map)
            }
        }
    };
    (#[$meta:meta] alternate $name:ident { $( $variant:ident($ty:ty) ),* $(,)? }) => {
        #[$meta]
        #[derive(Clone, PartialEq, Debug)]
        #[allow(missing_docs, reason = "variants are told apart by their type")]
        pub enum $name { $( $variant($ty), )* }

        impl $crate::qmp::schema::Type for $name {
            fn describe() -> $crate::qmp::schema::Info {
                let kind = $crate::qmp::schema::Kind::Alternate(
                    vec![$( <$ty as $crate::qmp::schema::Type>::describe, )*]
                );
                $crate::qmp::schema::Info { name: stringify!($name), kind }
            }

            fn decode(
                value: serde_json::Value,
                at: &$crate::qmp::schema::Path<'_>,
            ) -> Result<Self, $crate::qmp::command::Error> {
                $(
                    if $crate::qmp::schema::accepts(<$ty as $crate::qmp::schema::Type>::describe, &value) {
                        return Ok($name::$variant(<$ty as $crate::qmp::schema::Type>::decode(value, at)?));
                    }
                )*
                Err(at.wants(stringify!($name)))
            }

            fn encode(&self) -> serde_json::Value {
                match self {
                    $( $name::$variant(of) => $crate::qmp::schema::Type::encode(of), )*
                }
            }
        }
    };
}

macro_rules! wire {
    ($style:ident, $field:ident, $wire:literal) => {
        $wire.to_owned()
    };
    (plain, $field:ident,) => {
        stringify!($field).trim_start_matches("r#").to_owned()
    };
    (dash, $field:ident,) => {
        stringify!($field).trim_start_matches("r#").replace('_', "-")
    };
}

macro_rules! member {
    ($style:ident, $field:ident, $($wire:literal)?, $ty:ty) => {
        $crate::qmp::schema::Member {
            name: $crate::qmp::qapi::wire!($style, $field, $($wire)?),
            of: <$ty as $crate::qmp::schema::Type>::describe,
            optional: <$ty as $crate::qmp::schema::Type>::OPTIONAL,
        }
    };
}

macro_rules! object_type {
    ($name:ident) => {
        impl $crate::qmp::schema::Type for $name {
            fn describe() -> $crate::qmp::schema::Info {
                let members = <$name as $crate::qmp::schema::Members>::members();
                let kind = $crate::qmp::schema::Kind::Object(members, None);
                $crate::qmp::schema::Info { name: stringify!($name), kind }
            }

            fn decode(
                value: serde_json::Value,
                at: &$crate::qmp::schema::Path<'_>,
            ) -> Result<Self, $crate::qmp::command::Error> {
                let mut map = $crate::qmp::schema::object(value, at)?;
                let out = <$name as $crate::qmp::schema::Members>::take(&mut map, at)?;
                $crate::qmp::schema::all_taken(&map, at)?;
                Ok(out)
            }

            fn encode(&self) -> serde_json::Value {
                let mut map = serde_json::Map::new();
                $crate::qmp::schema::Members::put(self, &mut map);
                serde_json::Value::Object(map)
            }
        }
    };
}

pub(crate) use {given, item, member, object_type, qapi, wire};
