//! What `query-qmp-schema` says, made from the rows of commands and events and the types that they name (QEMU QMP Reference
//! Manual, "QMP introspection").

use super::command::Command;
use super::event::EventRow;
use super::qapi::qapi;
use super::schema::{Describe, Info, Kind, Member, word_of};

qapi! {
    /// Types of JSON.
    enum JsonType { String, Number, Int, Boolean, Null, Object, Array, Value }
    /// A scalar.
    struct SchemaBuiltin { json_type: JsonType }
    /// A word of an enumeration.
    struct SchemaWord { name: String }
    /// An enumeration.
    struct SchemaEnum { members: Vec<SchemaWord>, values: Vec<String> }
    /// A list.
    struct SchemaArray { element_type: String }
    /// A member of an object; one with a default may be left out.
    struct SchemaMember { name: String, r#type: String, default: Option<()> }
    /// Members that an object has too when its tag has this value.
    struct SchemaVariant { case: String, r#type: String }
    /// An object.
    struct SchemaObject { members: Vec<SchemaMember>, tag: Option<String>, variants: Option<Vec<SchemaVariant>> }
    /// A type that a value can have.
    struct SchemaChoice { r#type: String }
    /// One of several types.
    struct SchemaAlternate { members: Vec<SchemaChoice> }
    /// A command.
    struct SchemaCommand { arg_type: String, ret_type: String, allow_oob: Option<bool> }
    /// An event.
    struct SchemaEvent { arg_type: String }
    /// A command, an event or a type.
    union SchemaInfo {
        name: String, features: Option<Vec<String>>; by "meta-type" as SchemaMeta;
        Builtin(SchemaBuiltin), Enum(SchemaEnum), Array(SchemaArray), Object(SchemaObject),
        Alternate(SchemaAlternate), Command(SchemaCommand), Event(SchemaEvent),
    }
}

#[derive(Default)]
struct Introspection {
    /// Types by their masked number.
    names: Vec<&'static str>,
    /// Types in the order of their first use.
    used: Vec<(String, Info)>,
    out: Vec<SchemaInfo>,
}

impl Introspection {
    /// What a type is referred to by.  Names of types that are no part of the protocol are numbers.
    fn name(&mut self, of: Describe) -> String {
        let info = of();
        let name = match info.kind {
            Kind::Builtin(_) => info.name.to_owned(),
            Kind::List(item) => format!("[{}]", self.name(item)),
            _ => match self.names.iter().position(|n| *n == info.name) {
                Some(number) => number.to_string(),
                None => {
                    self.names.push(info.name);
                    (self.names.len() - 1).to_string()
                }
            },
        };
        if !self.used.iter().any(|(n, _)| *n == name) {
            self.used.push((name.clone(), info));
        }
        name
    }

    fn put(&mut self, name: &str, kind: SchemaMeta) {
        self.out.push(SchemaInfo { name: name.to_owned(), features: None, kind });
    }

    fn member(&mut self, member: &Member) -> SchemaMember {
        let default = member.optional.then_some(());
        SchemaMember { name: member.name.clone(), r#type: self.name(member.of), default }
    }

    fn ty(&mut self, kind: &Kind) -> SchemaMeta {
        match kind {
            Kind::Builtin(json) => {
                SchemaMeta::Builtin(SchemaBuiltin { json_type: word_of(json).unwrap_or(JsonType::Value) })
            }
            Kind::Enum(words) => {
                let members = words.iter().map(|w| SchemaWord { name: w.clone() }).collect();
                SchemaMeta::Enum(SchemaEnum { members, values: words.clone() })
            }
            Kind::List(item) => SchemaMeta::Array(SchemaArray { element_type: self.name(*item) }),
            Kind::Object(members, branches) => {
                let members = members.iter().map(|m| self.member(m)).collect();
                let tag = branches.as_ref().map(|(tag, _)| (*tag).to_owned());
                let variants = branches.as_ref().map(|(_, variants)| {
                    let variant = |(case, of): &(String, Describe)| (case.clone(), *of);
                    variants
                        .iter()
                        .map(variant)
                        .map(|(case, of)| SchemaVariant { case, r#type: self.name(of) })
                        .collect()
                });
                SchemaMeta::Object(SchemaObject { members, tag, variants })
            }
            Kind::Alternate(of) => {
                let members = of.iter().map(|m| SchemaChoice { r#type: self.name(*m) }).collect();
                SchemaMeta::Alternate(SchemaAlternate { members })
            }
        }
    }
}

/// The list that `query-qmp-schema` answers with.
#[must_use]
pub fn introspect<C: 'static>(commands: &[&[Command<C>]], events: &[EventRow]) -> Vec<SchemaInfo> {
    let mut all = Introspection::default();
    for command in commands.iter().copied().flatten() {
        let (arg_type, ret_type) = (all.name(command.args), all.name(command.returns));
        let allow_oob = command.oob.then_some(true);
        all.put(command.name, SchemaMeta::Command(SchemaCommand { arg_type, ret_type, allow_oob }));
    }
    for event in events {
        let arg_type = all.name(event.data);
        all.put(event.name, SchemaMeta::Event(SchemaEvent { arg_type }));
    }
    let mut done = 0;
    while let Some((name, info)) = all.used.get_mut(done) {
        let (name, kind) = (name.clone(), core::mem::replace(&mut info.kind, Kind::Builtin("")));
        let described = all.ty(&kind);
        all.put(&name, described);
        done += 1;
    }
    all.out
}
